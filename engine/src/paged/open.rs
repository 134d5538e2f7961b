//! Opening: the proof, the memory, and what is put together of them.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use super::desk::{self, Desk};
use super::frames::Frames;
use super::held::Held;
use super::immutable::Proof;
use super::marks::Marks;
use super::options::{Faults, OnIoError};
use super::pager::{PIECE_BYTES, Pager, Parts};
use super::report::Report;
use super::service::Service;
use super::slots::Shape;
use super::source::{self, Access, FileSource, Source};
use super::stats::PagedCounters;
use super::{Backing, FrameSize, Immutability, Paged, PagedMode, PagedOptions, Userfault, disk};
use crate::Error;
use crate::page::{ByteLen, PageCount};
use crate::policy::Geometry;
use crate::sys::{self, Cell, FRAME_LEN, Fork, HerePlace, Lender, Missing, Uffd, Wake};

/// Who says that the bytes do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Proof,
    Caller,
}

impl Paged {
    pub(super) fn from_path(
        path: &Path,
        options: &PagedOptions,
        trust: Trust,
    ) -> Result<Paged, Error> {
        let file = FileSource::open(path).map_err(syscall("open"))?;
        let (access, descriptor) = (file.access(), Arc::clone(file.descriptor()));
        let name = path.display().to_string();
        let proof = |fits| match trust {
            Trust::Proof => Proof::find(&descriptor, fits),
            Trust::Caller => Ok(Proof::Always(Immutability::Assumed)),
        };
        Paged::build(Arc::new(file), &name, options, Some(access), proof)
    }

    pub(super) fn from_source(
        source: Arc<dyn Source>,
        options: &PagedOptions,
        trust: Trust,
    ) -> Result<Paged, Error> {
        let proof = |fits| match trust {
            _ if fits => Ok(Proof::Once),
            Trust::Caller => Ok(Proof::Always(Immutability::Assumed)),
            Trust::Proof => {
                let why = "it is a source that does not promise to be `Immutable`".to_owned();
                Err(Error::NotImmutable { why })
            }
        };
        Paged::build(source, "a source", options, None, proof)
    }

    fn build(
        source: Arc<dyn Source>,
        name: &str,
        options: &PagedOptions,
        access: Option<Access>,
        proof: impl FnOnce(bool) -> Result<Proof, Error>,
    ) -> Result<Paged, Error> {
        let page_size = sys::page_size();
        options.check(page_size.bytes())?;
        let alignment = source.alignment();
        if !alignment.is_power_of_two() || alignment as u64 > page_size.bytes() {
            return Err(Error::configuration(format!(
                "a source's alignment of {alignment} is not a power of two up to the size of a page"
            )));
        }
        let shape = Shape { len: source.len(), page_size };
        let len = usize::try_from(shape.len).map_err(|_| Error::Unsupported {
            what: "a file this long",
            needs: "64-bit addresses",
        })?;
        if len == 0 {
            return Ok(Paged { backing: Backing::Owned(Vec::new()), source });
        }
        let unit = match options.frame_size {
            FrameSize::Auto => page_size.bytes(),
            FrameSize::Small(bytes) => u64::from(bytes),
        };
        let unit = page_size.pages_for(ByteLen(unit));
        let own_file = match options.faults {
            Faults::OnFaultingThread if unit == PageCount(1) => source.file(),
            _ => None,
        };
        let (uffd, here) = match reserve(len, own_file) {
            Ok((uffd, here)) => (Arc::new(uffd), here),
            Err(_) if shape.len <= options.memory_limit => {
                let bytes = read_all(&*source, len).map_err(syscall("read"))?;
                return Ok(Paged { backing: Backing::Owned(bytes), source });
            }
            Err(_) => return Err(Error::Unsupported { what: "Paged", needs: USERFAULTFD_NEEDED }),
        };
        sys::fork_guard_init();
        let memory = Memory::split(options, &shape);
        let proof = Arc::new(proof(memory.frames as u64 >= shape.slots())?);
        let is_asked = matches!(*proof, Proof::Lease(_)) || options.on_io_error == OnIoError::Zero;
        let published = is_asked.then(|| Arc::new(Marks::new(shape.pages().count())));
        let report = Report::new(name, options.on_io_error);
        let counters = Arc::new(PagedCounters::default());
        let disk = disk::disk(&source, options.queue_depth).map_err(syscall("io_uring_setup"))?;
        let mode = PagedMode::Userfault {
            scope: uffd.scope(),
            queue: disk.queue(),
            access,
            immutability: proof.kind(),
            faults: match here {
                Some(_) => Faults::OnFaultingThread,
                None => Faults::ServiceThread,
            },
        };
        let budget = ByteLen((memory.frames * FRAME_LEN) as u64);
        let mut geometry = Geometry::new(page_size, ByteLen(shape.len), budget);
        geometry.fault_around = PageCount(1);
        let cell = |len| Cell::reserve(len, Fork::Withhold).map_err(syscall("mmap"));
        let frames = Frames::new(memory.frames, shape.pages_per_slot()).map_err(syscall("mmap"))?;
        let mut staging = cell(memory.staging)?.split(PIECE_BYTES as usize);
        let wake = Arc::new(Wake::new().map_err(syscall("eventfd"))?);
        let (desk, here) = match here {
            None => (None, None),
            Some((here, file)) => {
                let buffers = staging.split_off(staging.len() - buffer_cells(staging.len()));
                let desk = Arc::new(Desk::new(desk::Parts {
                    uffd: Arc::clone(&uffd),
                    file,
                    proof: Arc::clone(&proof),
                    shape,
                    counters: Arc::clone(&counters),
                    shown: published.clone(),
                    buffers: Lender::new(buffers, page_size.bytes() as usize),
                    wake: Arc::clone(&wake),
                }));
                (Some(Arc::clone(&desk)), Some(here.begin(desk)))
            }
        };
        let brought = desk.as_ref().map(|desk| Arc::clone(&desk.brought));
        let pager = Pager::new(Parts {
            uffd: Arc::clone(&uffd),
            disk,
            proof,
            published,
            desk,
            report: report.clone(),
            shape,
            frames,
            staging,
            held: Held::new(cell(memory.held)?, page_size, brought),
            policy: options.policy.build(geometry),
            unit,
            counters: Arc::clone(&counters),
        });
        let service = Service::start(pager, wake).map_err(syscall("clone"))?;
        let userfault = Userfault { service, _here: here, uffd, shape, report, counters, mode };
        Ok(Paged { backing: Backing::Userfault(Box::new(userfault)), source })
    }
}

/// The addresses; and, with a file that the threads may read, a place among those that are served on the
/// thread that touches, and a descriptor of their own. Without such a place, as without such a file.
fn reserve(
    len: usize,
    own_file: Option<Arc<OwnedFd>>,
) -> io::Result<(Uffd, Option<(HerePlace, File)>)> {
    let signalled = |file: Arc<OwnedFd>| {
        let file = File::from(file.try_clone()?);
        let uffd = Uffd::reserve(len, Missing::Signalled)?;
        let place = HerePlace::take(uffd.span())?;
        Ok::<_, io::Error>((uffd, Some((place, file))))
    };
    match own_file.map(signalled) {
        Some(Ok(both)) => Ok(both),
        Some(Err(error)) => {
            tracing::debug!(%error, "mmap-ahead: the service thread serves all touches");
            Ok((Uffd::reserve(len, Missing::Queued)?, None))
        }
        None => Ok((Uffd::reserve(len, Missing::Queued)?, None)),
    }
}

/// How much of what small reads land in belongs to the threads that serve themselves: an eighth, and no
/// more than 64 pages of 4 KiB.
fn buffer_cells(staging: usize) -> usize {
    (staging / 8).clamp(1, 4)
}

const USERFAULTFD_NEEDED: &str = "userfaultfd(2): allow the system call (containers), set \
    vm.unprivileged_userfaultfd to 1 or give access to /dev/userfaultfd; or raise the memory limit to \
    the length of the file";

/// How the memory limit is spent.
struct Memory {
    frames: usize,
    staging: usize,
    held: usize,
}

impl Memory {
    /// Up to a quarter for small reads in flight, a sixteenth for what was taken away, the rest for
    /// what is under the readers.
    fn split(options: &PagedOptions, shape: &Shape) -> Memory {
        let limit = options.memory_limit / FRAME_LEN as u64;
        let total = usize::try_from(limit).unwrap_or(usize::MAX);
        let held = (total / 16).max(1);
        let in_flight = (options.queue_depth * PIECE_BYTES as usize).div_ceil(FRAME_LEN);
        let staging = in_flight.min(total / 4).max(1);
        let most = usize::try_from(shape.slots()).unwrap_or(usize::MAX).saturating_add(2);
        let frames = (total - staging - held).min(most);
        Memory { frames, staging: staging * FRAME_LEN, held: held.min(most) * FRAME_LEN }
    }
}

fn syscall(call: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Syscall { call, source }
}

/// All of a short source, where nothing better is to be had.
fn read_all(source: &dyn Source, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len)?;
    bytes.resize(len, 0);
    let mut at = 0;
    while at < len {
        match source::read_unaligned(source, &mut bytes[at..], at as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => at += read,
        }
    }
    Ok(bytes)
}
