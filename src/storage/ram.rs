//! A file system in fixed memory.
//!
//! Files and directories are [`Node`]s; the content of a file is a chain of [`Block`]s. A
//! file that has a path never changes: an upload fills a node without a path, and its commit
//! puts that node in the place of the old one. So a reader needs no lock. Each job pins the
//! nodes that it uses, and a node without a path is freed with its last pin.
//!
//! Nodes and blocks are numbered from 1, so that empty ones are all zeros: a disk in statics
//! takes no room in the firmware's image. Number 0 is the root, and, as the root is nobody's
//! child, also the end of every list.

mod memory;
mod tree;

use core::mem;
use core::task::Poll;

use super::{Entry, Error, Keep, Op, Order, Path, Storage};
use crate::bytes::copy;
use crate::time::Timestamp;
pub use memory::{BLOCK_SIZE, Block, NAME_MAX, Node};
use memory::{Free, NONE, Name, ROOT, Reader};

/// Blocks that one call copies, at most, of what a write keeps.
const COPY_BLOCKS: usize = 64;

/// Nodes that a listing looks at before it waits for its next turn, but for those of one entry.
const LOOK_NODES: usize = 8 * 1024;

/// A file system in memory that the caller lends it: one node for each file and directory
/// but the root, and one for each upload under way. It uses at most 65,535 of each kind.
///
/// Every operation but an upload is done in [`start`](Storage::start) or reads memory: only
/// the search for a large offset, the copying of what an upload keeps, and listings by date or
/// by size or backwards, which look at a whole directory for each entry, take more than one poll.
#[derive(Debug)]
pub struct RamDisk<'a> {
    root: Node,
    nodes: &'a mut [Node],
    blocks: &'a mut [Block],
    free_nodes: Free,
    free_blocks: Free,
}

/// An operation of a [`RamDisk`] under way.
#[derive(Debug)]
pub struct Job(State);

#[derive(Debug)]
enum State {
    Read(Reader),
    Write(Writer),
    List(Lister),
    Show {
        node: u16,
    },
    Shown {
        node: u16,
    },
    Available {
        bytes: u64,
    },
    /// All is done, and a file of so many bytes is gone.
    Done {
        gone: u64,
    },
}

#[derive(Debug)]
struct Writer {
    directory: u16,
    file: u16,
    /// What is still to be copied of the old file.
    kept: Option<Reader>,
}

/// A place in a directory. It holds no pin on the child: its name tells where to go on when it
/// has left.
#[derive(Debug)]
struct Lister {
    directory: u16,
    order: Order,
    only_directories: bool,
    /// The child shown last.
    child: u16,
    /// Its place in the order, and its name.
    shown: Option<(u64, Name)>,
    /// Nodes looked at since the listing last waited.
    looked_at: usize,
}

impl Lister {
    /// The listing goes on behind that child.
    fn has_shown(&mut self, child: u16, node: &Node) {
        self.child = child;
        self.shown = Some((self.order.key(&node.entry(0)), node.name.clone()));
    }
}

impl<'a> RamDisk<'a> {
    /// An empty disk.
    pub fn new(nodes: &'a mut [Node], blocks: &'a mut [Block]) -> Self {
        Self {
            root: Node { directory: true, is_linked: true, ..Node::EMPTY },
            free_nodes: Free::new(nodes.len()),
            free_blocks: Free::new(blocks.len()),
            nodes,
            blocks,
        }
    }

    /// Puts a file there before serving begins.
    pub fn insert(&mut self, path: Path<'_>, content: &[u8], now: Timestamp) -> Result<(), Error> {
        let writer = self.writer(path, Keep::Nothing, now)?;
        if self.append(writer.file, content) < content.len() {
            self.release(State::Write(writer));
            return Err(Error::Full);
        }
        self.commit(writer).map(|_| ())
    }

    /// How many more files and directories there is room for.
    pub fn free_nodes(&self) -> usize {
        self.free_nodes.count.into()
    }

    /// How many more blocks there is room for, of [`BLOCK_SIZE`] bytes each.
    pub fn free_blocks(&self) -> usize {
        self.free_blocks.count.into()
    }

    fn reader(&mut self, path: Path<'_>, offset: u64) -> Result<Reader, Error> {
        let file = self.find(path)?;
        if self.node(file).directory {
            return Err(Error::IsADirectory);
        }
        Ok(self.reader_at(file, offset))
    }

    fn writer(&mut self, path: Path<'_>, keep: Keep, now: Timestamp) -> Result<Writer, Error> {
        let (directory, name) = self.place(path)?.ok_or(Error::IsADirectory)?;
        let old = self.child(directory, &name);
        let size = match old.map(|old| self.node(old)) {
            Some(old) if old.directory => return Err(Error::IsADirectory),
            Some(old) => old.size,
            None => 0,
        };
        let kept = match keep {
            Keep::Nothing => 0,
            Keep::All => size,
            Keep::Bytes(count) => {
                u32::try_from(count).ok().filter(|&n| n <= size).ok_or(Error::BadOffset)?
            }
        };
        let file = self.take_node(Node { name, modified: now, ..Node::EMPTY })?;
        self.pin(file);
        self.pin(directory);
        let old = old.filter(|_| kept > 0);
        let kept = old.map(|old| Reader { left: kept, ..self.reader_at(old, 0) });
        Ok(Writer { directory, file, kept })
    }

    fn lister(&mut self, path: Path<'_>, order: Order) -> Result<State, Error> {
        let directory = self.find(path)?;
        if !self.node(directory).directory {
            return self.show(path);
        }
        Ok(self.list(directory, order, false, None))
    }

    fn lister_of_directories(&mut self, path: Path<'_>, after: &[u8]) -> Result<State, Error> {
        let directory = self.find(path)?;
        if !self.node(directory).directory {
            return Err(Error::NotADirectory);
        }
        // What is cut off here is longer than any name, and makes no difference to the order.
        let after = after.get(..after.len().min(NAME_MAX)).unwrap_or_default();
        let after = Name::from_slice(after).ok().map(|name| (0, name));
        Ok(self.list(directory, Order::NAME, true, after))
    }

    fn list(
        &mut self,
        directory: u16,
        order: Order,
        only_directories: bool,
        shown: Option<(u64, Name)>,
    ) -> State {
        self.pin(directory);
        State::List(Lister { directory, order, only_directories, child: NONE, shown, looked_at: 0 })
    }

    fn show(&mut self, path: Path<'_>) -> Result<State, Error> {
        let node = self.find(path)?;
        self.pin(node);
        Ok(State::Show { node })
    }

    fn make_directory(&mut self, path: Path<'_>, now: Timestamp) -> Result<(), Error> {
        let (parent, name) = self.place(path)?.ok_or(Error::Exists)?;
        if self.child(parent, &name).is_some() {
            return Err(Error::Exists);
        }
        let new = Node { name, modified: now, directory: true, ..Node::EMPTY };
        let directory = self.take_node(new)?;
        self.link(parent, directory, now);
        Ok(())
    }

    fn remove_directory(&mut self, path: Path<'_>, now: Timestamp) -> Result<(), Error> {
        let directory = self.find(path)?;
        match self.node(directory) {
            _ if directory == ROOT => Err(Error::Denied),
            node if !node.directory => Err(Error::NotADirectory),
            node if node.first != NONE => Err(Error::NotEmpty),
            _ => {
                self.remove(directory, now);
                Ok(())
            }
        }
    }

    fn delete(&mut self, path: Path<'_>, now: Timestamp) -> Result<u64, Error> {
        let file = self.find(path)?;
        if self.node(file).directory {
            return Err(Error::IsADirectory);
        }
        let gone = self.node(file).size;
        self.remove(file, now);
        Ok(gone.into())
    }

    fn rename(
        &mut self,
        from: Path<'_>,
        to: Path<'_>,
        replace: bool,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let node = self.find(from)?;
        if from == to && node != ROOT {
            return Ok(0);
        }
        if self.node(node).directory && to.is_within(from) {
            return Err(Error::Denied);
        }
        let (parent, name) = self.place(to)?.ok_or(Error::Denied)?;
        let mut gone = 0;
        if let Some(target) = self.child(parent, &name) {
            if !replace {
                return Err(Error::Exists);
            }
            self.may_replace(target, node)?;
            gone = self.node(target).size;
            self.remove(target, now);
        }
        self.unlink(node, now);
        self.node_mut(node).name = name;
        self.link(parent, node, now);
        Ok(gone.into())
    }

    fn available(&self, path: Path<'_>) -> Result<State, Error> {
        if !self.node(self.find(path)?).directory {
            return Err(Error::NotADirectory);
        }
        Ok(State::Available { bytes: self.free_blocks() as u64 * BLOCK_SIZE as u64 })
    }

    fn set_modified(&mut self, path: Path<'_>, modified: Timestamp) -> Result<(), Error> {
        let node = self.find(path)?;
        self.node_mut(node).modified = modified;
        Ok(())
    }

    /// Whether POSIX lets `rename` put `node` in the place of `target`.
    fn may_replace(&self, target: u16, node: u16) -> Result<(), Error> {
        match (self.node(target), self.node(node).directory) {
            (target, false) if target.directory => Err(Error::IsADirectory),
            (target, true) if !target.directory => Err(Error::NotADirectory),
            (target, true) if target.first != NONE => Err(Error::NotEmpty),
            _ => Ok(()),
        }
    }

    /// Gives the file of a write its path, in the place of the file that has that path now,
    /// whose size is returned.
    fn commit(&mut self, writer: Writer) -> Result<u64, Error> {
        let result = self.replace(&writer);
        self.release(State::Write(writer));
        result
    }

    fn replace(&mut self, writer: &Writer) -> Result<u64, Error> {
        let &Writer { directory, file, .. } = writer;
        if !self.node(directory).is_linked {
            return Err(Error::NotFound);
        }
        let now = self.node(file).modified;
        let mut gone = 0;
        match self.child(directory, &self.node(file).name) {
            Some(old) if self.node(old).directory => return Err(Error::IsADirectory),
            Some(old) => {
                gone = self.node(old).size;
                self.remove(old, now);
            }
            None => (),
        }
        self.link(directory, file, now);
        Ok(gone.into())
    }

    /// Copies some more of what the write keeps; false if something is left.
    fn copy_kept(&mut self, writer: &mut Writer) -> Result<bool, Error> {
        let Some(old) = &mut writer.kept else { return Ok(true) };
        for _ in 0..COPY_BLOCKS {
            let mut data = [0; BLOCK_SIZE];
            let count = copy(self.next_bytes(old), &mut data);
            if count == 0 {
                self.unpin(old.file);
                writer.kept = None;
                return Ok(true);
            }
            if self.append(writer.file, data.get(..count).unwrap_or(&[])) < count {
                return Err(Error::Full);
            }
            self.advance(old, count);
        }
        Ok(false)
    }

    /// Ends a job: what only it used is freed.
    fn release(&mut self, state: State) {
        match state {
            State::Read(reader) => self.unpin(reader.file),
            State::Write(Writer { directory, file, kept }) => {
                self.unpin(file);
                self.unpin(directory);
                if let Some(old) = kept {
                    self.unpin(old.file);
                }
            }
            State::List(lister) => self.unpin(lister.directory),
            State::Show { node } | State::Shown { node } => self.unpin(node),
            State::Available { .. } | State::Done { .. } => (),
        }
    }
}

/// A poll that does not belong to the operation is answered with [`Error::Io`].
impl Storage for RamDisk<'_> {
    type Job = Job;

    fn start(&mut self, op: Op<'_>, now: Timestamp) -> Result<Job, Error> {
        let done = |()| State::Done { gone: 0 };
        let freed = |gone| State::Done { gone };
        let state = match op {
            Op::Read { path, offset } => self.reader(path, offset).map(State::Read),
            Op::Write { path, keep, .. } => self.writer(path, keep, now).map(State::Write),
            Op::List { path, order } => self.lister(path, order),
            Op::Directories { path, after } => self.lister_of_directories(path, after),
            Op::Stat { path } => self.show(path),
            Op::MakeDirectory { path, .. } => self.make_directory(path, now).map(done),
            Op::RemoveDirectory { path } => self.remove_directory(path, now).map(done),
            Op::Delete { path } => self.delete(path, now).map(freed),
            Op::Rename { from, to, replace } => self.rename(from, to, replace, now).map(freed),
            Op::SetModified { path, modified } => self.set_modified(path, modified).map(done),
            Op::Available { path } => self.available(path),
            Op::SetMode { path, .. } => self.find(path).and(Err(Error::Denied)),
        };
        state.map(Job)
    }

    fn poll_open(&mut self, job: &mut Job) -> Poll<Result<Option<u64>, Error>> {
        let reader = match &mut job.0 {
            State::Read(reader) => reader,
            State::Write(writer) => {
                let kept = writer.kept.as_ref().map_or(0, |kept| kept.left);
                return Poll::Ready(Ok(Some(kept.into())));
            }
            State::Available { bytes } => return Poll::Ready(Ok(Some(*bytes))),
            _ => return Poll::Ready(Ok(None)),
        };
        if !self.seek(reader) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(Some(self.node(reader.file).size.into())))
    }

    fn poll_read(&mut self, job: &mut Job, buf: &mut [u8]) -> Poll<Result<usize, Error>> {
        let State::Read(reader) = &mut job.0 else { return Poll::Ready(Err(Error::Io)) };
        if !self.seek(reader) {
            return Poll::Pending;
        }
        let mut taken = 0;
        while let Some(rest) = buf.get_mut(taken..) {
            let count = copy(self.next_bytes(reader), rest);
            if count == 0 {
                break;
            }
            self.advance(reader, count);
            taken += count;
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_write(&mut self, job: &mut Job, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let State::Write(writer) = &mut job.0 else { return Poll::Ready(Err(Error::Io)) };
        if writer.kept.is_some() {
            return Poll::Ready(self.copy_kept(writer).map(|_| 0));
        }
        match self.append(writer.file, buf) {
            0 if !buf.is_empty() => Poll::Ready(Err(Error::Full)),
            taken => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_entry<'a>(&'a mut self, job: &'a mut Job) -> Poll<Result<Option<Entry<'a>>, Error>> {
        let shown = match &mut job.0 {
            State::List(lister) if lister.looked_at >= LOOK_NODES => {
                lister.looked_at = 0;
                return Poll::Pending;
            }
            State::List(lister) => {
                self.next_child(lister).inspect(|&child| lister.has_shown(child, self.node(child)))
            }
            &mut State::Show { node } => {
                job.0 = State::Shown { node };
                Some(node)
            }
            State::Shown { .. } => None,
            _ => return Poll::Ready(Err(Error::Io)),
        };
        Poll::Ready(Ok(shown.map(|node| self.node(node).entry(node.into()))))
    }

    fn poll_finish(&mut self, job: &mut Job) -> Poll<Result<u64, Error>> {
        let copied = match &mut job.0 {
            State::Write(writer) => self.copy_kept(writer),
            _ => Ok(true),
        };
        if copied == Ok(false) {
            return Poll::Pending;
        }
        let result = match (mem::replace(&mut job.0, State::Done { gone: 0 }), copied) {
            (State::Write(writer), Ok(_)) => self.commit(writer),
            (State::Done { gone }, _) => Ok(gone),
            (state, result) => {
                self.release(state);
                result.map(|_| 0)
            }
        };
        Poll::Ready(result)
    }

    fn cancel(&mut self, job: Job) {
        self.release(job.0);
    }
}
