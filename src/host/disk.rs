//! A directory of the host as a [`Storage`].
//!
//! The kernel resolves every path beneath the root (`openat2` with `RESOLVE_BENEATH`): neither
//! a symbolic link nor one that is swapped during the call leads out. What changes a name is
//! done by that name in its parent directory, which was opened so. Thus deleting, renaming or
//! overwriting what is a symbolic link concerns the link itself, never what it leads to.
//!
//! Its calls wait for the host's file system, as few as the bytes of a file in memory need not:
//! it is for [`Workers`](super::workers::Workers), who call it where waiting does no harm.
//!
//! An upload goes to a file without a name, which gets a hidden one at the commit and is renamed
//! at once. Where the file system has no such files, it is hidden from the start.

#[path = "disk/listing.rs"]
mod listing;
#[path = "disk/medium.rs"]
mod medium;
#[path = "disk/sorted.rs"]
mod sorted;

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Timespec,
    Timestamps, UTIME_OMIT,
};
use rustix::io::{Errno, retry_on_intr};
use tinyftp::storage::{Entry, Error, Keep, Kind, Op, Path, Storage};
use tinyftp::time::Timestamp;

use super::workers::Blocking;
use listing::Listing;
use medium::Medium;

/// Bytes that the kernel copies in one poll, at most, of what an upload keeps.
const COPY_BYTES: u64 = 1 << 20;

/// The same where the kernel does not copy by itself.
const COPY_BUFFER: usize = 256 << 10;

/// How often a path is resolved anew because something was renamed meanwhile.
const RACES: usize = 16;

/// An offset past the end. No call on a regular file gives this error.
const BAD_OFFSET: Errno = Errno::SPIPE;

/// Where the kernel shows the descriptors of this process.
const DESCRIPTORS: &str = "/proc/self/fd";

/// What begins and ends the name of an upload that is not committed.
const TEMPORARY: (&str, &str) = (".tinyftp-", ".part");

/// A directory of the host, opened once: what is done to its name later does not matter.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<OwnedFd>,
    /// Tells the uploads of this run from what a run that crashed has left.
    run: u64,
    uploads: Arc<AtomicU64>,
    /// Whether an open file can be named by its descriptor, and so given a name.
    names_descriptors: bool,
    changes: Arc<Changes>,
}

/// Where a file is replaced or deleted, one at a time on each device: of two who look at once what
/// they replace, both would give back the bytes of the same file. A device that hangs must not
/// hold up the others.
#[derive(Debug, Default)]
struct Changes([Mutex<()>; 16]);

impl Changes {
    /// The turn to change something in a directory.
    fn turn(&self, directory: impl AsFd) -> Result<MutexGuard<'_, ()>, Errno> {
        let device = rustix::fs::fstat(directory)?.st_dev as usize;
        let Self(places) = self;
        // No panic leaves what it guards half done.
        let place = places[device % places.len()].lock();
        Ok(place.unwrap_or_else(PoisonError::into_inner))
    }
}

/// An operation of a [`Disk`] under way.
#[derive(Debug)]
pub struct Job(State);

#[derive(Debug)]
enum State {
    Read {
        file: OwnedFd,
        medium: Medium,
        offset: u64,
        size: u64,
    },
    Write(Upload),
    List(Listing),
    Show {
        name: Vec<u8>,
        stat: Option<Stat>,
    },
    Available {
        bytes: u64,
    },
    /// All is done.
    Done(Gone),
}

/// A file on its way. Dropped before the commit, it leaves nothing.
#[derive(Debug)]
struct Upload {
    directory: OwnedFd,
    name: Vec<u8>,
    temporary: String,
    /// Whether there is a file of that name: else it has none before the commit.
    is_named: bool,
    file: OwnedFd,
    medium: Medium,
    size: u64,
    kept: Option<Kept>,
}

/// A file that was replaced or deleted. One that was replaced is held until the job is dropped,
/// and so until the result has been told: only then the kernel frees what it had, which takes its
/// time.
#[derive(Debug, Default)]
struct Gone {
    /// Bytes that are freed: none if the file has other names.
    bytes: u64,
    #[expect(dead_code, reason = "it is there to be dropped")]
    file: Option<OwnedFd>,
}

#[derive(Debug)]
struct Kept {
    old: OwnedFd,
    left: u64,
}

impl Disk {
    /// Opens the directory that is to be served.
    pub fn open(root: &std::path::Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Arc::new(rustix::fs::open(root, flags, Mode::empty())?);
        let run = getrandom::u64().map_err(io::Error::other)?;
        let names_descriptors = std::path::Path::new(DESCRIPTORS).is_dir();
        let disk =
            Self { root, run, uploads: Arc::default(), names_descriptors, changes: Arc::default() };
        match open_beneath(&disk.root, b".", flags) {
            Ok(_) => Ok(disk),
            Err(Errno::NOSYS) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "serving a directory takes the system call openat2, thus Linux 5.6 or newer",
            )),
            Err(error) => Err(error.into()),
        }
    }

    fn resolve(&self, path: Path<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.components().any(is_temporary) {
            return Err(Errno::NOENT);
        }
        let jail = path.jail();
        if jail.is_root() {
            return open_beneath(&self.root, relative(path.as_bytes()), flags);
        }
        let rest = path.as_bytes().get(jail.as_bytes().len()..).unwrap_or_default();
        let jail = relative(jail.as_bytes());
        let jail = open_beneath(&self.root, jail, OFlags::PATH | OFlags::DIRECTORY)?;
        open_beneath(&jail, relative(rest), flags)
    }

    /// The directory that a path is in, and its name there; `None` for the root.
    fn place<'p>(&self, path: Path<'p>) -> Result<Option<(OwnedFd, &'p [u8])>, Errno> {
        let Some((directory, name)) = path.parent() else { return Ok(None) };
        if is_temporary(name) {
            return Err(Errno::INVAL);
        }
        let directory = self.resolve(directory, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Some((directory, name)))
    }

    /// Opens a regular file. Opening anything else neither waits nor gives it.
    fn open_file(&self, path: Path<'_>) -> Result<(OwnedFd, u64), Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.resolve(path, flags)?;
        let stat = rustix::fs::fstat(&file)?;
        match kind(&stat) {
            Kind::File => Ok((file, size(&stat))),
            Kind::Directory => Err(Errno::ISDIR),
            Kind::Link | Kind::Other => Err(Errno::ACCESS),
        }
    }

    fn reader(&self, path: Path<'_>, offset: u64) -> Result<State, Errno> {
        let (file, size) = self.open_file(path)?;
        let (medium, offset) = (Medium::of(&file), offset.min(size));
        // The first byte is looked at here, where it does no harm to wait: so the kernel begins to
        // read ahead, and takes note of the access.
        retry_on_intr(|| rustix::io::pread(&file, &mut [0], offset))?;
        Ok(State::Read { file, medium, offset, size })
    }

    fn writer(&self, path: Path<'_>, keep: Keep, mode: u16) -> Result<State, Errno> {
        let (directory, name) = self.place(path)?.ok_or(Errno::ISDIR)?;
        let replaced = self.replaceable(path)?;
        if replaced.is_some() {
            // Renaming over a file would not ask whether it may be written.
            rustix::fs::accessat(&directory, name, Access::WRITE_OK, AtFlags::EACCESS)?;
        }
        let kept = self.kept(path, keep)?;
        let temporary = self.next_temporary();
        let mode = Mode::from_raw_mode(mode.into());
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let nameless = rustix::fs::openat(&directory, ".", flags | OFlags::TMPFILE, mode);
        let is_named = !(self.names_descriptors && nameless.is_ok());
        let file = match nameless {
            Ok(file) if !is_named => file,
            _ => {
                let flags = flags | OFlags::CREATE | OFlags::EXCL;
                rustix::fs::openat(&directory, &temporary, flags, mode)?
            }
        };
        let (name, medium) = (name.to_vec(), Medium::of(&file));
        let upload = Upload { directory, name, temporary, is_named, file, medium, size: 0, kept };
        if let Some(mode) = replaced {
            // Where that is not possible the new file has the mode of any new file.
            let _ = rustix::fs::fchmod(&upload.file, mode);
        }
        Ok(State::Write(upload))
    }

    /// The mode of the file that an upload would replace, if there is one and it may.
    fn replaceable(&self, path: Path<'_>) -> Result<Option<Mode>, Errno> {
        let old = match self.resolve(path, OFlags::PATH) {
            Ok(old) => rustix::fs::fstat(old)?,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        match kind(&old) {
            Kind::File => Ok(Some(Mode::from_raw_mode(old.st_mode & 0o777))),
            Kind::Directory => Err(Errno::ISDIR),
            Kind::Link | Kind::Other => Err(Errno::ACCESS),
        }
    }

    fn kept(&self, path: Path<'_>, keep: Keep) -> Result<Option<Kept>, Errno> {
        let wanted = match keep {
            Keep::Nothing | Keep::Bytes(0) => return Ok(None),
            Keep::Bytes(count) => Some(count),
            Keep::All => None,
        };
        let (old, size) = match (self.open_file(path), wanted) {
            (Err(Errno::NOENT), Some(_)) => return Err(BAD_OFFSET),
            (Err(Errno::NOENT), None) => return Ok(None),
            (opened, _) => opened?,
        };
        match wanted.unwrap_or(size) {
            0 => Ok(None),
            left if left <= size => Ok(Some(Kept { old, left })),
            _ => Err(BAD_OFFSET),
        }
    }

    fn next_temporary(&self) -> String {
        let ((start, end), run) = (TEMPORARY, self.run);
        let upload = self.uploads.fetch_add(1, Ordering::Relaxed);
        format!("{start}{run:016x}-{upload}{end}")
    }

    fn show(&self, path: Path<'_>) -> Result<State, Errno> {
        let (name, stat) = match self.place(path)? {
            Some((directory, name)) => (name.to_vec(), self.stat(directory, name, path)?.1),
            None => (Vec::new(), rustix::fs::fstat(&self.root)?),
        };
        Ok(State::Show { name, stat: Some(stat) })
    }

    /// What is at `path`, which is `name` in `directory`, and for a symbolic link what it leads
    /// to, unless that is nowhere or outside.
    fn stat(
        &self,
        directory: impl AsFd,
        name: &[u8],
        path: Path<'_>,
    ) -> Result<(Stat, Stat), Errno> {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if file_type(&stat) != FileType::Symlink {
            return Ok((stat, stat));
        }
        let target = self.resolve(path, OFlags::PATH).and_then(rustix::fs::fstat);
        Ok((stat, target.unwrap_or(stat)))
    }

    fn make_directory(&self, path: Path<'_>, mode: u16) -> Result<(), Errno> {
        let (parent, name) = self.place(path)?.ok_or(Errno::EXIST)?;
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode.into()))
    }

    fn remove(&self, path: Path<'_>, root: Errno, flags: AtFlags) -> Result<Gone, Errno> {
        let (directory, name) = self.place(path)?.ok_or(root)?;
        let _turn = self.changes.turn(&directory)?;
        // Not held: what is deleted has to be free when that is told.
        let bytes = Gone::behind(&directory, name).bytes;
        rustix::fs::unlinkat(directory, name, flags).map(|()| Gone { bytes, file: None })
    }

    fn available(&self, path: Path<'_>) -> Result<State, Errno> {
        let directory = self.resolve(path, OFlags::PATH | OFlags::DIRECTORY)?;
        let space = rustix::fs::fstatvfs(directory)?;
        Ok(State::Available { bytes: space.f_bavail.saturating_mul(space.f_frsize) })
    }

    fn set_modified(&self, path: Path<'_>, modified: Timestamp) -> Result<(), Errno> {
        let seconds = i64::try_from(modified.0).map_err(|_| Errno::INVAL)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
        };
        let (parent, name) = self.place(path)?.ok_or(Errno::ACCESS)?;
        rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// By an open file, for the kernel has no way to leave a symbolic link alone here. What may
    /// not be opened for reading keeps its mode.
    fn set_mode(&self, path: Path<'_>, mode: u16) -> Result<(), Errno> {
        let file = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode.into()))
    }

    fn rename(&self, from: Path<'_>, to: Path<'_>, replace: bool) -> Result<Gone, Errno> {
        let (from, old) = self.place(from)?.ok_or(Errno::ACCESS)?;
        let (to, new) = self.place(to)?.ok_or(Errno::ACCESS)?;
        let _turn = self.changes.turn(&to)?;
        let is_same = is_same((&from, old), (&to, new));
        let gone = if is_same { Gone::default() } else { Gone::behind(&to, new) };
        // To the name that it has is no change, and replaces nothing.
        let flags = if replace || is_same { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match rustix::fs::renameat_with(from, old, to, new, flags) {
            // Of a directory into itself.
            Err(Errno::INVAL) => Err(Errno::ACCESS),
            result => result.map(|()| gone),
        }
    }
}

impl Storage for Disk {
    type Job = Job;

    fn start(&mut self, op: Op<'_>, _now: Timestamp) -> Result<Job, Error> {
        let done = |()| State::Done(Gone::default());
        let state = match op {
            Op::Read { path, offset } => self.reader(path, offset),
            Op::Write { path, keep, mode } => self.writer(path, keep, mode),
            Op::List { path, order } => self.lister(path, order),
            Op::Directories { path, after } => self.lister_of_directories(path, after),
            Op::Stat { path } => self.show(path),
            Op::MakeDirectory { path, mode } => self.make_directory(path, mode).map(done),
            Op::RemoveDirectory { path } => {
                self.remove(path, Errno::ACCESS, AtFlags::REMOVEDIR).map(State::Done)
            }
            Op::Delete { path } => {
                self.remove(path, Errno::ISDIR, AtFlags::empty()).map(State::Done)
            }
            Op::Rename { from, to, replace } => self.rename(from, to, replace).map(State::Done),
            Op::SetModified { path, modified } => self.set_modified(path, modified).map(done),
            Op::Available { path } => self.available(path),
            Op::SetMode { path, mode } => self.set_mode(path, mode).map(done),
        };
        state.map(Job).map_err(outcome)
    }

    fn poll_open(&mut self, job: &mut Job) -> Poll<Result<Option<u64>, Error>> {
        Poll::Ready(Ok(match &job.0 {
            State::Read { size, .. } => Some(*size),
            State::Write(upload) => Some(upload.kept.as_ref().map_or(0, |kept| kept.left)),
            State::Available { bytes } => Some(*bytes),
            _ => None,
        }))
    }

    fn poll_read(&mut self, job: &mut Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let State::Read { file, medium, offset, .. } = &mut job.0 else {
            return Poll::Ready(Err(Error::Io));
        };
        Poll::Ready(medium.read(file, offset, buf).map_err(outcome))
    }

    fn poll_write(&mut self, job: &mut Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let State::Write(upload) = &mut job.0 else { return Poll::Ready(Err(Error::Io)) };
        let taken = match upload.kept {
            Some(_) => upload.copy_kept().map(|_| 0),
            None => upload.write(buf),
        };
        Poll::Ready(taken.map_err(outcome))
    }

    fn poll_entry<'a>(&'a mut self, job: &'a mut Job) -> Poll<Result<Option<Entry<'a>>, Error>> {
        match &mut job.0 {
            State::List(listing) => self.poll_listing(listing),
            State::Show { name, stat } => {
                Poll::Ready(Ok(stat.take().map(|stat| entry(name, &stat))))
            }
            _ => Poll::Ready(Err(Error::Io)),
        }
    }

    fn poll_finish(&mut self, job: &mut Job) -> Poll<Result<u64, Error>> {
        let copied = match &mut job.0 {
            State::Write(upload) => upload.copy_kept(),
            _ => Ok(true),
        };
        if copied == Ok(false) {
            return Poll::Pending;
        }
        let gone = match (mem::replace(&mut job.0, State::Done(Gone::default())), copied) {
            (State::Write(upload), Ok(_)) => upload.commit(&self.changes),
            (State::Done(gone), _) => Ok(gone),
            (_, result) => result.map(|_| Gone::default()),
        };
        Poll::Ready(gone.map_err(outcome).map(|gone| {
            let bytes = gone.bytes;
            job.0 = State::Done(gone);
            bytes
        }))
    }

    fn cancel(&mut self, job: Job) {
        drop(job);
    }
}

impl Blocking for Disk {
    fn read_at_once(&mut self, job: &mut Job, buf: &mut [u8]) -> Option<Result<usize, Error>> {
        let State::Read { file, medium, offset, .. } = &mut job.0 else {
            return Some(Err(Error::Io));
        };
        medium.read_at_once(file, offset, buf).map(|read| read.map_err(outcome))
    }

    fn write_at_once(&mut self, job: &mut Job, buf: &[u8]) -> Option<Result<usize, Error>> {
        match &mut job.0 {
            State::Write(upload) if upload.medium == Medium::Memory && upload.kept.is_none() => {
                Some(upload.write(buf).map_err(outcome))
            }
            State::Write(_) => None,
            _ => Some(Err(Error::Io)),
        }
    }
}

impl Upload {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Errno> {
        let written = retry_on_intr(|| rustix::io::pwrite(&self.file, buf, self.size))?;
        self.size += written as u64;
        Ok(written)
    }

    /// Copies some more of what is kept; false if something is left.
    fn copy_kept(&mut self) -> Result<bool, Errno> {
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
    fn commit(mut self, changes: &Changes) -> Result<Gone, Errno> {
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

impl Gone {
    /// What a name stands for that is about to be replaced or deleted, if it is a regular file.
    fn behind(directory: impl AsFd, name: &[u8]) -> Self {
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

impl Drop for Upload {
    fn drop(&mut self) {
        if self.is_named {
            // If it fails, the file stays hidden.
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

/// Opens what is at `path` in a directory, and not what any link out of it leads to.
fn open_beneath(directory: &OwnedFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..RACES {
        result = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    result
}

/// A path without the `/` in front.
fn relative(path: &[u8]) -> &[u8] {
    match path {
        [b'/', rest @ ..] if !rest.is_empty() => rest,
        _ => b".",
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

/// Whether that is, in any case that a file system may fold, the name of an open upload.
fn is_temporary(name: &[u8]) -> bool {
    let (start, end) = TEMPORARY;
    name.get(..start.len()).is_some_and(|front| front.eq_ignore_ascii_case(start.as_bytes()))
        && name.len() >= end.len()
        && name[name.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn kind(stat: &Stat) -> Kind {
    match file_type(stat) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Whether two names are those of one file: then the kernel leaves both.
fn is_same((from, old): (&OwnedFd, &[u8]), (to, new): (&OwnedFd, &[u8])) -> bool {
    let identity = |directory, name| {
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    };
    identity(from, old).is_some_and(|one| identity(to, new) == Some(one))
}

fn entry<'a>(name: &'a [u8], stat: &Stat) -> Entry<'a> {
    let kind = kind(stat);
    Entry {
        name,
        kind,
        size: if kind == Kind::File { size(stat) } else { 0 },
        modified: Timestamp(u64::try_from(stat.st_mtime).unwrap_or(0)),
        mode: Some((stat.st_mode & 0o777) as u16),
        // The root may span several devices; where it does, this is as good as unique.
        id: stat.st_ino ^ stat.st_dev.rotate_left(40),
    }
}

/// The outcome that an error of the kernel stands for.
fn outcome(error: Errno) -> Error {
    match error {
        Errno::NOENT => Error::NotFound,
        BAD_OFFSET => Error::BadOffset,
        // A way out of the root is XDEV or LOOP; a socket or a device without a driver, NXIO.
        Errno::XDEV | Errno::LOOP | Errno::NXIO => Error::Denied,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => Error::Denied,
        Errno::EXIST => Error::Exists,
        Errno::NOTDIR => Error::NotADirectory,
        Errno::ISDIR => Error::IsADirectory,
        Errno::NOTEMPTY => Error::NotEmpty,
        Errno::NAMETOOLONG | Errno::INVAL | Errno::ILSEQ => Error::BadName,
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG | Errno::MLINK => Error::Full,
        Errno::AGAIN | Errno::BUSY | Errno::TXTBSY | Errno::MFILE | Errno::NFILE => Error::Busy,
        _ => Error::Io,
    }
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

    #[test]
    fn an_upload_has_a_hidden_name_where_it_must_have_one() {
        let root = std::env::temp_dir().join(format!("tinyftp-disk-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        let mut disk = Disk::open(&root).unwrap();
        disk.names_descriptors = false;
        let names = || {
            let entries = std::fs::read_dir(&root).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let path = Path::new(b"/a").unwrap();
        for end in ["commit", "cancel"] {
            let op = Op::Write { path, keep: Keep::Nothing, mode: 0o666 };
            let mut job = disk.start(op, Timestamp(0)).unwrap();
            assert_eq!(disk.poll_write(&mut job, end.as_bytes()), Poll::Ready(Ok(6)));
            let during: Vec<String> = names();
            assert!(during.iter().any(|name| is_temporary(name.as_bytes())), "{during:?}");
            match end {
                "commit" => assert!(matches!(disk.poll_finish(&mut job), Poll::Ready(Ok(_)))),
                _ => disk.cancel(job),
            }
            assert_eq!(names(), ["a"]);
            assert_eq!(std::fs::read(root.join("a")).unwrap(), b"commit");
        }
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn errors_have_outcomes() {
        assert_eq!(outcome(Errno::XDEV), Error::Denied);
        assert_eq!(outcome(Errno::ROFS), Error::Denied);
        assert_eq!(outcome(Errno::DQUOT), Error::Full);
        assert_eq!(outcome(Errno::ILSEQ), Error::BadName);
        assert_eq!(outcome(Errno::MFILE), Error::Busy);
        assert_eq!(outcome(Errno::IO), Error::Io);
    }
}
