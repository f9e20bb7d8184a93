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

    /// The slot with this hash for which `is_it` is true.
    pub fn find(&self, hash: u32, is_it: impl Fn(u16) -> bool) -> Option<u16> {
        self.probe(hash)
            .map_while(|at| self.buckets.get(at).filter(|bucket| bucket.slot != EMPTY))
            .find(|bucket| bucket.hash == hash && is_it(bucket.slot))
            .map(|bucket| bucket.slot)
    }

    /// Adds a slot, which must not be there yet with this hash. Without a free bucket nothing is added.
    pub fn insert(&mut self, hash: u32, slot: u16) {
        let free = self.probe(hash).find(|&at| self.buckets[at].slot == EMPTY);
        if let Some(at) = free {
            self.buckets[at] = Bucket { hash, slot };
        }
    }

    /// Removes a slot, which may be there with another hash too, and moves up what was displaced
    /// by it.
    pub fn remove(&mut self, hash: u32, slot: u16) {
        let is_it = |bucket: Bucket| bucket.hash == hash && bucket.slot == slot;
        let Some(hole) = self.probe(hash).find(|&at| is_it(self.buckets[at])) else { return };
        let size = self.buckets.len();
        self.buckets[hole] = Bucket::EMPTY;
        for step in 1..size {
            let at = (hole + step) % size;
            let bucket = self.buckets[at];
            if bucket.slot == EMPTY {
                break;
            }
            self.buckets[at] = Bucket::EMPTY;
            self.insert(bucket.hash, bucket.slot);
        }
    }

    fn probe(&self, hash: u32) -> impl Iterator<Item = usize> + use<> {
        let size = self.buckets.len();
        (0..size).map(move |step| (hash as usize % size + step) % size)
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
                let found = index.find(hash, |candidate| candidate == slot);
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
        assert_eq!(index.find(9, |slot| slot == 2), Some(2));
        assert_eq!(index.find(9, |_| false), None);
        assert_eq!(index.find(8, |_| true), None);
    }

    #[test]
    fn a_full_index_still_ends_its_search() {
        let mut buckets = [Bucket::EMPTY; 2];
        let mut index = Index::new(&mut buckets);
        for slot in 0..3 {
            index.insert(0, slot);
        }
        assert_eq!(index.find(0, |slot| slot == 2), None);
        index.remove(0, 0);
        assert_eq!(index.find(0, |slot| slot == 1), Some(1));
    }
}
