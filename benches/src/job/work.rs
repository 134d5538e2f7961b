//! What each job does with the bytes.

use std::io::{self, Cursor};

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_ipc::reader::FileReader;

use super::Job;

/// Does `job` over `bytes`.
pub(super) fn work(job: Job, bytes: &[u8]) -> io::Result<u64> {
    match job {
        Job::Lines => Ok(memchr::memchr_iter(b'\n', bytes).count() as u64),
        Job::Blake3 => Ok(first_word(blake3::hash(bytes).as_bytes())),
        Job::Csv => csv(bytes),
        Job::Arrow => arrow(bytes).map_err(io::Error::other),
        Job::Tensors => tensors(bytes).map_err(io::Error::other),
    }
}

fn first_word(hash: &[u8; 32]) -> u64 {
    hash[..8].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The sum of the third column.
fn csv(bytes: &[u8]) -> io::Result<u64> {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let mut record = csv::ByteRecord::new();
    let mut sum = 0u64;
    while reader.read_byte_record(&mut record)? {
        let field = std::str::from_utf8(record.get(2).unwrap_or_default());
        let value: u64 = field.map_err(io::Error::other)?.parse().map_err(io::Error::other)?;
        sum = sum.wrapping_add(value);
    }
    Ok(sum)
}

/// The sum of the column `value`.
fn arrow(bytes: &[u8]) -> Result<u64, arrow_schema::ArrowError> {
    let mut sum = 0u64;
    for batch in FileReader::try_new(Cursor::new(bytes), None)? {
        let batch = batch?;
        let column: &Int64Array = batch.column(1).as_primitive::<Int64Type>();
        let values = column.values().iter();
        sum = values.fold(sum, |sum, &value| sum.wrapping_add(value as u64));
    }
    Ok(sum)
}

/// The sum of the bytes of every tensor, as little-endian words.
fn tensors(bytes: &[u8]) -> Result<u64, safetensors::SafeTensorError> {
    let tensors = safetensors::SafeTensors::deserialize(bytes)?;
    let mut sum = 0u64;
    for (_, tensor) in tensors.iter() {
        let (words, _) = tensor.data().as_chunks::<8>();
        sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    }
    Ok(sum)
}
