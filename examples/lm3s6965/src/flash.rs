//! Files in flash, which show as a directory of the storage in RAM and can only be read.

use core::task::Poll;

use tinyftp::storage::{Entry, Error, Kind, Op, Order, Path, Storage};
use tinyftp::time::Timestamp;

/// The directory; the storage behind has to have it, empty.
pub const DIRECTORY: &str = "/flash";

/// A file in flash.
pub struct File {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub content: &'static [u8],
}

/// A file, and its place among the others.
type Numbered = (usize, &'static File);

fn entry((number, file): Numbered) -> Entry<'static> {
    Entry {
        name: file.name.as_bytes(),
        kind: Kind::File,
        size: file.content.len() as u64,
        modified: Timestamp(0),
        mode: None,
        // The disk in RAM has numbers of 16 bits.
        id: (1 << 16) + number as u64,
    }
}

/// A storage with files in flash in front.
pub struct Flash<S> {
    storage: S,
    files: &'static [File],
}

/// An operation under way.
pub enum Job<J> {
    /// One of the storage behind.
    Behind(J),
    /// Bytes that are still to be read of a file of so many.
    Read { rest: &'static [u8], size: usize },
    /// A listing, and the file that was shown last.
    List { order: Order, shown: Option<Numbered> },
    /// A listing of one file.
    Show { file: Numbered },
    /// Nothing more.
    Over,
}

/// What a path below the directory leads to.
enum Place {
    Directory,
    File(Numbered),
    Nothing,
}

impl<S> Flash<S> {
    /// Puts files in front of a storage, in the order of their names.
    pub fn new(storage: S, files: &'static [File]) -> Self {
        debug_assert!(files.is_sorted_by_key(|file| file.name));
        Self { storage, files }
    }

    fn numbered(&self) -> impl Iterator<Item = Numbered> {
        self.files.iter().enumerate()
    }

    fn find(&self, path: Path<'_>) -> Place {
        let mut names = path.components().skip(1);
        match (names.next(), names.next()) {
            (None, _) => Place::Directory,
            (Some(name), None) => self
                .numbered()
                .find(|(_, file)| file.name.as_bytes() == name)
                .map_or(Place::Nothing, Place::File),
            _ => Place::Nothing,
        }
    }

    fn read<J>(&self, path: Path<'_>, offset: u64) -> Result<Job<J>, Error> {
        match self.find(path) {
            Place::Directory => Err(Error::IsADirectory),
            Place::File((_, File { content, .. })) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = content.get(offset..).unwrap_or_default();
                Ok(Job::Read { rest, size: content.len() })
            }
            Place::Nothing => Err(Error::NotFound),
        }
    }

    fn list<J>(&self, path: Path<'_>, order: Order) -> Result<Job<J>, Error> {
        match self.find(path) {
            Place::Directory => Ok(Job::List { order, shown: None }),
            Place::File(file) => Ok(Job::Show { file }),
            Place::Nothing => Err(Error::NotFound),
        }
    }

    fn directories<J>(&self, path: Path<'_>) -> Result<Job<J>, Error> {
        match self.find(path) {
            Place::Directory => Ok(Job::Over),
            Place::File(_) => Err(Error::NotADirectory),
            Place::Nothing => Err(Error::NotFound),
        }
    }

    /// The file that comes next in a listing.
    fn next(&self, order: Order, shown: Option<Numbered>) -> Option<Numbered> {
        // The files are in the order of their names.
        let place = |file: Numbered| (order.key(&entry(file)), file.0);
        let is_left = |&file: &Numbered| match shown {
            Some(shown) if order.reverse => place(file) < place(shown),
            Some(shown) => place(file) > place(shown),
            None => true,
        };
        let left = self.numbered().filter(is_left);
        if order.reverse {
            left.max_by_key(|&file| place(file))
        } else {
            left.min_by_key(|&file| place(file))
        }
    }
}

/// Whether a path is the directory, or below it.
fn is_ours(path: Path<'_>) -> bool {
    path.components().next() == DIRECTORY.as_bytes().get(1..)
}

impl<S: Storage> Storage for Flash<S> {
    type Job = Job<S::Job>;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Self::Job, Error> {
        match op {
            Op::Read { path, offset } if is_ours(path) => self.read(path, offset),
            Op::List { path, order } if is_ours(path) => self.list(path, order),
            Op::Directories { path, .. } if is_ours(path) => self.directories(path),
            // The directory itself is one of the storage behind.
            Op::Stat { path } if is_ours(path) && path.as_bytes() != DIRECTORY.as_bytes() => {
                self.list(path, Order::ANY)
            }
            Op::Write { path, .. }
            | Op::MakeDirectory { path, .. }
            | Op::RemoveDirectory { path }
            | Op::Delete { path }
            | Op::Rename { from: path, .. }
            | Op::Rename { to: path, .. }
            | Op::SetModified { path, .. }
            | Op::SetMode { path, .. }
                if is_ours(path) =>
            {
                Err(Error::Denied)
            }
            op => self.storage.start(op, now).map(Job::Behind),
        }
    }

    fn poll_open(&mut self, job: &mut Self::Job) -> Poll<Result<Option<u64>, Error>> {
        match job {
            Job::Behind(job) => self.storage.poll_open(job),
            Job::Read { size, .. } => Poll::Ready(Ok(Some(*size as u64))),
            _ => Poll::Ready(Ok(None)),
        }
    }

    fn poll_read(&mut self, job: &mut Self::Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        match job {
            Job::Behind(job) => self.storage.poll_read(job, buf),
            Job::Read { rest, .. } => {
                let mut len = 0;
                for (to, from) in buf.iter_mut().zip(*rest) {
                    *to = *from;
                    len += 1;
                }
                *rest = rest.get(len..).unwrap_or_default();
                Poll::Ready(Ok(len))
            }
            _ => Poll::Ready(Err(Error::Io)),
        }
    }

    fn poll_write(&mut self, job: &mut Self::Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        match job {
            Job::Behind(job) => self.storage.poll_write(job, buf),
            _ => Poll::Ready(Err(Error::Io)),
        }
    }

    fn poll_entry<'a>(
        &'a mut self,
        job: &'a mut Self::Job,
    ) -> Poll<Result<Option<Entry<'a>>, Error>> {
        let file = match job {
            Job::Behind(job) => return self.storage.poll_entry(job),
            Job::List { order, shown } => {
                let next = self.next(*order, *shown);
                match next {
                    Some(_) => *shown = next,
                    None => *job = Job::Over,
                }
                next
            }
            &mut Job::Show { file } => {
                *job = Job::Over;
                Some(file)
            }
            Job::Over => None,
            Job::Read { .. } => return Poll::Ready(Err(Error::Io)),
        };
        Poll::Ready(Ok(file.map(entry)))
    }

    fn poll_finish(&mut self, job: &mut Self::Job) -> Poll<Result<u64, Error>> {
        match job {
            Job::Behind(job) => self.storage.poll_finish(job),
            _ => Poll::Ready(Ok(0)),
        }
    }

    fn cancel(&mut self, job: Self::Job) {
        if let Job::Behind(job) = job {
            self.storage.cancel(job);
        }
    }
}
