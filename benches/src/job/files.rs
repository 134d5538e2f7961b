//! The files that the jobs read.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use safetensors::tensor::{Dtype, TensorView};

use super::Job;
use crate::Error;
use crate::datafile::{Afterwards, DataFile};
use crate::random::Rng;
use crate::size;

/// Rows of one record batch.
const BATCH: u64 = 64 << 10;
/// Bytes of one tensor.
const TENSOR: u64 = 1 << 20;
/// About what a row of an Arrow file takes: two integers, a name and its offset.
const ARROW_ROW: u64 = 8 + 8 + 4 + 8;

/// A file of about `len` bytes for `job`.
pub(super) fn file(
    job: Job,
    dir: &Path,
    len: u64,
    seed: u64,
    afterwards: Afterwards,
) -> Result<DataFile, Error> {
    let kind = match job {
        Job::Lines | Job::Blake3 | Job::Csv => "csv",
        Job::Arrow => "arrow",
        Job::Tensors => "safetensors",
    };
    let name = format!("mmap-ahead-{}-seed{seed}.{kind}", size::exact(len));
    let write = |path: &Path| match kind {
        "csv" => csv(path, len, seed),
        "arrow" => arrow(path, len, seed).map_err(io::Error::other),
        _ => tensors(path, len, seed),
    };
    DataFile::make_with(&dir.join(name), len, afterwards, write)
}

fn csv(path: &Path, len: u64, seed: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut rng = Rng::new(seed);
    let mut written = out.write(b"id,name,value,ratio\n")? as u64;
    for id in 0u64.. {
        if written >= len {
            break;
        }
        let (name, value) = (rng.next_u64() % 100_000, rng.next_u64() >> 24);
        let row = format!("{id},name-{name:05},{value},{:.4}\n", rng.unit());
        out.write_all(row.as_bytes())?;
        written += row.len() as u64;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn arrow(path: &Path, len: u64, seed: u64) -> Result<(), ArrowError> {
    let field = |name, kind| Field::new(name, kind, false);
    let schema = Arc::new(Schema::new(vec![
        field("id", DataType::Int64),
        field("value", DataType::Int64),
        field("name", DataType::Utf8),
    ]));
    let file = File::create(path)?;
    let mut out = FileWriter::try_new_buffered(file, &schema)?;
    let mut rng = Rng::new(seed);
    let rows = (len / ARROW_ROW).max(1);
    for start in (0..rows).step_by(BATCH as usize) {
        let ids = start..rows.min(start + BATCH);
        let values: Vec<i64> = ids.clone().map(|_| rng.next_u64() as i64).collect();
        let names =
            StringArray::from_iter_values(ids.clone().map(|id| format!("n{:07}", id % 10_000_000)));
        let ids = Int64Array::from_iter_values(ids.map(|id| id as i64));
        let columns =
            vec![Arc::new(ids) as _, Arc::new(Int64Array::from(values)) as _, Arc::new(names) as _];
        out.write(&RecordBatch::try_new(Arc::clone(&schema), columns)?)?;
    }
    out.finish()?;
    out.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(())
}

fn tensors(path: &Path, len: u64, seed: u64) -> io::Result<()> {
    let mut rng = Rng::new(seed);
    // A tensor lent many times: the words differ by where they lie only in the sum of a swap, which
    // the engines' own tests look for; here the work is what counts.
    let piece: Vec<u8> = (0..TENSOR / 8).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    let view = || TensorView::new(Dtype::F32, vec![TENSOR as usize / 4], &piece);
    let names = (0..len.div_ceil(TENSOR)).map(|at| format!("layer.{at:06}.weight"));
    let tensors: Result<Vec<_>, _> = names.map(|name| Ok((name, view()?))).collect();
    let tensors = tensors.map_err(|error: safetensors::SafeTensorError| io::Error::other(error))?;
    safetensors::serialize_to_file(tensors, None, path).map_err(io::Error::other)?;
    File::open(path)?.sync_all()
}
