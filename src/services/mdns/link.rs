//! What is to be sent over one version of IP, and when it was last sent.

use core::net::IpAddr;

use super::rrset::{RRSETS, Rrset, Rrsets};
use crate::time::{Duration, Instant};

/// No record is multicast again sooner than this (RFC 6762, 6.2).
const INTERVAL: Duration = Duration::from_secs(1);
/// Nor is one with which a name is defended.
const DEFENCE_INTERVAL: Duration = Duration::from_millis(250);
/// For so long after a record was multicast, one host may get it alone: a quarter of the
/// shortest time for which any of ours is kept (5.4).
const FRESH: Duration = Duration::from_secs(30);

/// Multicast over one version of IP.
pub struct Link {
    /// A probe is to be sent.
    pub probe: bool,
    /// Answers to be sent, not before `due`.
    pending: Rrsets,
    due: Instant,
    /// Those of them with which a name is defended.
    defence: Rrsets,
    /// Who asked for them, if that is one alone.
    asker: Option<IpAddr>,
    /// When each was last multicast, if it ever was.
    sent: Rrsets,
    sent_at: [Instant; RRSETS],
}

/// A question that is to be answered by multicast.
pub struct Asked {
    /// What answers it.
    pub answers: Rrsets,
    /// Whether somebody probes for a name of ours.
    pub is_probe: bool,
    /// Who asks.
    pub asker: IpAddr,
    /// How long to wait.
    pub delay: Duration,
}

impl Link {
    /// Nothing sent, and nothing to send.
    pub const fn new() -> Self {
        Self {
            probe: false,
            pending: Rrsets::NONE,
            due: Instant::ZERO,
            defence: Rrsets::NONE,
            asker: None,
            sent: Rrsets::NONE,
            sent_at: [Instant::ZERO; RRSETS],
        }
    }

    /// Forgets what was to be sent.
    pub fn clear(&mut self) {
        (self.probe, self.pending) = (false, Rrsets::NONE);
    }

    /// These are to be sent at once, whenever they were sent last.
    pub fn announce(&mut self, rrsets: Rrsets, now: Instant) {
        (self.pending, self.due, self.asker) = (self.pending.union(rrsets), now, None);
        self.sent = self.sent.without(rrsets);
    }

    /// These are to be sent after a while, or earlier with what is due earlier.
    pub fn ask(&mut self, asked: &Asked, now: Instant) {
        if self.pending.is_empty() {
            (self.asker, self.defence) = (Some(asked.asker), Rrsets::NONE);
        } else if self.asker != Some(asked.asker) {
            self.asker = None;
        }
        // What is past due waits for its interval, and nothing new goes with it.
        let is_waiting = !self.pending.is_empty() && self.due > now;
        let due = now + asked.delay;
        self.due = if is_waiting { self.due.min(due) } else { due };
        self.pending = self.pending.union(asked.answers);
        if asked.is_probe {
            self.defence = self.defence.union(asked.answers);
        }
    }

    /// What was asked for by this peer, and by nobody else.
    pub fn asked_by(&self, peer: IpAddr) -> Rrsets {
        if self.asker == Some(peer) { self.pending } else { Rrsets::NONE }
    }

    /// These are to be sent no longer.
    pub fn withdraw(&mut self, rrsets: Rrsets) {
        self.pending = self.pending.without(rrsets);
    }

    /// What is to be sent now.
    pub fn ready(&self, now: Instant) -> Rrsets {
        self.pending.filter(|&rrset| now >= self.due_at(rrset))
    }

    /// When something is to be sent.
    pub fn wake(&self) -> Option<Instant> {
        self.pending.iter().map(|rrset| self.due_at(rrset)).min()
    }

    /// These were multicast.
    pub fn sent(&mut self, rrsets: Rrsets, now: Instant) {
        self.pending = self.pending.without(rrsets);
        self.sent = self.sent.union(rrsets);
        rrsets.iter().for_each(|rrset| self.sent_at[rrset.index()] = now);
    }

    /// Whether it may be multicast again.
    pub fn may_send(&self, rrset: Rrset, now: Instant) -> bool {
        self.last_sent(rrset).is_none_or(|at| now >= at + INTERVAL)
    }

    /// Whether it was multicast so lately that one who asks may get it alone.
    pub fn is_fresh(&self, rrset: Rrset, now: Instant) -> bool {
        self.last_sent(rrset).is_some_and(|at| now < at + FRESH)
    }

    fn due_at(&self, rrset: Rrset) -> Instant {
        let interval = if self.defence.contains(rrset) { DEFENCE_INTERVAL } else { INTERVAL };
        self.last_sent(rrset).map_or(self.due, |at| self.due.max(at + interval))
    }

    fn last_sent(&self, rrset: Rrset) -> Option<Instant> {
        self.sent.contains(rrset).then(|| self.sent_at[rrset.index()])
    }
}
