//! A file system of another kind, in a file on a loop device: made, mounted, and gone at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::cleanup::{self, OnExit};
use crate::{Error, device, size};

/// What its own metadata may take, beside the files.
const ROOM: u64 = 512 << 20;

/// A mounted file system; unmounted and removed when this is dropped, or before the process dies
/// of a signal.
#[derive(Debug)]
pub struct LoopFs {
    // Dropped first: the directory can only go when nothing is mounted in it.
    _unmount: OnExit,
    _removal: OnExit,
    mount: PathBuf,
}

impl LoopFs {
    /// A new `kind` (`xfs`, `btrfs`, `ext4`) with room for `len` bytes, its image in `dir`. Direct
    /// I/O goes through to the disk below, so that nothing is cached twice.
    ///
    /// # Errors
    /// What is missing: root, room, mkfs for this kind, loop devices.
    pub fn make(kind: &str, len: u64, dir: &Path) -> Result<LoopFs, Error> {
        let needed = len + ROOM;
        if device::free_bytes(dir)? < needed {
            let needed = size::rounded(needed);
            return Err(Error::failed(format!("{}: has no {needed} for {kind}", dir.display())));
        }
        let own = TempDir::with_prefix_in("mmap-ahead-loop-", dir).map_err(Error::at(dir))?.keep();
        let (image, mount) = (own.join("image"), own.join("mount"));
        // Not the TempDir's own removal: a signal ends the process without it.
        let removal = cleanup::on_exit({
            let image = image.clone();
            move || remove(&own, &image)
        });
        let file = std::fs::File::create(&image).map_err(Error::at(&image))?;
        file.set_len(needed).map_err(Error::at(&image))?;
        std::fs::create_dir(&mount).map_err(Error::at(&mount))?;
        run(Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image))?;
        let loop_device =
            run(Command::new("losetup").args(["--find", "--show", "--direct-io=on"]).arg(&image))?;
        let detach = cleanup::on_exit({
            let device = loop_device.clone();
            move || drop(run(Command::new("losetup").arg("--detach").arg(device)))
        });
        run(Command::new("mount").arg(&loop_device).arg(&mount))?;
        let below = mount.clone();
        // A detached device goes when its mount does.
        let unmount = cleanup::on_exit(move || unmount(&below));
        drop(detach);
        Ok(LoopFs { _unmount: unmount, _removal: removal, mount })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }
}

/// Unmounts now, or, where a run still reads there that dies after this process, as soon as it can be.
fn unmount(mount: &Path) {
    if run(Command::new("umount").arg(mount)).is_err() {
        let _ = run(Command::new("umount").arg("--lazy").arg(mount));
    }
}

/// Removes the image and the empty folders, and never what may be mounted there still.
fn remove(own: &Path, image: &Path) {
    let _ = std::fs::remove_file(image);
    let _ = std::fs::remove_dir(own.join("mount"));
    let _ = std::fs::remove_dir(own);
}

/// What the command prints; its own words as the error.
fn run(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Error::failed(format!("{name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed").to_owned();
    Err(Error::failed(format!("{name}: {said}")))
}
