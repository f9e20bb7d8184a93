//! Quotas in front of a RAM disk.

use std::task::Poll;

use tinyftp::storage::quota::{Quota, Quotas};
use tinyftp::storage::ram::{Block, Node, RamDisk};
use tinyftp::storage::{Error, Keep, Kind, Op, Storage};

use crate::contract::*;

promises!(with_room);

type Limited<'q, 'd> = Quotas<'q, RamDisk<'d>>;

/// Lends a storage with quotas that hold everything.
fn with_room(test: impl FnOnce(&mut Limited<'_, '_>)) {
    with_quotas(&[("/elsewhere", 0), ("/", u64::MAX), ("/", u64::MAX)], test);
}

/// Lends a storage with quotas, the last one of everything, and sees that it counted right.
fn with_quotas(quotas: &[(&str, u64)], test: impl FnOnce(&mut Limited<'_, '_>)) {
    let mut nodes: Vec<_> = (0..256).map(|_| Node::EMPTY).collect();
    let mut blocks: Vec<_> = (0..4096).map(|_| Block::EMPTY).collect();
    let mut quotas: Vec<_> = quotas.iter().map(|&(at, max)| Quota::new(path(at), max, 0)).collect();
    let mut storage = Quotas::new(RamDisk::new(&mut nodes, &mut blocks), &mut quotas);
    test(&mut storage);
    let stored = stored(&mut storage, b"/");
    assert_eq!(storage.quotas().last().map(Quota::used), Some(stored), "counted wrongly");
}

/// Bytes of all files in a directory.
fn stored(s: &mut impl Storage, directory: &[u8]) -> u64 {
    let entries = list(s, directory).unwrap();
    let below = |name: &[u8]| {
        [directory.trim_ascii_end().strip_suffix(b"/").unwrap_or(directory), name].join(&b'/')
    };
    entries
        .iter()
        .map(|entry| match entry.kind {
            Kind::Directory => stored(s, &below(&entry.name)),
            _ => entry.size,
        })
        .sum()
}

/// Appends and commits.
fn append(s: &mut impl Storage, file: &str, content: &[u8]) -> Result<(), Error> {
    let job = begin_write(s, file, Keep::All)?;
    complete(s, job, content)
}

fn available(s: &mut impl Storage, directory: &str) -> u64 {
    let mut job = begin(s, Op::Available { path: path(directory) }).unwrap();
    let Poll::Ready(Ok(Some(bytes))) = s.poll_open(&mut job) else { panic!("not told") };
    s.cancel(job);
    bytes
}

#[test]
fn no_more_is_stored_than_the_quota_has() {
    with_quotas(&[("/", 10)], |s| {
        assert_eq!(write(s, "/a", &[1; 6]), Ok(()));
        assert_eq!(write(s, "/b", &[2; 5]), Err(Error::OverQuota));
        assert_eq!(write(s, "/b", &[2; 4]), Ok(()));
        assert_eq!(append(s, "/b", b"x"), Err(Error::OverQuota));
        assert_eq!(write(s, "/empty", b""), Ok(()));
        assert_eq!(available(s, "/"), 0);
        assert_eq!(delete(s, "/a"), Ok(()));
        assert_eq!(available(s, "/"), 6);
        assert_eq!(append(s, "/b", &[3; 6]), Ok(()));
        assert_eq!(read(s, "/b"), Ok([[2; 4].as_slice(), &[3; 6]].concat()));
    });
}

#[test]
fn an_upload_counts_while_it_runs() {
    with_quotas(&[("/", 10)], |s| {
        let mut first = begin_write(s, "/a", Keep::Nothing).unwrap();
        push(s, &mut first, &[1; 7]).unwrap();
        assert_eq!(write(s, "/b", &[2; 4]), Err(Error::OverQuota));
        s.cancel(first);
        assert_eq!(write(s, "/b", &[2; 10]), Ok(()));
        // What is replaced is given back at the end, and not before.
        assert_eq!(write(s, "/b", &[3; 5]), Err(Error::OverQuota));
        delete(s, "/b").unwrap();
        assert_eq!(write(s, "/b", &[3; 5]), Ok(()));
        assert_eq!(write(s, "/b", &[4; 5]), Ok(()));
        assert_eq!(available(s, "/"), 5);
    });
}

#[test]
fn what_is_kept_counts_once() {
    with_quotas(&[("/", 10)], |s| {
        write(s, "/a", &[1; 4]).unwrap();
        let job = begin_write(s, "/a", Keep::Bytes(3)).unwrap();
        assert_eq!(complete(s, job, &[2; 3]), Ok(()));
        assert_eq!(available(s, "/"), 4);
        assert_eq!(append(s, "/a", &[3; 4]), Ok(()));
        assert_eq!(available(s, "/"), 0);
        // Cut short.
        let job = begin_write(s, "/a", Keep::Bytes(1)).unwrap();
        assert_eq!(finish(s, job), Ok(()));
        assert_eq!(available(s, "/"), 9);
        assert_eq!(begin_write(s, "/a", Keep::Bytes(5)).err(), Some(Error::BadOffset));
        assert_eq!(available(s, "/"), 9);
    });
}

#[test]
fn a_quota_lies_in_another() {
    with_quotas(&[("/home/anna", 4), ("/home", 6), ("/home", 7), ("/", 100)], |s| {
        make_directory(s, "/home").unwrap();
        make_directory(s, "/home/anna").unwrap();
        assert_eq!(write(s, "/home/anna/a", &[1; 5]), Err(Error::OverQuota));
        assert_eq!(write(s, "/home/anna/a", &[1; 4]), Ok(()));
        assert_eq!(write(s, "/home/b", &[2; 3]), Err(Error::OverQuota));
        assert_eq!(write(s, "/home/b", &[2; 2]), Ok(()));
        assert_eq!(write(s, "/homes", &[3; 50]), Ok(()), "that is another name");
        let used: Vec<_> = s.quotas().iter().map(Quota::used).collect();
        assert_eq!(used, [4, 6, 6, 56]);
        assert_eq!((available(s, "/home"), available(s, "/")), (0, 44));
        // From one to the other would need to be known in size, and that of a tree is not.
        assert_eq!(rename(s, "/home/b", "/b"), Err(Error::Denied));
        assert_eq!(rename(s, "/home/anna/a", "/home/c"), Err(Error::Denied));
        assert_eq!(rename(s, "/home/b", "/home/c"), Ok(()));
        assert_eq!(write(s, "/d", &[4; 10]), Ok(()));
        assert_eq!(rename(s, "/d", "/homes"), Ok(()), "50 bytes less");
        let used: Vec<_> = s.quotas().iter().map(Quota::used).collect();
        assert_eq!(used, [4, 6, 6, 16]);
    });
}

/// Where a whole tree would come into a quota or leave it, how much that is is not known.
#[test]
fn a_directory_around_a_quota_keeps_its_name() {
    with_quotas(&[("/home/anna", 10), ("/", 1000)], |s| {
        for directory in ["/home", "/home/anna", "/x", "/x/anna"] {
            make_directory(s, directory).unwrap();
        }
        write(s, "/home/anna/a", &[1; 10]).unwrap();
        write(s, "/x/anna/a", &[1; 100]).unwrap();
        assert_eq!(rename(s, "/home", "/old"), Err(Error::Denied));
        delete(s, "/home/anna/a").unwrap();
        remove_directory(s, "/home/anna").unwrap();
        remove_directory(s, "/home").unwrap();
        assert_eq!(rename(s, "/x", "/home"), Err(Error::Denied));
        assert_eq!(rename(s, "/x", "/y"), Ok(()));
    });
}
