//! Listings of a directory of the host.

use std::task::Poll;

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, OFlags, Stat};
use rustix::io::Errno;
use tinyftp::storage::{By, Entry, Error, Kind, Order, Path};

use super::sorted::Sorted;
use super::{Disk, State, entry, file_type, is_temporary, kind, outcome};

/// Entries that one poll looks at, at most.
const LOOK_ENTRIES: usize = 64;

/// Names that one poll reads, at most.
const READ_NAMES: usize = 2048;

/// A listing under way.
#[derive(Debug)]
pub struct Listing {
    directory: Dir,
    /// The path of the directory, with a `/` at its end.
    path: Vec<u8>,
    /// The path of its jail.
    jail: Vec<u8>,
    /// The name shown last.
    name: Vec<u8>,
    only_directories: bool,
    order: Order,
    sorted: Sorted,
    /// Whether all there is to be sorted has been read.
    is_sorted: bool,
}

impl Disk {
    pub(super) fn lister(&self, path: Path<'_>, order: Order) -> Result<State, Errno> {
        match self.listing(path, order) {
            Err(Errno::NOTDIR) => self.show(path),
            listing => listing.map(State::List),
        }
    }

    pub(super) fn lister_of_directories(
        &self,
        path: Path<'_>,
        after: &[u8],
    ) -> Result<State, Errno> {
        let listing = self.listing(path, Order::NAME)?;
        let sorted = Sorted::after(after);
        Ok(State::List(Listing { only_directories: true, sorted, ..listing }))
    }

    fn listing(&self, path: Path<'_>, order: Order) -> Result<Listing, Errno> {
        let directory = Dir::new(self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?)?;
        let jail = path.jail().as_bytes().to_vec();
        let mut path = path.as_bytes().to_vec();
        if path != b"/" {
            path.push(b'/');
        }
        Ok(Listing {
            directory,
            path,
            jail,
            name: Vec::new(),
            only_directories: false,
            order,
            sorted: Sorted::new(order),
            is_sorted: false,
        })
    }

    pub(super) fn poll_listing<'a>(
        &self,
        listing: &'a mut Listing,
    ) -> Poll<Result<Option<Entry<'a>>, Error>> {
        let found = match listing.order.by {
            By::Any => self.next_as_read(listing),
            _ => self.next_in_order(listing),
        };
        match found {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(stat)) => Poll::Ready(Ok(stat.map(|stat| entry(&listing.name, &stat)))),
            Err(error) => Poll::Ready(Err(outcome(error))),
        }
    }

    fn next_as_read(&self, listing: &mut Listing) -> Result<Poll<Option<Stat>>, Errno> {
        for _ in 0..LOOK_ENTRIES {
            match listing.read_name()? {
                Read::End => return Ok(Poll::Ready(None)),
                Read::Hidden => (),
                Read::Name => {
                    if let Some(stat) = self.look(listing)? {
                        return Ok(Poll::Ready(Some(stat)));
                    }
                }
            }
        }
        Ok(Poll::Pending)
    }

    fn next_in_order(&self, listing: &mut Listing) -> Result<Poll<Option<Stat>>, Errno> {
        if !listing.is_sorted {
            listing.is_sorted = self.take_in(listing)?;
            if !listing.is_sorted {
                return Ok(Poll::Pending);
            }
        }
        for _ in 0..LOOK_ENTRIES {
            let Some(name) = listing.sorted.next() else { return Ok(listing.read_again()) };
            name.clone_into(&mut listing.name);
            if let Some(stat) = self.look(listing)? {
                return Ok(Poll::Ready(Some(stat)));
            }
        }
        Ok(Poll::Pending)
    }

    /// Takes in some more of what is to be sorted; false if something is left.
    fn take_in(&self, listing: &mut Listing) -> Result<bool, Errno> {
        let by_name = listing.order.by == By::Name;
        let share = if by_name { READ_NAMES } else { LOOK_ENTRIES };
        for _ in 0..share {
            match listing.read_name()? {
                Read::End => return Ok(true),
                Read::Hidden => (),
                Read::Name if by_name => listing.sorted.add(0, &listing.name),
                Read::Name => {
                    if let Some(stat) = self.look(listing)? {
                        let key = listing.order.key(&entry(&listing.name, &stat));
                        listing.sorted.add(key, &listing.name);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Looks at the entry of a listing that has just been named. What has gone meanwhile, or may
    /// not be looked at, leaves the others to be listed.
    fn look(&self, listing: &Listing) -> Result<Option<Stat>, Errno> {
        let path = [&listing.path[..], &listing.name].concat();
        let (Some(path), Some(jail)) = (Path::new(&path), Path::new(&listing.jail)) else {
            return Ok(None);
        };
        let path = path.in_jail(jail);
        match self.stat(listing.directory.fd()?, &listing.name, path) {
            Err(Errno::NOENT | Errno::ACCESS | Errno::PERM) => Ok(None),
            Err(error) => Err(error),
            Ok((link, target))
                if file_type(&link) == FileType::Symlink
                    && kind(&target) == Kind::Directory
                    && self.is_around(&target, path) =>
            {
                Ok(Some(link))
            }
            Ok((_, target)) => Ok(Some(target)),
        }
    }

    /// Whether a directory is one of those that a path goes through. A client that went down such
    /// a link would never come to an end.
    fn is_around(&self, directory: &Stat, path: Path<'_>) -> bool {
        let is_it = |path| {
            let found = self.resolve(path, OFlags::PATH).and_then(rustix::fs::fstat);
            found.is_ok_and(|stat| {
                (stat.st_dev, stat.st_ino) == (directory.st_dev, directory.st_ino)
            })
        };
        std::iter::successors(path.parent(), |(parent, _)| parent.parent())
            .any(|(parent, _)| is_it(parent))
    }
}

/// What was read of a directory.
enum Read {
    End,
    /// A name that is not shown.
    Hidden,
    Name,
}

impl Listing {
    fn read_name(&mut self) -> Result<Read, Errno> {
        let Some(entry) = self.directory.read().transpose()? else { return Ok(Read::End) };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || is_temporary(name) {
            return Ok(Read::Hidden);
        }
        if self.only_directories && !self.is_directory(&entry)? {
            return Ok(Read::Hidden);
        }
        name.clone_into(&mut self.name);
        Ok(Read::Name)
    }

    /// Whether an entry is a directory itself, and does not only lead to one.
    fn is_directory(&self, entry: &DirEntry) -> Result<bool, Errno> {
        if entry.file_type() != FileType::Unknown {
            return Ok(entry.file_type() == FileType::Directory);
        }
        let directory = self.directory.fd()?;
        let stat = rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        Ok(stat.is_ok_and(|stat| file_type(&stat) == FileType::Directory))
    }

    /// All that was taken in has been shown: if there was more, it is next.
    fn read_again(&mut self) -> Poll<Option<Stat>> {
        if !self.sorted.read_again() {
            return Poll::Ready(None);
        }
        self.directory.rewind();
        self.is_sorted = false;
        Poll::Pending
    }
}
