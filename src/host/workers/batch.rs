//! Entries of a listing, fetched together.

use tinyftp::storage::{Entry, Kind};
use tinyftp::time::Timestamp;

/// Entries that one errand fetches, at most.
pub const ENTRIES: usize = 256;

/// Some entries, given out one by one.
#[derive(Default)]
pub struct Batch {
    room: usize,
    /// Their names, one behind the other.
    names: Vec<u8>,
    facts: Vec<Facts>,
    /// The next to be given out, and where its name begins.
    next: (usize, usize),
}

/// An entry without its name.
#[derive(Clone, Copy)]
struct Facts {
    name_len: usize,
    kind: Kind,
    size: u64,
    modified: Timestamp,
    mode: Option<u16>,
    id: u64,
}

impl Batch {
    pub fn with_room(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    pub fn is_full(&self) -> bool {
        self.facts.len() >= self.room
    }

    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    pub fn push(&mut self, entry: Entry<'_>) {
        let Entry { name, kind, size, modified, mode, id } = entry;
        self.names.extend_from_slice(name);
        self.facts.push(Facts { name_len: name.len(), kind, size, modified, mode, id });
    }

    /// Whether all have been given out.
    pub fn is_used_up(&self) -> bool {
        self.next.0 >= self.facts.len()
    }

    /// Gives out the next one.
    pub fn next(&mut self) -> Option<Entry<'_>> {
        let (at, start) = self.next;
        let &Facts { name_len, kind, size, modified, mode, id } = self.facts.get(at)?;
        let end = start + name_len;
        self.next = (at + 1, end);
        Some(Entry { name: &self.names[start..end], kind, size, modified, mode, id })
    }
}
