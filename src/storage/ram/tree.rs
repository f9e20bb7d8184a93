//! The directories of a [`RamDisk`].

use core::mem;

use super::memory::{NONE, Name, Node, ROOT};
use super::{Lister, RamDisk};
use crate::storage::{By, Error, Order, Path};
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
        self.siblings(self.node(directory).first)
    }

    /// A child, and those behind it.
    fn siblings(&self, child: u16) -> impl Iterator<Item = u16> {
        let link = |node| (node != NONE).then_some(node);
        core::iter::successors(link(child), move |&child| link(self.node(child).next))
    }

    /// The child that a listing shows next.
    pub(super) fn next_child(&self, lister: &mut Lister) -> Option<u16> {
        match lister.order {
            Order { by: By::Any, .. } | Order::NAME => self.next_by_name(lister),
            _ => self.next_in_order(lister),
        }
    }

    /// Children are kept in the order of their names: the one behind the child shown last, if
    /// that is where it was.
    fn next_by_name(&self, lister: &Lister) -> Option<u16> {
        let last = self.node(lister.child);
        let stays = lister.child != NONE
            && last.is_linked
            && last.parent == lister.directory
            && lister.shown.as_ref().is_some_and(|(_, name)| last.name == *name);
        let first = if stays { last.next } else { self.node(lister.directory).first };
        self.siblings(first).find(|&child| {
            let node = self.node(child);
            let is_due = lister.shown.as_ref().is_none_or(|(_, name)| node.name > *name);
            is_due && (node.directory || !lister.only_directories)
        })
    }

    /// Of the children behind the one shown last, the first: there is no memory for more than
    /// that one, so all are looked at.
    fn next_in_order(&self, lister: &mut Lister) -> Option<u16> {
        let Lister { directory, order, shown, looked_at, .. } = lister;
        let compare = |one: (u64, &Name), other: (u64, &Name)| {
            if order.reverse { other.cmp(&one) } else { one.cmp(&other) }
        };
        let place = |child| {
            let node = self.node(child);
            (order.key(&node.entry(0)), &node.name)
        };
        self.children(*directory)
            .inspect(|_| *looked_at += 1)
            .filter(|&child| {
                let shown = shown.as_ref().map(|(key, name)| (*key, name));
                shown.is_none_or(|shown| compare(place(child), shown).is_gt())
            })
            .min_by(|&one, &other| compare(place(one), place(other)))
    }

    /// Gives a node its place in a directory, by its name.
    pub(super) fn link(&mut self, parent: u16, child: u16, now: Timestamp) {
        let name = &self.node(child).name;
        let before =
            self.children(parent).take_while(|&other| self.node(other).name < *name).last();
        let next = mem::replace(self.link_after(parent, before), child);
        let node = self.node_mut(child);
        (node.parent, node.is_linked, node.next) = (parent, true, next);
        self.node_mut(parent).modified = now;
    }

    /// Takes the path from a node.
    pub(super) fn unlink(&mut self, child: u16, now: Timestamp) {
        let &Node { parent, next, .. } = self.node(child);
        let before = self.children(parent).take_while(|&other| other != child).last();
        *self.link_after(parent, before) = next;
        self.node_mut(child).is_linked = false;
        self.node_mut(parent).modified = now;
    }

    fn link_after(&mut self, parent: u16, before: Option<u16>) -> &mut u16 {
        match before {
            Some(child) => &mut self.node_mut(child).next,
            None => &mut self.node_mut(parent).first,
        }
    }

    /// Takes the path from a node, which is freed if no job uses it.
    pub(super) fn remove(&mut self, child: u16, now: Timestamp) {
        self.unlink(child, now);
        self.free_unused(child);
    }
}
