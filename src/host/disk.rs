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

#[path = "disk/change.rs"]
mod change;
#[path = "disk/listing.rs"]
mod listing;
#[path = "disk/medium.rs"]
mod medium;
#[path = "disk/sorted.rs"]
mod sorted;
#[path = "disk/upload.rs"]
mod upload;

use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Timespec, Timestamps,
    UTIME_OMIT,
};
use rustix::io::{Errno, retry_on_intr};
use tinyftp::storage::{Entry, Error, Keep, Kind, Op, Path, Storage};
use tinyftp::time::Timestamp;

use super::workers::Blocking;
use change::{Changes, Gone, is_same};
use listing::Listing;
use medium::Medium;
use upload::{Kept, Upload, names_descriptors};

/// How often a path is resolved anew because something was renamed meanwhile.
const RACES: usize = 16;

/// An offset past the end. No call on a regular file gives this error.
const BAD_OFFSET: Errno = Errno::SPIPE;

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

impl Disk {
    /// Opens the directory that is to be served.
    pub fn open(root: &std::path::Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Arc::new(rustix::fs::open(root, flags, Mode::empty())?);
        let run = getrandom::u64().map_err(io::Error::other)?;
        let names_descriptors = names_descriptors();
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
        let (names, mode) = ((name, self.next_temporary()), Mode::from_raw_mode(mode.into()));
        let upload = Upload::begin(directory, names, kept, mode, self.names_descriptors)?;
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
    use super::*;

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
