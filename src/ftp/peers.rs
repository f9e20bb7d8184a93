//! How many sessions an address has, for the limit to it.
//!
//! Addresses that have sessions are chained by a hash. The counts lie in the sessions, one in
//! each, whoever's it is, and so do the heads of the chains: there are never more addresses than
//! sessions, and no memory is needed besides.

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher13;

use super::Ftp;
use crate::service::SessionId;
use crate::storage::Storage;

/// An address and the sessions that it has, or room for one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    network: u64,
    sessions: usize,
    /// The next count: of the same chain, or of those that are free.
    pub(super) next: Option<SessionId>,
}

impl<S: Storage, A, const N: usize> Ftp<'_, S, A, N> {
    /// Counts a session toward its address; `false`, if that has as many as it may have.
    pub(super) fn enrol(&mut self, peer: SocketAddr) -> bool {
        let Some(max) = self.server.config.max_per_address else { return true };
        let count = if max > 0 { self.count_of(peer) } else { None };
        let Some(count) = count else { return false };
        let may = count.sessions < max;
        count.sessions += usize::from(may);
        may
    }

    /// Forgets a session that was counted.
    pub(super) fn strike(&mut self, peer: SocketAddr) {
        if self.server.config.max_per_address.is_none() {
            return;
        }
        let (bucket, network) = (self.bucket(peer), network(peer));
        let mut before = None;
        while let Some(at) = self.behind(before, bucket)
            && let Some(session) = self.sessions.get_mut(at)
        {
            let count = &mut session.count;
            if count.network != network {
                before = Some(at);
                continue;
            }
            count.sessions = count.sessions.saturating_sub(1);
            if count.sessions == 0 {
                let next = core::mem::replace(&mut count.next, self.free_count.replace(at));
                self.set_behind(before, bucket, next);
            }
            return;
        }
    }

    /// The count of an address; a new one, if it has no sessions yet.
    fn count_of(&mut self, peer: SocketAddr) -> Option<&mut Count> {
        let (bucket, network) = (self.bucket(peer), network(peer));
        let first = self.behind(None, bucket);
        let mut place = first;
        while let Some(at) = place
            && let Some(session) = self.sessions.get(at)
            && session.count.network != network
        {
            place = session.count.next;
        }
        let at = match place {
            Some(at) => at,
            None => self.begin_count(network, bucket, first)?,
        };
        self.sessions.get_mut(at).map(|session| &mut session.count)
    }

    /// Takes a count for an address that has none, to the head of its chain.
    fn begin_count(
        &mut self,
        network: u64,
        bucket: usize,
        next: Option<SessionId>,
    ) -> Option<SessionId> {
        let at = self.free_count?;
        let count = &mut self.sessions.get_mut(at)?.count;
        self.free_count = count.next;
        *count = Count { network, sessions: 0, next };
        self.set_behind(None, bucket, Some(at));
        Some(at)
    }

    /// What comes behind `before` in a chain, or at its head.
    fn behind(&self, before: Option<SessionId>, bucket: usize) -> Option<SessionId> {
        match before {
            Some(before) => self.sessions.get(before)?.count.next,
            None => self.sessions.get(bucket)?.first,
        }
    }

    fn set_behind(&mut self, before: Option<SessionId>, bucket: usize, next: Option<SessionId>) {
        if let Some(session) = before.and_then(|before| self.sessions.get_mut(before)) {
            session.count.next = next;
        } else if let Some(head) = self.sessions.get_mut(bucket) {
            head.first = next;
        }
    }

    /// The chain of an address. The hash has a key, because clients choose their addresses.
    fn bucket(&self, peer: SocketAddr) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.server.config.secret.to_le_bytes());
        hasher.write_u64(network(peer));
        hasher.finish() as usize % self.sessions.len().max(1)
    }
}

/// What counts as one address: with IPv6, the network prefix, as a host may take any address
/// below its own (RFC 4291 section 2.5.1).
fn network(peer: SocketAddr) -> u64 {
    match peer.ip() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}
