//! Where the files are: the polled [`Storage`] trait.

mod path;
pub mod quota;
pub mod ram;

use core::task::Poll;

use crate::time::Timestamp;

pub use path::Path;

/// Something to do in a [`Storage`]. The storage copies what it needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Read a file, from `offset` bytes after its start. An offset past the end reads
    /// nothing. Poll [`poll_open`](Storage::poll_open), then
    /// [`poll_read`](Storage::poll_read).
    Read {
        /// The file.
        path: Path<'a>,
        /// Where to begin.
        offset: u64,
    },
    /// Write a file, which stays as it was (or absent) until
    /// [`poll_finish`](Storage::poll_finish). Poll [`poll_open`](Storage::poll_open), then
    /// [`poll_write`](Storage::poll_write).
    Write {
        /// The file.
        path: Path<'a>,
        /// What of the old content is kept in front of the new.
        keep: Keep,
        /// The permission bits of the file if it is new, where there are such; the storage
        /// may take some away.
        mode: u16,
    },
    /// List a directory, or show the one entry of what is not a directory. Poll
    /// [`poll_open`](Storage::poll_open), then [`poll_entry`](Storage::poll_entry).
    List {
        /// The directory.
        path: Path<'a>,
        /// In which order.
        order: Order,
    },
    /// List the directories in a directory by name, from the first after `after` on. What only
    /// leads to a directory, as a symbolic link does, is none: so who goes down from one to the
    /// next comes to an end. Poll as for a listing.
    Directories {
        /// The directory.
        path: Path<'a>,
        /// A name, that of an entry or not; every name comes after the empty one.
        after: &'a [u8],
    },
    /// Show one entry, of a directory itself too. Poll [`poll_entry`](Storage::poll_entry);
    /// [`poll_open`](Storage::poll_open) may be polled before, as for a listing.
    Stat {
        /// The file or directory.
        path: Path<'a>,
    },
    /// Make a directory.
    MakeDirectory {
        /// Its path.
        path: Path<'a>,
        /// Its permission bits, as those of a new file.
        mode: u16,
    },
    /// Remove a directory, which must be empty.
    RemoveDirectory {
        /// Its path.
        path: Path<'a>,
    },
    /// Delete a file, never a directory.
    Delete {
        /// Its path.
        path: Path<'a>,
    },
    /// Rename a file or directory. What has the new name is replaced as in POSIX, if it may.
    Rename {
        /// The old path.
        from: Path<'a>,
        /// The new path.
        to: Path<'a>,
        /// Whether something may be replaced; else it is [`Error::Exists`].
        replace: bool,
    },
    /// Set when the content of a file or directory last changed.
    SetModified {
        /// The file or directory.
        path: Path<'a>,
        /// The date.
        modified: Timestamp,
    },
    /// Ask how many bytes may still be stored in a directory. Poll
    /// [`poll_open`](Storage::poll_open), which tells it.
    Available {
        /// The directory.
        path: Path<'a>,
    },
    /// Set the nine permission bits of POSIX; [`Error::Denied`] where there are none.
    SetMode {
        /// The file or directory.
        path: Path<'a>,
        /// The bits, at most `0o777`.
        mode: u16,
    },
}

/// What an [`Op::Write`] keeps of the file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: the new content replaces the old.
    Nothing,
    /// This many bytes of it, at most all of it being there: more is [`Error::BadOffset`].
    Bytes(u64),
    /// All of it, also when there is none: append.
    All,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What comes first.
    pub by: By,
    /// The other way round.
    pub reverse: bool,
}

/// What comes first in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Anything: as is easiest for the storage.
    Any,
    /// The smallest name, byte by byte.
    Name,
    /// What was modified last; of the same date, the smallest name.
    Date,
    /// The largest file; of the same size, the smallest name.
    Size,
}

impl Order {
    /// No order at all.
    pub const ANY: Self = Self { by: By::Any, reverse: false };
    /// By name.
    pub const NAME: Self = Self { by: By::Name, reverse: false };

    /// What an entry is ordered by before its name: the smallest comes first, or with `reverse`
    /// the largest.
    pub fn key(self, entry: &Entry<'_>) -> u64 {
        match self.by {
            By::Any | By::Name => 0,
            By::Date => !entry.modified.0,
            By::Size => !entry.size,
        }
    }
}

/// What kind of thing an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link that leads nowhere, or up again to a directory that it is in: whoever goes
    /// through a tree must not follow it. Any other link is shown as what it leads to.
    Link,
    /// Anything else: a device, a socket.
    Other,
}

/// A file or directory, as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The last component of its path: at most 255 bytes, any but `/` and NUL. Empty for the
    /// root.
    pub name: &'a [u8],
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
    /// The nine permission bits of POSIX, where there are such.
    pub mode: Option<u16>,
    /// A number that nothing else in the storage has.
    pub id: u64,
}

/// Why an operation failed: outcomes, which `ftp::reply` maps to reply codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no such file or directory.
    NotFound,
    /// It may not be done: permission, a read-only medium, a way out of the root.
    Denied,
    /// There is something of that name already.
    Exists,
    /// A directory is needed here.
    NotADirectory,
    /// A directory cannot be used so.
    IsADirectory,
    /// The directory has entries.
    NotEmpty,
    /// The name is too long or has a byte that the storage cannot store.
    BadName,
    /// The offset lies past the end of the file.
    BadOffset,
    /// No space is left, or no room for one more entry.
    Full,
    /// More than the owner allows to be stored here.
    OverQuota,
    /// All jobs, or the file itself, are in use: later it may work.
    Busy,
    /// The medium failed.
    Io,
}

/// A file system, seen from a loop that must not wait.
///
/// [`start`](Self::start) begins an operation and the `poll_*` methods advance it; none of
/// them waits. `Pending` means "poll me again". A job ends when
/// [`poll_finish`](Self::poll_finish) is ready, with whatever result, or with
/// [`cancel`](Self::cancel): each job must be brought to one of these ends, after an error of
/// another poll too (by `cancel`).
pub trait Storage {
    /// An operation under way.
    type Job;

    /// Begins `op`; `now` is the date for what is written. May fail at once, or leave it to
    /// the polls to fail.
    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Self::Job, Error>;

    /// Ready when a read, a write or a listing is known to be possible. It tells bytes, where
    /// they are known: for a read the whole size of the file, for a write those that are kept,
    /// for [`Op::Available`] those that are left.
    fn poll_open(&mut self, job: &mut Self::Job) -> Poll<Result<Option<u64>, Error>>;

    /// Reads into the front of `buf`, which is not empty; `Ok(0)` is the end of the file.
    fn poll_read(&mut self, job: &mut Self::Job, buf: &mut [u8]) -> Poll<Result<usize, Error>>;

    /// Takes bytes from the front of `buf`, which is not empty, and says how many. `Ok(0)`
    /// is progress of another kind (copying what is kept): poll again.
    fn poll_write(&mut self, job: &mut Self::Job, buf: &[u8]) -> Poll<Result<usize, Error>>;

    /// The next entry; `None` after the last. `.` and `..` are not among them. What stays as it
    /// is while a listing goes on is shown once; what is added, removed or renamed meanwhile, or
    /// changes what the order goes by, may be shown or not.
    fn poll_entry<'a>(
        &'a mut self,
        job: &'a mut Self::Job,
    ) -> Poll<Result<Option<Entry<'a>>, Error>>;

    /// Completes the operation. For a write this is the commit: when it is ready with `Ok`,
    /// the file has its new content; with an error, the old content as before. Tells the bytes
    /// of the file that a write or a rename replaced, or that was deleted.
    fn poll_finish(&mut self, job: &mut Self::Job) -> Poll<Result<u64, Error>>;

    /// Throws the operation away. What a write has written leaves no trace, unless
    /// [`poll_finish`](Self::poll_finish) was polled: then it may be committed all the same. What
    /// changes a name, a date or a mode may be done already.
    fn cancel(&mut self, job: Self::Job);
}
