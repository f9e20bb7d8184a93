//! What is replaced or deleted, and whose turn it is to do that.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use tinyftp::storage::Kind;

use super::{kind, size};

/// Where a file is replaced or deleted, one at a time on each device: of two who look at once what
/// they replace, both would give back the bytes of the same file. A device that hangs must not
/// hold up the others.
#[derive(Debug, Default)]
pub struct Changes([Mutex<()>; 16]);

impl Changes {
    /// The turn to change something in a directory.
    pub fn turn(&self, directory: impl AsFd) -> Result<MutexGuard<'_, ()>, Errno> {
        let device = rustix::fs::fstat(directory)?.st_dev as usize;
        let Self(places) = self;
        // No panic leaves what it guards half done.
        let place = places[device % places.len()].lock();
        Ok(place.unwrap_or_else(PoisonError::into_inner))
    }
}

/// A file that was replaced or deleted. One that was replaced is held until the job is dropped,
/// and so until the result has been told: only then the kernel frees what it had, which takes its
/// time.
#[derive(Debug, Default)]
pub struct Gone {
    /// Bytes that are freed: none if the file has other names.
    pub bytes: u64,
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub file: Option<OwnedFd>,
}

impl Gone {
    /// What a name stands for that is about to be replaced or deleted, if it is a regular file.
    pub fn behind(directory: impl AsFd, name: &[u8]) -> Self {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) else {
            return Self::default();
        };
        let bytes = match rustix::fs::fstat(&file) {
            // One of several names: the bytes stay.
            Ok(stat) if kind(&stat) == Kind::File && stat.st_nlink == 1 => size(&stat),
            _ => 0,
        };
        Self { bytes, file: Some(file) }
    }
}

/// Whether two names are those of one file: then the kernel leaves both.
pub fn is_same((from, old): (&OwnedFd, &[u8]), (to, new): (&OwnedFd, &[u8])) -> bool {
    let identity = |directory, name| {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    identity(from, old).is_some_and(|one| identity(to, new) == Some(one))
}
