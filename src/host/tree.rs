//! What the server looks at in its storage before it serves it.

use std::collections::HashSet;
use std::task::Poll;

use log::warn;
use tinyftp::storage::{Entry, Error, Kind, Op, Order, Path, Storage};
use tinyftp::time::Timestamp;

/// Whether there is a directory at `path`.
pub fn is_directory(storage: &mut impl Storage, path: Path<'_>) -> bool {
    let Ok(mut job) = storage.start(Op::Stat { path }, Timestamp(0)) else { return false };
    let kind = next(storage, &mut job).map(|entry| entry.map(|found| found.kind));
    storage.cancel(job);
    kind == Ok(Some(Kind::Directory))
}

/// Makes the directory at `path`, and those that it is in.
pub fn make_directory(
    storage: &mut impl Storage,
    path: Path<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    if is_directory(storage, path) {
        return Ok(());
    }
    if let Some((parent, _)) = path.parent() {
        make_directory(storage, parent, now)?;
    }
    let mut job = storage.start(Op::MakeDirectory { path, mode: 0o777 }, now)?;
    ready(|| storage.poll_finish(&mut job)).map(|_| ())
}

/// Bytes of all files below `path`, each counted once, however many links lead to it.
pub fn bytes_below(storage: &mut impl Storage, path: Path<'_>) -> Result<u64, Error> {
    let (mut bytes, mut seen) = (0, HashSet::new());
    let mut left = vec![path.as_bytes().to_vec()];
    while let Some(directory) = left.pop() {
        let Some(path) = Path::new(&directory) else { continue };
        let entries = match entries(storage, path) {
            Ok(entries) => entries,
            // What has gone meanwhile has nothing.
            Err(Error::NotFound) => continue,
            Err(Error::Denied | Error::BadName) => {
                let name = String::from_utf8_lossy(&directory);
                warn!("{} cannot be read: no quota counts what is in it", name.escape_debug());
                continue;
            }
            Err(error) => return Err(error),
        };
        for Found { id, kind, size, name } in entries {
            match kind {
                _ if !seen.insert(id) => {}
                Kind::Directory => {
                    let parent = directory.strip_suffix(b"/").unwrap_or(&directory);
                    left.push([parent, &name].join(&b'/'));
                }
                _ => bytes += size,
            }
        }
    }
    Ok(bytes)
}

/// An entry, owned.
struct Found {
    id: u64,
    kind: Kind,
    size: u64,
    name: Vec<u8>,
}

fn entries(storage: &mut impl Storage, path: Path<'_>) -> Result<Vec<Found>, Error> {
    let mut job = storage.start(Op::List { path, order: Order::ANY }, Timestamp(0))?;
    let entries = std::iter::from_fn(|| next(storage, &mut job).transpose()).collect();
    storage.cancel(job);
    entries
}

fn next<S: Storage>(storage: &mut S, job: &mut S::Job) -> Result<Option<Found>, Error> {
    let found = |entry: Entry<'_>| {
        let Entry { id, kind, size, name, .. } = entry;
        Found { id, kind, size, name: name.to_vec() }
    };
    ready(|| storage.poll_entry(job).map_ok(|entry| entry.map(found)))
}

fn ready<T>(mut poll: impl FnMut() -> Poll<T>) -> T {
    loop {
        if let Poll::Ready(value) = poll() {
            return value;
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use tinyftp::storage::ram::{Block, Node, RamDisk};

    use super::*;

    #[test]
    fn a_tree_is_made_and_measured() {
        let (mut nodes, mut blocks) = ([Node::EMPTY; 8], [Block::EMPTY; 8]);
        let mut disk = RamDisk::new(&mut nodes, &mut blocks);
        let path = |text: &'static str| Path::new(text.as_bytes()).unwrap();
        assert_eq!(make_directory(&mut disk, path("/a/b/c"), Timestamp(0)), Ok(()));
        assert_eq!(make_directory(&mut disk, path("/a/b"), Timestamp(0)), Ok(()));
        disk.insert(path("/a/b/c/x"), &[1; 700], Timestamp(0)).unwrap();
        disk.insert(path("/a/x"), &[1; 30], Timestamp(0)).unwrap();
        disk.insert(path("/y"), &[1; 4], Timestamp(0)).unwrap();
        assert!(is_directory(&mut disk, path("/a/b/c")) && is_directory(&mut disk, Path::ROOT));
        assert!(!is_directory(&mut disk, path("/y")) && !is_directory(&mut disk, path("/z")));
        assert_eq!(bytes_below(&mut disk, path("/a")), Ok(730));
        assert_eq!(bytes_below(&mut disk, Path::ROOT), Ok(734));
        assert_eq!(make_directory(&mut disk, path("/y/z"), Timestamp(0)), Err(Error::Exists));
    }
}
