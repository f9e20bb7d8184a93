//! The directories of a [`RamDisk`].

use core::mem;

use super::memory::{NONE, Name, Node, ROOT};
use super::{Lister, RamDisk};
use crate::storage::{Error, Path};
use crate::time::Timestamp;

impl RamDisk<'_> {
    pub(super) fn find(&self, path: Path<'_>) -> Result<u16, Error> {
        path.components().try_fold(ROOT, |directory, name| {
            if !self.node(directory).directory {
                return Err(Error::NotADirectory);
            }
            self.child(directory, name).ok_or(Error::NotFound)
        })
    }

    /// The directory of something that is to get `path`, and its name there; `None` for the
    /// root.
    pub(super) fn place(&self, path: Path<'_>) -> Result<Option<(u16, Name)>, Error> {
        let Some((directory, name)) = path.parent() else { return Ok(None) };
        let directory = self.find(directory)?;
        if !self.node(directory).directory {
            return Err(Error::NotADirectory);
        }
        let name = Name::from_slice(name).map_err(|_| Error::BadName)?;
        Ok(Some((directory, name)))
    }

    pub(super) fn child(&self, directory: u16, name: &[u8]) -> Option<u16> {
        self.children(directory).find(|&child| self.node(child).name == name)
    }

    fn children(&self, directory: u16) -> impl Iterator<Item = u16> {
        let link = |node| (node != NONE).then_some(node);
        core::iter::successors(link(self.node(directory).first), move |&child| {
            link(self.node(child).next)
        })
    }

    /// The child after the one shown last, which is found again by its rank: no other node has
    /// that. Children of a higher rank have been shown, or are newer than the listing.
    pub(super) fn next_child(&self, lister: &Lister) -> Option<u16> {
        let shown = self.node(lister.child);
        if shown.rank == lister.rank {
            return (shown.next != NONE).then_some(shown.next);
        }
        self.children(lister.directory).find(|&child| self.node(child).rank < lister.rank)
    }

    pub(super) fn next_rank(&mut self) -> u64 {
        self.rank += 1;
        self.rank
    }

    pub(super) fn link(&mut self, parent: u16, child: u16, rank: u64, now: Timestamp) {
        let before = self.last_above(parent, rank);
        let next = mem::replace(self.link_after(parent, before), child);
        let node = self.node_mut(child);
        (node.parent, node.rank, node.next) = (parent, rank, next);
        self.node_mut(parent).modified = now;
    }

    /// Takes the path from a node, and returns the rank that it had.
    pub(super) fn unlink(&mut self, child: u16, now: Timestamp) -> u64 {
        let &Node { parent, rank, next, .. } = self.node(child);
        let before = self.last_above(parent, rank);
        *self.link_after(parent, before) = next;
        self.node_mut(child).rank = 0;
        self.node_mut(parent).modified = now;
        rank
    }

    fn last_above(&self, parent: u16, rank: u64) -> Option<u16> {
        self.children(parent).take_while(|&child| self.node(child).rank > rank).last()
    }

    fn link_after(&mut self, parent: u16, before: Option<u16>) -> &mut u16 {
        match before {
            Some(child) => &mut self.node_mut(child).next,
            None => &mut self.node_mut(parent).first,
        }
    }

    /// Takes the path from a node, which is freed if no job uses it; returns its rank.
    pub(super) fn remove(&mut self, child: u16, now: Timestamp) -> u64 {
        let rank = self.unlink(child, now);
        self.free_unused(child);
        rank
    }
}
