//! Deadlines of slots: a binary heap that knows where each slot stands in it.

use crate::time::Instant;

/// Memory for one slot's deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer {
    // The heap: what is at this place of it.
    at: Instant,
    slot: u16,
    /// Where in the heap the slot of this number is.
    place: u16,
}

const NOWHERE: u16 = u16::MAX;

impl Timer {
    /// No deadline.
    const NONE: Self = Self { at: Instant::ZERO, slot: 0, place: NOWHERE };
}

/// The deadlines, one for each slot at most.
pub(super) struct Timers<'a> {
    timers: &'a mut [Timer],
    len: usize,
}

impl<'a> Timers<'a> {
    /// No deadlines, with room for as many slots as there are timers.
    pub fn new(timers: &'a mut [Timer]) -> Self {
        timers.fill(Timer::NONE);
        Self { timers, len: 0 }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.timers.first().filter(|_| self.len > 0).map(|first| first.at)
    }

    /// Sets the deadline of a slot, in place of the one that it had.
    pub fn set(&mut self, slot: u16, deadline: Option<Instant>) {
        match (self.place(slot), deadline) {
            (None, None) => {}
            (None, Some(at)) => {
                let place = self.len;
                self.len += 1;
                self.put(place, at, slot);
                self.sift_up(place);
            }
            (Some(place), Some(at)) => {
                self.put(place, at, slot);
                self.sift_up(place);
                self.sift_down(place);
            }
            (Some(place), None) => self.remove(place),
        }
    }

    /// Takes a slot whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<u16> {
        if self.next()? > now {
            return None;
        }
        let slot = self.timers.first()?.slot;
        self.remove(0);
        Some(slot)
    }

    fn place(&self, slot: u16) -> Option<usize> {
        let place = self.timers.get(usize::from(slot))?.place;
        (place != NOWHERE).then(|| usize::from(place))
    }

    /// The deadline at a place of the heap.
    fn at(&self, place: usize) -> Option<Instant> {
        self.timers.get(place).map(|timer| timer.at)
    }

    fn put(&mut self, place: usize, at: Instant, slot: u16) {
        if let Some(timer) = self.timers.get_mut(place) {
            (timer.at, timer.slot) = (at, slot);
        }
        self.set_place(slot, place as u16);
    }

    fn set_place(&mut self, slot: u16, place: u16) {
        if let Some(timer) = self.timers.get_mut(usize::from(slot)) {
            timer.place = place;
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(&Timer { slot, .. }) = self.timers.get(place) else { return };
        self.set_place(slot, NOWHERE);
        self.len -= 1;
        if place < self.len
            && let Some(&Timer { at, slot, .. }) = self.timers.get(self.len)
        {
            self.put(place, at, slot);
            self.sift_up(place);
            self.sift_down(place);
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.at(parent) <= self.at(place) {
                break;
            }
            self.swap(parent, place);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.len);
            let Some(least) = children.min_by_key(|&child| self.at(child)) else { break };
            if self.at(place) <= self.at(least) {
                break;
            }
            self.swap(place, least);
            place = least;
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if let (Some(&one), Some(&other)) = (self.timers.get(a), self.timers.get(b)) {
            self.put(a, other.at, other.slot);
            self.put(b, one.at, one.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn deadlines_come_in_order() {
        const SLOTS: u16 = 50;
        let mut memory = [Timer::NONE; SLOTS as usize];
        let mut timers = Timers::new(&mut memory);
        let mut model: Vec<Option<u64>> = std::vec![None; SLOTS.into()];
        let mut random = 7u32;
        for _ in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = (random >> 24) as u16 % SLOTS;
            let at = (random & 4 != 0).then_some(u64::from(random >> 8 & 0xff));
            timers.set(slot, at.map(Instant::from_micros));
            model[usize::from(slot)] = at;
            let first = model.iter().flatten().min().copied();
            assert_eq!(timers.next(), first.map(Instant::from_micros));
        }
        let mut last = 0;
        while let Some(slot) = timers.pop_due(Instant::from_micros(u64::MAX)) {
            let at = model[usize::from(slot)].take().unwrap();
            assert!(at >= last);
            last = at;
        }
        assert!(model.iter().all(Option::is_none));
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let mut memory = [Timer::NONE; 2];
        let mut timers = Timers::new(&mut memory);
        timers.set(1, Some(Instant::from_millis(5)));
        assert_eq!(timers.pop_due(Instant::from_millis(4)), None);
        assert_eq!(timers.pop_due(Instant::from_millis(5)), Some(1));
        assert_eq!(timers.next(), None);
    }
}
