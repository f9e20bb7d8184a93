//! How much of a file can be had without waiting.

use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;

use rustix::fs::{Advice, fadvise, fstatfs};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2, retry_on_intr};

/// What file systems in memory call themselves (statfs(2)).
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// What a file is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Memory: nothing of it is waited for.
    Memory,
    /// A disk, of which some may be in memory, and the kernel tells what.
    Cached,
    /// What the kernel cannot say that of.
    Other,
}

impl Medium {
    pub fn of(file: &OwnedFd) -> Self {
        match fstatfs(file).map(|system| system.f_type as u32) {
            Ok(TMPFS | RAMFS) => Self::Memory,
            Ok(_) => Self::Cached,
            Err(_) => Self::Other,
        }
    }

    /// Reads what need not be waited for; `None` if there is nothing of that kind.
    pub fn read_at_once(
        &mut self,
        file: &OwnedFd,
        offset: &mut u64,
        buf: &mut [u8],
    ) -> Option<Result<usize, Errno>> {
        match self {
            Self::Memory => Some(read(file, offset, buf)),
            Self::Other => None,
            Self::Cached => match read_cached(file, offset, buf) {
                Err(Errno::AGAIN) => None,
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    *self = Self::Other;
                    None
                }
                result => Some(result),
            },
        }
    }

    /// Reads, and has the kernel fetch as much again.
    pub fn read(self, file: &OwnedFd, offset: &mut u64, buf: &mut [u8]) -> Result<usize, Errno> {
        let count = read(file, offset, buf)?;
        if self != Self::Memory {
            // It is advice, and may be unheard.
            let _ = fadvise(file, *offset, NonZeroU64::new(buf.len() as u64), Advice::WillNeed);
        }
        Ok(count)
    }
}

/// Reads straight into the caller's buffer.
fn read(file: &OwnedFd, offset: &mut u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let count = retry_on_intr(|| pread(file, &mut *buf, *offset))?;
    *offset += count as u64;
    Ok(count)
}

/// The same of what is in the page cache.
fn read_cached(file: &OwnedFd, offset: &mut u64, buf: &mut [u8]) -> Result<usize, Errno> {
    let mut bufs = [IoSliceMut::new(buf)];
    let read = || preadv2(file, &mut bufs, *offset, ReadWriteFlags::NOWAIT);
    let count = retry_on_intr(read)?;
    *offset += count as u64;
    Ok(count)
}
