//! From a 4-tuple to the slot that has it, in constant time.

use smoltcp::wire::IpEndpoint;

/// Both ends of a connection. A data connection that is expected has remote port 0, which no
/// segment can have: the peer's address is known, its port is not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuple {
    pub local: IpEndpoint,
    pub remote: IpEndpoint,
}

impl Tuple {
    /// The entry that expects this connection.
    pub fn expectation(self) -> Self {
        Self { remote: IpEndpoint { port: 0, ..self.remote }, ..self }
    }
}

/// A place in the index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    hash: u32,
    slot: u16,
}

const EMPTY: u16 = u16::MAX;

impl Bucket {
    /// A place that nothing is in.
    const EMPTY: Self = Self { hash: 0, slot: EMPTY };
}

/// A hash table with open addressing. It stores hashes and slot numbers; the keys stay in the
/// slots. Hashes are keyed by the caller.
pub(super) struct Index<'a> {
    buckets: &'a mut [Bucket],
}

impl<'a> Index<'a> {
    /// An empty index. There should be twice as many buckets as there will be entries.
    pub fn new(buckets: &'a mut [Bucket]) -> Self {
        buckets.fill(Bucket::EMPTY);
        Self { buckets }
    }

    /// The slot with this hash that `look` knows as the right one, and what it sees there.
    pub fn find<T>(&self, hash: u32, look: impl Fn(u16) -> Option<T>) -> Option<(u16, T)> {
        self.probe(hash)
            .map_while(|at| self.buckets.get(at).filter(|bucket| bucket.slot != EMPTY))
            .filter(|bucket| bucket.hash == hash)
            .find_map(|bucket| Some((bucket.slot, look(bucket.slot)?)))
    }

    /// Adds a slot, which must not be there yet with this hash. Without a free bucket nothing is added.
    pub fn insert(&mut self, hash: u32, slot: u16) {
        if let Some(at) = self.place(hash, |bucket| bucket.slot == EMPTY) {
            self.put(at, Bucket { hash, slot });
        }
    }

    /// Removes a slot, which may be there with another hash too, and moves up what was displaced
    /// by it.
    pub fn remove(&mut self, hash: u32, slot: u16) {
        let is_it = |bucket: &Bucket| bucket.hash == hash && bucket.slot == slot;
        let Some(hole) = self.place(hash, is_it) else { return };
        self.put(hole, Bucket::EMPTY);
        for at in self.around(hole).skip(1) {
            let Some(&Bucket { hash, slot }) = self.buckets.get(at) else { break };
            if slot == EMPTY {
                break;
            }
            self.put(at, Bucket::EMPTY);
            self.insert(hash, slot);
        }
    }

    /// Where the first such bucket is of those that a hash leads to.
    fn place(&self, hash: u32, is_it: impl Fn(&Bucket) -> bool) -> Option<usize> {
        self.probe(hash).find(|&at| self.buckets.get(at).is_some_and(&is_it))
    }

    fn put(&mut self, at: usize, bucket: Bucket) {
        if let Some(place) = self.buckets.get_mut(at) {
            *place = bucket;
        }
    }

    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        self.around((hash as usize).checked_rem(self.buckets.len()).unwrap_or(0))
    }

    /// All places, from one on.
    fn around(&self, start: usize) -> impl Iterator<Item = usize> + use<> {
        (start..self.buckets.len()).chain(0..start)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn behaves_like_a_map() {
        // Few hashes for many entries, two for each slot: long chains, and removals in their
        // middle.
        let mut buckets = [Bucket::EMPTY; 32];
        let mut index = Index::new(&mut buckets);
        let mut model = BTreeSet::new();
        let hashes = |slot: u16| [u32::from(slot % 5) * 7 + 28, u32::from(slot % 3) * 7 + 30];
        let mut random = 1u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = (random >> 16) as u16 % 16;
            let hash = hashes(slot)[usize::from(random & 1 << 28 != 0)];
            if model.insert((slot, hash)) {
                index.insert(hash, slot);
            } else {
                model.remove(&(slot, hash));
                index.remove(hash, slot);
            }
            for (slot, hash) in (0..16).flat_map(|slot| hashes(slot).map(|hash| (slot, hash))) {
                let found = index.find(hash, |other| (other == slot).then_some(()));
                assert_eq!(found.is_some(), model.contains(&(slot, hash)));
            }
        }
    }

    #[test]
    fn the_key_decides_not_the_hash() {
        let mut buckets = [Bucket::EMPTY; 4];
        let mut index = Index::new(&mut buckets);
        index.insert(9, 1);
        index.insert(9, 2);
        assert_eq!(index.find(9, |slot| (slot == 2).then_some('x')), Some((2, 'x')));
        assert_eq!(index.find(9, |_| None::<()>), None);
        assert_eq!(index.find(8, |_| Some(())), None);
    }

    #[test]
    fn a_full_index_still_ends_its_search() {
        let mut buckets = [Bucket::EMPTY; 2];
        let mut index = Index::new(&mut buckets);
        for slot in 0..3 {
            index.insert(0, slot);
        }
        assert_eq!(index.find(0, |slot| (slot == 2).then_some(())), None);
        index.remove(0, 0);
        assert_eq!(index.find(0, |slot| (slot == 1).then_some(())), Some((1, ())));
    }
}
