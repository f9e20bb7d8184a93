//! A file on its way to the disk.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::BAD_OFFSET;
use super::change::{Changes, Gone};
use super::medium::Medium;

/// Bytes that the kernel copies in one poll, at most, of what an upload keeps.
const COPY_BYTES: u64 = 1 << 20;

/// The same where the kernel does not copy by itself.
const COPY_BUFFER: usize = 256 << 10;

/// Where the kernel shows the descriptors of this process.
const DESCRIPTORS: &str = "/proc/self/fd";

/// Whether an open file can be named by its descriptor, and so given a name.
pub fn names_descriptors() -> bool {
    std::path::Path::new(DESCRIPTORS).is_dir()
}

/// A file on its way. Dropped before the commit, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    directory: OwnedFd,
    name: Vec<u8>,
    temporary: String,
    /// Whether there is a file of that name: else it has none before the commit.
    is_named: bool,
    pub file: OwnedFd,
    pub medium: Medium,
    size: u64,
    pub kept: Option<Kept>,
}

/// What of the old content is still to be copied.
#[derive(Debug)]
pub struct Kept {
    pub old: OwnedFd,
    pub left: u64,
}

impl Upload {
    /// Begins it without a name, if it may be so, and else with the temporary one.
    pub fn begin(
        directory: OwnedFd,
        (name, temporary): (&[u8], String),
        kept: Option<Kept>,
        mode: Mode,
        may_be_nameless: bool,
    ) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let nameless = rustix::fs::openat(&directory, ".", flags | OFlags::TMPFILE, mode);
        let is_named = !(may_be_nameless && nameless.is_ok());
        let file = match nameless {
            Ok(file) if !is_named => file,
            _ => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL;
                rustix::fs::openat(&directory, &temporary, flags, mode)?
            }
        };
        let (name, medium) = (name.to_vec(), Medium::of(&file));
        Ok(Self { directory, name, temporary, is_named, file, medium, size: 0, kept })
    }

    pub fn write(&mut self, buf: &[u8]) -> Result<usize, Errno> {
        let written = retry_on_intr(|| rustix::io::pwrite(&self.file, buf, self.size))?;
        self.size += written as u64;
        Ok(written)
    }

    /// Copies some more of what is kept; false if something is left.
    pub fn copy_kept(&mut self) -> Result<bool, Errno> {
        let Some(kept) = &mut self.kept else { return Ok(true) };
        let (mut from, mut to) = (self.size, self.size);
        let count = kept.left.min(COPY_BYTES) as usize;
        let copied = rustix::fs::copy_file_range(
            &kept.old,
            Some(&mut from),
            &self.file,
            Some(&mut to),
            count,
        );
        let copied = match copied {
            // Some file systems say "nothing" where they mean "not by me".
            Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                copy_buffer(&kept.old, &self.file, self.size, kept.left)?
            }
            Err(Errno::INTR) => return Ok(false),
            copied => copied?,
        };
        if copied == 0 {
            // The file has been cut short meanwhile.
            return Err(BAD_OFFSET);
        }
        self.size += copied as u64;
        kept.left = kept.left.saturating_sub(copied as u64);
        if kept.left == 0 {
            self.kept = None;
        }
        Ok(self.kept.is_none())
    }

    /// Gives the file its name, and tells what had it.
    pub fn commit(mut self, changes: &Changes) -> Result<Gone, Errno> {
        if !self.is_named {
            match self.link(&self.name) {
                // That is quicker, but replaces nothing.
                Ok(()) => return Ok(Gone::default()),
                Err(Errno::EXIST) => self.link(self.temporary.as_bytes())?,
                Err(error) => return Err(error),
            }
            self.is_named = true;
        }
        let _turn = changes.turn(&self.directory)?;
        let gone = Gone::behind(&self.directory, &self.name);
        rustix::fs::renameat(&self.directory, &self.temporary, &self.directory, &self.name)?;
        self.is_named = false;
        Ok(gone)
    }

    /// Gives a file without a name this one.
    fn link(&self, name: &[u8]) -> Result<(), Errno> {
        let file = format!("{DESCRIPTORS}/{}", self.file.as_raw_fd());
        rustix::fs::linkat(CWD, file, &self.directory, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_named {
            // If it fails, the file stays hidden.
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

/// Copies some bytes at an offset from one file to the same offset of the other.
fn copy_buffer(from: &OwnedFd, to: &OwnedFd, offset: u64, left: u64) -> Result<usize, Errno> {
    let count = usize::try_from(left).unwrap_or(COPY_BUFFER).min(COPY_BUFFER);
    let mut buffer = vec![0; count];
    let read = retry_on_intr(|| rustix::io::pread(from, &mut buffer, offset))?;
    buffer.truncate(read);
    retry_on_intr(|| rustix::io::pwrite(to, &buffer, offset))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    #[test]
    fn what_the_kernel_does_not_copy_is_copied() {
        let [from, to] =
            ["from", "to"].map(|name| memfd_create(name, MemfdFlags::CLOEXEC).unwrap());
        let content: Vec<u8> = (0..COPY_BUFFER + 9).map(|i| (i % 251) as u8).collect();
        rustix::io::pwrite(&from, &content, 0).unwrap();
        let size = content.len() as u64;
        assert_eq!(copy_buffer(&from, &to, 0, u64::MAX), Ok(COPY_BUFFER));
        assert_eq!(copy_buffer(&from, &to, COPY_BUFFER as u64, 5), Ok(5));
        assert_eq!(copy_buffer(&from, &to, size - 4, 4), Ok(4));
        assert_eq!(copy_buffer(&from, &to, size, 1), Ok(0));
        let mut copied = vec![0; content.len() + 1];
        assert_eq!(rustix::io::pread(&to, &mut copied, 0), Ok(content.len()));
        assert!(copied[..content.len()] == content);
    }
}
