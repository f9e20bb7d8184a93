//! The nodes and blocks of a [`RamDisk`]: who uses them, and which bytes are where.

use core::mem;

use heapless::Vec;

use super::RamDisk;
use crate::bytes::copy;
use crate::storage::{Entry, Error, Kind};
use crate::time::Timestamp;

/// Bytes in a block.
pub const BLOCK_SIZE: usize = 512;

/// Bytes that a name may have.
pub const NAME_MAX: usize = 96;

/// Blocks that one call passes over, at most, to find the offset of a read.
const SEEK_BLOCKS: usize = 1024;

pub(super) const ROOT: u16 = 0;
pub(super) const NONE: u16 = 0;

pub(super) type Name = Vec<u8, NAME_MAX, u8>;

/// Memory for a file or a directory.
#[derive(Debug)]
pub struct Node {
    pub(super) name: Name,
    pub(super) directory: bool,
    /// Jobs that use it. Once this saturates, the node is never freed.
    pub(super) pins: u16,
    /// Whether it has a path: is one of its parent's children.
    pub(super) is_linked: bool,
    pub(super) modified: Timestamp,
    pub(super) size: u32,
    /// The first block of a file, the first child of a directory.
    pub(super) first: u16,
    /// The last block of a file.
    pub(super) last: u16,
    pub(super) parent: u16,
    /// The next child of the parent, which has a greater name; or the next free node.
    pub(super) next: u16,
}

impl Node {
    /// Memory that holds nothing yet.
    pub const EMPTY: Self = Self {
        name: Vec::new(),
        directory: false,
        pins: 0,
        is_linked: false,
        modified: Timestamp(0),
        size: 0,
        first: NONE,
        last: NONE,
        parent: ROOT,
        next: NONE,
    };

    pub(super) fn entry(&self, id: u64) -> Entry<'_> {
        Entry {
            name: &self.name,
            kind: if self.directory { Kind::Directory } else { Kind::File },
            size: u64::from(self.size),
            modified: self.modified,
            mode: None,
            id,
        }
    }
}

/// Memory for [`BLOCK_SIZE`] bytes of a file.
#[derive(Debug)]
pub struct Block {
    /// The next block of the file, or the next free one.
    next: u16,
    data: [u8; BLOCK_SIZE],
}

impl Block {
    /// Memory that holds nothing yet.
    pub const EMPTY: Self = Self { next: NONE, data: [0; BLOCK_SIZE] };
}

/// A place in a file, going forward.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) file: u16,
    pub(super) block: u16,
    /// Bytes to pass over from the start of `block`.
    pub(super) skip: u32,
    pub(super) left: u32,
}

/// Free nodes or blocks: a list of those given back, and those never taken. The latter are
/// not touched, so that making a large disk costs nothing.
#[derive(Debug)]
pub(super) struct Free {
    head: u16,
    taken_once: u16,
    pub(super) count: u16,
}

impl Free {
    pub(super) fn new(len: usize) -> Self {
        Self { head: NONE, taken_once: 0, count: u16::try_from(len).unwrap_or(u16::MAX) }
    }

    fn take(&mut self, next: impl FnOnce(u16) -> u16) -> Option<u16> {
        self.count = self.count.checked_sub(1)?;
        if self.head == NONE {
            self.taken_once += 1;
            return Some(self.taken_once);
        }
        let head = self.head;
        self.head = next(head);
        Some(head)
    }

    /// Puts a chain of `count` in front of the list, and returns what must follow its last.
    fn give(&mut self, first: u16, count: u16) -> u16 {
        self.count += count;
        mem::replace(&mut self.head, first)
    }
}

impl RamDisk<'_> {
    pub(super) fn reader_at(&mut self, file: u16, offset: u64) -> Reader {
        self.pin(file);
        let &Node { size, first, .. } = self.node(file);
        match u32::try_from(offset) {
            Ok(skip) if skip < size => Reader { file, block: first, skip, left: size - skip },
            _ => Reader { file, block: NONE, skip: 0, left: 0 },
        }
    }

    pub(super) fn node(&self, number: u16) -> &Node {
        index(number).and_then(|i| self.nodes.get(i)).unwrap_or(&self.root)
    }

    pub(super) fn node_mut(&mut self, number: u16) -> &mut Node {
        index(number).and_then(|i| self.nodes.get_mut(i)).unwrap_or(&mut self.root)
    }

    fn block(&self, number: u16) -> Option<&Block> {
        self.blocks.get(index(number)?)
    }

    fn block_mut(&mut self, number: u16) -> Option<&mut Block> {
        self.blocks.get_mut(index(number)?)
    }

    fn next_block(&self, number: u16) -> u16 {
        self.block(number).map_or(NONE, |block| block.next)
    }

    pub(super) fn take_node(&mut self, node: Node) -> Result<u16, Error> {
        let nodes = &self.nodes;
        let next = |free| index(free).and_then(|i| nodes.get(i)).map_or(NONE, |node| node.next);
        let number = self.free_nodes.take(next).ok_or(Error::Full)?;
        *self.node_mut(number) = node;
        Ok(number)
    }

    pub(super) fn pin(&mut self, number: u16) {
        let node = self.node_mut(number);
        node.pins = node.pins.saturating_add(1);
    }

    pub(super) fn unpin(&mut self, number: u16) {
        let node = self.node_mut(number);
        if node.pins < u16::MAX {
            node.pins = node.pins.saturating_sub(1);
        }
        self.free_unused(number);
    }

    pub(super) fn free_unused(&mut self, number: u16) {
        let node = self.node(number);
        if node.is_linked || node.pins > 0 {
            return;
        }
        let &Node { directory, size, first, last, .. } = node;
        if !directory && first != NONE {
            let count = size.div_ceil(BLOCK_SIZE as u32) as u16;
            let next = self.free_blocks.give(first, count);
            if let Some(last) = self.block_mut(last) {
                last.next = next;
            }
        }
        self.node_mut(number).next = self.free_nodes.give(number, 1);
    }

    /// Appends `bytes` to a file, as far as there is room, and says how many.
    pub(super) fn append(&mut self, file: u16, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let Some(room) = self.room(file) else { break };
            let count = copy(rest, room);
            self.node_mut(file).size += count as u32;
            taken += count;
        }
        taken
    }

    /// The free rest of the last block of a file, or one block more. It must be used.
    fn room(&mut self, file: u16) -> Option<&mut [u8]> {
        let used = self.node(file).size as usize % BLOCK_SIZE;
        let block = if used == 0 { self.add_block(file)? } else { self.node(file).last };
        self.block_mut(block)?.data.get_mut(used..)
    }

    fn add_block(&mut self, file: u16) -> Option<u16> {
        let blocks = &self.blocks;
        let next = |free| index(free).and_then(|i| blocks.get(i)).map_or(NONE, |block| block.next);
        let new = self.free_blocks.take(next)?;
        let last = mem::replace(&mut self.node_mut(file).last, new);
        match self.block_mut(last) {
            Some(last) => last.next = new,
            None => self.node_mut(file).first = new,
        }
        Some(new)
    }

    /// Goes on to the block of the next byte; false if that is still further on.
    pub(super) fn seek(&self, reader: &mut Reader) -> bool {
        for _ in 0..SEEK_BLOCKS {
            if reader.skip < BLOCK_SIZE as u32 {
                return true;
            }
            reader.block = self.next_block(reader.block);
            reader.skip -= BLOCK_SIZE as u32;
        }
        false
    }

    /// The bytes of the file that come next, as far as they lie together.
    pub(super) fn next_bytes(&self, reader: &Reader) -> &[u8] {
        let (skip, left) = (reader.skip as usize, reader.left as usize);
        let end = BLOCK_SIZE.min(skip.saturating_add(left));
        self.block(reader.block).and_then(|block| block.data.get(skip..end)).unwrap_or(&[])
    }

    pub(super) fn advance(&self, reader: &mut Reader, count: usize) {
        reader.left -= count as u32;
        reader.skip += count as u32;
        if reader.skip == BLOCK_SIZE as u32 {
            reader.skip = 0;
            reader.block = self.next_block(reader.block);
        }
    }
}

/// Where the node or block of that number is.
fn index(number: u16) -> Option<usize> {
    usize::from(number).checked_sub(1)
}
