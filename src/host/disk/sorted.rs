//! The order of a listing, in bounded memory.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use tinyftp::storage::Order;

/// Entries that are held at most. A directory that has more is read again for the next ones.
const HELD_MAX: usize = 16 * 1024;

/// The same for those after a name, of which only the first is wanted as a rule.
const HELD_AFTER: usize = 16;

/// The entries of a directory that come next in an order. They are taken in as the directory
/// has them, however often it is read, and given out sorted, each once.
#[derive(Debug)]
pub struct Sorted {
    order: Order,
    /// The last that was given out: what comes next is behind it.
    last: Option<Place>,
    held: BTreeSet<Place>,
    held_max: usize,
    /// There was no room for all of them.
    is_partial: bool,
}

/// What an entry is ordered by, and its name.
type Place = (u64, Box<[u8]>);

impl Sorted {
    pub fn new(order: Order) -> Self {
        Self { order, last: None, held: BTreeSet::new(), held_max: HELD_MAX, is_partial: false }
    }

    /// By name, what comes after `name`.
    pub fn after(name: &[u8]) -> Self {
        let last = Some((0, name.into()));
        Self { last, held_max: HELD_AFTER, ..Self::new(Order::NAME) }
    }

    /// Takes an entry in, unless its turn is over or enough others come first.
    pub fn add(&mut self, key: u64, name: &[u8]) {
        if self.last.as_ref().is_some_and(|last| !self.is_behind(last, key, name)) {
            return;
        }
        if self.held.len() >= self.held_max {
            self.is_partial = true;
            let furthest = if self.order.reverse { self.held.first() } else { self.held.last() };
            if furthest.is_some_and(|furthest| self.is_behind(furthest, key, name)) {
                return;
            }
            if self.order.reverse {
                self.held.pop_first()
            } else {
                self.held.pop_last()
            };
        }
        self.held.insert((key, name.into()));
    }

    fn is_behind(&self, place: &Place, key: u64, name: &[u8]) -> bool {
        let behind = if self.order.reverse { Ordering::Less } else { Ordering::Greater };
        (key, name).cmp(&(place.0, &place.1)) == behind
    }

    /// Gives out the next of those taken in.
    pub fn next(&mut self) -> Option<&[u8]> {
        let next = if self.order.reverse { self.held.pop_last() } else { self.held.pop_first() };
        self.last = Some(next?);
        self.last.as_ref().map(|(_, name)| &**name)
    }

    /// Whether the directory has to be read again for those that come next.
    pub fn read_again(&mut self) -> bool {
        std::mem::take(&mut self.is_partial)
    }
}

#[cfg(test)]
mod tests {
    use tinyftp::storage::By;

    use super::*;

    /// All that comes out, of a directory that is read as often as it takes.
    fn sorted(sorted: &mut Sorted, entries: &[(u64, &str)]) -> Vec<String> {
        let mut names = vec![];
        for _ in 0..100 {
            for (key, name) in entries {
                sorted.add(*key, name.as_bytes());
            }
            while let Some(name) = sorted.next() {
                names.push(String::from_utf8(name.to_vec()).unwrap());
            }
            if !sorted.read_again() {
                return names;
            }
        }
        panic!("it reads for ever");
    }

    #[test]
    fn each_once_and_in_order_whatever_is_held() {
        let entries = [(2, "a"), (1, "d"), (2, "c"), (0, "e"), (2, "b"), (1, "f")];
        let forward = ["e", "d", "f", "a", "b", "c"];
        for held_max in 1..8 {
            for reverse in [false, true] {
                let order = Order { by: By::Size, reverse };
                let mut names = sorted(&mut Sorted { held_max, ..Sorted::new(order) }, &entries);
                if reverse {
                    names.reverse();
                }
                assert_eq!(names, forward, "{held_max} {reverse}");
            }
        }
    }

    #[test]
    fn what_comes_after_a_name() {
        let entries = [(0, "c"), (0, "a"), (0, "b"), (0, "ba")];
        assert_eq!(sorted(&mut Sorted::after(b"aa"), &entries), ["b", "ba", "c"]);
        assert_eq!(sorted(&mut Sorted::after(b"b"), &entries), ["ba", "c"]);
        assert_eq!(sorted(&mut Sorted::after(b""), &entries), ["a", "b", "ba", "c"]);
        assert_eq!(sorted(&mut Sorted::after(b"d"), &entries), [""; 0]);
    }
}
