//! What a [`RamDisk`] promises beyond the contract: it is never short of memory that nobody
//! uses.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tinyftp::storage::ram::{BLOCK_SIZE, Block, Job, Node, RamDisk};
use tinyftp::storage::{By, Error, Keep, Op, Order, Storage};
use tinyftp::time::Timestamp;

use crate::contract::*;

promises!(with_a_disk);

const NODES: usize = 256;
const BLOCKS: usize = 4096;

/// Lends a disk, and sees that when all is deleted all memory is free.
fn with_a_disk(test: impl FnOnce(&mut RamDisk<'_>)) {
    with_a_small_disk(NODES, BLOCKS, test);
}

fn with_a_small_disk(nodes: usize, blocks: usize, test: impl FnOnce(&mut RamDisk<'_>)) {
    let mut node_memory: Vec<_> = (0..nodes).map(|_| Node::EMPTY).collect();
    let mut block_memory: Vec<_> = (0..blocks).map(|_| Block::EMPTY).collect();
    let mut disk = RamDisk::new(&mut node_memory, &mut block_memory);
    test(&mut disk);
    clear(&mut disk);
    assert_eq!((disk.free_nodes(), disk.free_blocks()), (nodes, blocks), "something leaked");
}

fn clear(disk: &mut RamDisk<'_>) {
    let mut directories = vec![b"/".to_vec()];
    let mut next = 0;
    while let Some(directory) = directories.get(next).cloned() {
        for entry in list(disk, &directory).unwrap() {
            let separator: &[u8] = if directory == b"/" { b"" } else { b"/" };
            let path = [&directory[..], separator, &entry.name].concat();
            match delete(disk, &path) {
                Ok(()) => (),
                Err(_) => directories.push(path),
            }
        }
        next += 1;
    }
    for directory in directories.iter().skip(1).rev() {
        remove_directory(disk, directory).unwrap();
    }
}

fn free(disk: &RamDisk<'_>) -> (usize, usize) {
    (disk.free_nodes(), disk.free_blocks())
}

#[test]
fn files_are_there_before_serving() {
    with_a_disk(|disk| {
        make_directory(disk, "/dir").unwrap();
        let content = pattern(2000);
        assert_eq!(disk.insert(path("/dir/a"), &content, Timestamp(7)), Ok(()));
        assert_eq!(disk.insert(path("/dir/a"), b"again", Timestamp(8)), Ok(()));
        assert_eq!(disk.insert(path("/dir/b"), &content, Timestamp(9)), Ok(()));
        assert_eq!(disk.insert(path("/none/a"), b"", Timestamp(9)), Err(Error::NotFound));
        assert_eq!(disk.insert(path("/dir"), b"", Timestamp(9)), Err(Error::IsADirectory));
        assert_eq!(read(disk, "/dir/a"), Ok(b"again".to_vec()));
        assert!(read(disk, "/dir/b").unwrap() == content);
        assert_eq!(show(disk, "/dir/b").unwrap().modified, 9);
        assert_eq!(show(disk, "/dir").unwrap().modified, 9);
        assert_eq!(show(disk, "/dir/b").unwrap().mode, None);
    });
}

#[test]
fn the_date_is_that_of_the_start() {
    with_a_disk(|disk| {
        let mut at = |op, seconds| {
            let mut job = disk.start(op, Timestamp(seconds)).unwrap();
            assert!(disk.poll_finish(&mut job).is_ready());
            ["/", "/dir", "/dir/a"].map(|path| show(disk, path).ok().map(|entry| entry.modified))
        };
        let (dir, a) = (path("/dir"), path("/dir/a"));
        let write = Op::Write { path: a, keep: Keep::Nothing, mode: 0o666 };
        assert_eq!(at(Op::MakeDirectory { path: dir, mode: 0o777 }, 1), [Some(1), Some(1), None]);
        assert_eq!(at(write, 2), [Some(1), Some(2), Some(2)]);
        assert_eq!(at(write, 3), [Some(1), Some(3), Some(3)]);
        assert_eq!(at(Op::Delete { path: a }, 4), [Some(1), Some(4), None]);
        assert_eq!(at(Op::RemoveDirectory { path: dir }, 5), [Some(5), None, None]);
    });
}

#[test]
fn without_blocks_the_old_file_stays() {
    with_a_small_disk(4, 10, |disk| {
        let content = pattern(6 * BLOCK_SIZE);
        write(disk, "/a", &content).unwrap();
        let before = free(disk);
        assert_eq!(write(disk, "/a", &pattern(5 * BLOCK_SIZE)), Err(Error::Full));
        assert_eq!(write(disk, "/b", &pattern(4 * BLOCK_SIZE + 1)), Err(Error::Full));
        assert_eq!(disk.insert(path("/b"), &pattern(5000), Timestamp(0)), Err(Error::Full));
        let job = begin_write(disk, "/a", Keep::All).unwrap();
        assert_eq!(complete(disk, job, b"more"), Err(Error::Full));
        let job = begin_write(disk, "/a", Keep::All).unwrap();
        assert_eq!(finish(disk, job), Err(Error::Full), "while it copies");
        assert_eq!(free(disk), before);
        assert_eq!(names(disk, "/"), ["a"]);
        assert!(read(disk, "/a").unwrap() == content);

        assert_eq!(write(disk, "/b", &pattern(4 * BLOCK_SIZE)), Ok(()), "the last block");
        assert_eq!(write(disk, "/empty", b""), Ok(()), "takes no block");
        assert_eq!(free(disk), (1, 0));
    });
}

#[test]
fn without_nodes_nothing_is_made() {
    with_a_small_disk(3, 10, |disk| {
        write(disk, "/a", b"a").unwrap();
        make_directory(disk, "/dir").unwrap();
        let job = begin_write(disk, "/b", Keep::Nothing).unwrap();
        assert_eq!(make_directory(disk, "/c"), Err(Error::Full));
        assert_eq!(write(disk, "/c", b""), Err(Error::Full));
        assert_eq!(begin_write(disk, "/a", Keep::All).err(), Some(Error::Full));
        assert_eq!(rename(disk, "/a", "/dir/a"), Ok(()), "takes none");
        disk.cancel(job);
        assert_eq!(write(disk, "/dir/a", b"A"), Ok(()));
        assert_eq!(write(disk, "/c", b""), Ok(()));
        assert_eq!(free(disk).0, 0);
    });
}

#[test]
fn memory_given_back_is_used_again() {
    with_a_small_disk(3, 10, |disk| {
        let content = |blocks: usize, round| vec![round; blocks * BLOCK_SIZE - 1];
        for round in 0..20 {
            write(disk, "/a", &content(3, round)).unwrap();
            write(disk, "/b", &content(2, round)).unwrap();
            write(disk, "/c", &content(5, round)).unwrap();
            assert_eq!(free(disk), (0, 0));
            for (name, blocks) in [("/a", 3), ("/b", 2), ("/c", 5)] {
                assert!(read(disk, name).unwrap() == content(blocks, round));
            }
            let order = [["/b", "/a", "/c"], ["/c", "/b", "/a"]][usize::from(round % 2)];
            for name in order {
                delete(disk, name).unwrap();
            }
            write(disk, "/all", &content(10, round)).unwrap();
            assert!(read(disk, "/all").unwrap() == content(10, round));
            delete(disk, "/all").unwrap();
        }
    });
}

/// The memory of the entry shown last gets another path: the listing goes on where it was.
#[test]
fn a_listing_goes_on_by_name() {
    let list = |change: fn(&mut RamDisk<'_>)| {
        let mut shown = vec![];
        with_a_disk(|disk| {
            make_directory(disk, "/dir").unwrap();
            make_directory(disk, "/other").unwrap();
            for name in ["/dir/a", "/dir/b", "/dir/d", "/other/c"] {
                write(disk, name, b"").unwrap();
            }
            let mut job = begin(disk, Op::List { path: path("/dir"), order: Order::NAME }).unwrap();
            shown
                .extend([next_name(disk, &mut job), next_name(disk, &mut job)].map(Option::unwrap));
            change(disk);
            shown.extend(std::iter::from_fn(|| next_name(disk, &mut job)));
            disk.cancel(job);
        });
        shown
    };
    assert_eq!(list(|_| ()), ["a", "b", "d"]);
    assert_eq!(list(|disk| delete(disk, "/dir/b").unwrap()), ["a", "b", "d"]);
    assert_eq!(list(|disk| rename(disk, "/dir/b", "/dir/e").unwrap()), ["a", "b", "d", "e"]);
    assert_eq!(list(|disk| rename(disk, "/dir/b", "/dir/0").unwrap()), ["a", "b", "d"]);
    assert_eq!(list(|disk| rename(disk, "/dir/b", "/other/b").unwrap()), ["a", "b", "d"]);
    assert_eq!(list(|disk| rename(disk, "/other/c", "/dir/b").unwrap()), ["a", "b", "d"]);
    let replaced = list(|disk| {
        delete(disk, "/dir/b").unwrap();
        write(disk, "/other/b", b"").unwrap();
        write(disk, "/dir/c", b"").unwrap();
    });
    assert_eq!(replaced, ["a", "b", "c", "d"]);
}

/// By date, by size and backwards all entries are looked at for each: not in one go.
#[test]
fn a_listing_in_order_waits_between() {
    with_a_small_disk(600, 10, |disk| {
        for i in 0..600 {
            write(disk, &format!("/{i:03}"), b"").unwrap();
        }
        for (order, least) in [
            (Order::NAME, 0),
            (Order { by: By::Name, reverse: true }, 20),
            (Order { by: By::Size, reverse: false }, 20),
        ] {
            let mut job = begin(disk, Op::List { path: path("/"), order }).unwrap();
            let (mut entries, mut waits) = (0, 0);
            loop {
                match disk.poll_entry(&mut job) {
                    Poll::Pending => waits += 1,
                    Poll::Ready(entry) if entry.unwrap().is_some() => entries += 1,
                    Poll::Ready(_) => break,
                }
            }
            assert_eq!(entries, 600);
            assert!((least..100).contains(&waits), "{order:?} {waits}");
            disk.cancel(job);
        }
    });
}

#[test]
fn a_disk_may_have_no_memory() {
    with_a_small_disk(0, 0, |disk| {
        assert_eq!(names(disk, "/"), [""; 0]);
        assert_eq!(write(disk, "/a", b""), Err(Error::Full));
        assert_eq!(make_directory(disk, "/a"), Err(Error::Full));
        assert_eq!(read(disk, "/a"), Err(Error::NotFound));
    });
}

#[test]
fn memory_in_use_is_free_when_the_last_job_ends() {
    with_a_disk(|disk| {
        let before = free(disk);
        make_directory(disk, "/dir").unwrap();
        write(disk, "/dir/a", &pattern(10 * BLOCK_SIZE)).unwrap();
        let one = begin(disk, Op::Read { path: path("/dir/a"), offset: 0 }).unwrap();
        let two = begin(disk, Op::Stat { path: path("/dir/a") }).unwrap();
        let list = begin(disk, Op::List { path: path("/dir"), order: Order::ANY }).unwrap();
        let upload = begin_write(disk, "/dir/b", Keep::Nothing).unwrap();
        let append = begin_write(disk, "/dir/a", Keep::All).unwrap();
        delete(disk, "/dir/a").unwrap();
        remove_directory(disk, "/dir").unwrap();
        assert_eq!(free(disk), (NODES - 4, BLOCKS - 10));
        disk.cancel(one);
        disk.cancel(two);
        assert_eq!(free(disk), (NODES - 4, BLOCKS - 10));
        assert_eq!(finish(disk, append), Err(Error::NotFound));
        assert_eq!(free(disk), (NODES - 2, BLOCKS));
        assert_eq!(complete(disk, upload, b"content"), Err(Error::NotFound));
        assert_eq!(free(disk), (NODES - 1, BLOCKS));
        disk.cancel(list);
        assert_eq!(free(disk), before);
    });
}

#[test]
fn a_poll_is_bounded() {
    with_a_disk(|disk| {
        let content = pattern(1_500_000);
        write(disk, "/a", &content[..1_000_000]).unwrap();
        let op = Op::Read { path: path("/a"), offset: 999_999 };
        let mut job = disk.start(op, now()).unwrap();
        assert!(disk.poll_open(&mut job).is_pending(), "the offset is far");
        let last = pull(disk, job).unwrap();
        assert_eq!(last, &content[999_999..1_000_000]);

        let mut job = begin_write(disk, "/a", Keep::All).unwrap();
        assert_eq!(disk.poll_write(&mut job, b"end"), Poll::Ready(Ok(0)), "it copies");
        assert!(disk.poll_finish(&mut job).is_pending());
        assert_eq!(finish(disk, job), Ok(()));
    });
}

/// Thousands of random operations on a small tree give what a map of paths gives, with
/// readers, writers and listings open all the while.
#[test]
fn it_does_what_a_simple_model_does() {
    for seed in 0..20 {
        with_a_small_disk(640, 5120, |disk| Run::new(seed, disk).run(3000));
    }
}

struct Run<'d, 'm> {
    random: Random,
    disk: &'d mut RamDisk<'m>,
    model: Model,
    readers: Vec<(Job, Vec<u8>)>,
    writers: Vec<(Job, Upload)>,
}

/// An upload in the model: the directory is known by its identity, as it may move.
struct Upload {
    directory: u64,
    name: String,
    content: Vec<u8>,
}

impl<'d, 'm> Run<'d, 'm> {
    fn new(seed: u64, disk: &'d mut RamDisk<'m>) -> Self {
        let (model, random) = (Model::default(), Random(seed));
        Self { random, disk, model, readers: vec![], writers: vec![] }
    }

    fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        self.compare_all();
        for (job, content) in self.readers.drain(..) {
            assert!(pull(self.disk, job).unwrap() == content);
        }
        for (job, _) in self.writers.drain(..) {
            self.disk.cancel(job);
        }
    }

    fn step(&mut self) {
        let (one, two) = (self.random.path(), self.random.path());
        match self.random.below(12) {
            0 => self.open_reader(&one),
            1 => self.end_reader(),
            2 | 3 => self.open_writer(&one),
            4 => self.write_more(),
            5 | 6 => self.end_writer(),
            7 | 8 => assert_eq!(make_directory(self.disk, &one), self.model.make_directory(&one)),
            9 => {
                let expected = self.model.rename(&one, &two);
                assert_eq!(rename(self.disk, &one, &two), expected, "{one} {two}");
            }
            10 => assert_eq!(delete(self.disk, &one), self.model.delete(&one)),
            _ => {
                let expected = self.model.remove_directory(&one);
                assert_eq!(remove_directory(self.disk, &one), expected);
                self.compare_all();
            }
        }
    }

    fn open_reader(&mut self, file: &str) {
        let offset = self.random.below(3000);
        let expected = self.model.file(file).map(|all| all[offset.min(all.len())..].to_vec());
        let op = Op::Read { path: path(file), offset: offset as u64 };
        match (begin(self.disk, op), expected) {
            (Ok(job), Ok(content)) => self.readers.push((job, content)),
            (job, expected) => assert_eq!(job.err(), expected.err()),
        }
        if self.readers.len() > 5 {
            self.end_reader();
        }
    }

    fn end_reader(&mut self) {
        if let Some((job, content)) = self.random.take(&mut self.readers) {
            assert!(pull(self.disk, job).unwrap() == content);
        }
    }

    fn open_writer(&mut self, file: &str) {
        let count = self.random.below(3000) as u64;
        let keep = [Keep::Nothing, Keep::All, Keep::Bytes(count)][self.random.below(3)];
        let expected = self.model.write(file, keep);
        match (begin_write(self.disk, file, keep), expected) {
            (Ok(job), Ok(upload)) => self.writers.push((job, upload)),
            (job, expected) => assert_eq!(job.err(), expected.err(), "{file} {keep:?}"),
        }
        if self.writers.len() > 5 {
            self.end_writer();
        }
    }

    fn write_more(&mut self) {
        let more = self.random.bytes();
        if let Some((job, upload)) = self.writers.last_mut() {
            push(self.disk, job, &more).unwrap();
            upload.content.extend(more);
        }
    }

    fn end_writer(&mut self) {
        let Some((job, upload)) = self.random.take(&mut self.writers) else { return };
        if self.random.below(4) == 0 {
            return self.disk.cancel(job);
        }
        let name = upload.name.clone();
        assert_eq!(finish(self.disk, job), self.model.commit(upload), "{name}");
    }

    fn compare_all(&mut self) {
        for (path, (_, thing)) in &self.model.0 {
            match thing {
                Thing::File(content) => assert!(read(self.disk, path).unwrap() == *content),
                Thing::Directory => {
                    let path = if path.is_empty() { "/" } else { path };
                    assert_eq!(names(self.disk, path), self.model.names(path));
                }
            }
        }
    }
}

#[derive(Clone)]
enum Thing {
    Directory,
    File(Vec<u8>),
}

/// What is where, each thing with its identity; the root is the empty path.
struct Model(BTreeMap<String, (u64, Thing)>);

impl Default for Model {
    fn default() -> Self {
        Self([(String::new(), (0, Thing::Directory))].into())
    }
}

impl Model {
    /// What is there; the error is that of the first component that is not as it must be.
    fn find(&self, path: &str) -> Result<&Thing, Error> {
        for (end, _) in path.match_indices('/') {
            match self.0.get(&path[..end]) {
                None => return Err(Error::NotFound),
                Some((_, Thing::File(_))) => return Err(Error::NotADirectory),
                Some(_) => (),
            }
        }
        self.0.get(path).map(|(_, thing)| thing).ok_or(Error::NotFound)
    }

    /// The same for what may be absent.
    fn find_place(&self, path: &str) -> Result<Option<&Thing>, Error> {
        let (directory, _) = path.rsplit_once('/').unwrap();
        match self.find(directory)? {
            Thing::File(_) => Err(Error::NotADirectory),
            Thing::Directory => Ok(self.find(path).ok()),
        }
    }

    fn file(&self, path: &str) -> Result<&Vec<u8>, Error> {
        match self.find(path)? {
            Thing::File(content) => Ok(content),
            Thing::Directory => Err(Error::IsADirectory),
        }
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let start = format!("{}/", directory.trim_end_matches('/'));
        let below = self.0.keys().filter_map(|path| path.strip_prefix(&start));
        below.filter(|rest| !rest.is_empty() && !rest.contains('/')).map(String::from).collect()
    }

    fn insert(&mut self, path: &str, thing: Thing) {
        static IDENTITY: AtomicU64 = AtomicU64::new(1);
        let identity = IDENTITY.fetch_add(1, Ordering::Relaxed);
        self.0.insert(path.into(), (identity, thing));
    }

    fn write(&self, path: &str, keep: Keep) -> Result<Upload, Error> {
        let old = match self.find_place(path)? {
            None => vec![],
            Some(Thing::File(content)) => content.clone(),
            Some(Thing::Directory) => return Err(Error::IsADirectory),
        };
        let kept = match keep {
            Keep::Nothing => 0,
            Keep::All => old.len(),
            Keep::Bytes(count) => count as usize,
        };
        let content = old.get(..kept).ok_or(Error::BadOffset)?.to_vec();
        let (directory, name) = path.rsplit_once('/').unwrap();
        Ok(Upload { directory: self.0[directory].0, name: name.into(), content })
    }

    fn commit(&mut self, upload: Upload) -> Result<(), Error> {
        let identity = |entry: &(&String, &(u64, Thing))| entry.1.0 == upload.directory;
        let (directory, _) = self.0.iter().find(identity).ok_or(Error::NotFound)?;
        let path = format!("{directory}/{}", upload.name);
        if let Some((_, Thing::Directory)) = self.0.get(&path) {
            return Err(Error::IsADirectory);
        }
        self.insert(&path, Thing::File(upload.content));
        Ok(())
    }

    fn make_directory(&mut self, path: &str) -> Result<(), Error> {
        match self.find_place(path)? {
            Some(_) => Err(Error::Exists),
            None => {
                self.insert(path, Thing::Directory);
                Ok(())
            }
        }
    }

    fn remove_directory(&mut self, path: &str) -> Result<(), Error> {
        match self.find(path)? {
            Thing::File(_) => Err(Error::NotADirectory),
            Thing::Directory if !self.names(path).is_empty() => Err(Error::NotEmpty),
            Thing::Directory => {
                self.0.remove(path);
                Ok(())
            }
        }
    }

    fn delete(&mut self, path: &str) -> Result<(), Error> {
        self.file(path)?;
        self.0.remove(path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let thing = self.find(from)?.clone();
        let below = format!("{from}/");
        if from == to {
            return Ok(());
        }
        if matches!(thing, Thing::Directory) && to.starts_with(&below) {
            return Err(Error::Denied);
        }
        match (thing, self.find_place(to)?) {
            (Thing::File(_), Some(Thing::Directory)) => return Err(Error::IsADirectory),
            (Thing::Directory, Some(Thing::File(_))) => return Err(Error::NotADirectory),
            (Thing::Directory, Some(_)) if !self.names(to).is_empty() => {
                return Err(Error::NotEmpty);
            }
            _ => (),
        }
        let moves = |path: &String| path == from || path.starts_with(&below);
        let moved: Vec<_> = self.0.keys().filter(|path| moves(path)).cloned().collect();
        for path in moved {
            let thing = self.0.remove(&path).unwrap();
            self.0.insert(format!("{to}{}", &path[from.len()..]), thing);
        }
        Ok(())
    }
}

/// A linear congruential generator (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    /// One of a few names, in one of a few directories.
    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        (0..depth).map(|_| ["/a", "/b", "/c"][self.below(3)]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let start = self.below(256);
        (0..self.below(2000)).map(|i| (start + i + i / 256) as u8).collect()
    }

    fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        let count = from.len();
        (count > 0).then(|| from.swap_remove(self.below(count)))
    }
}
