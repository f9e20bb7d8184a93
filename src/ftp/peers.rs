//! How many sessions an address has, for the limit to it.
//!
//! Sessions are chained by a hash of their client's address, and the heads of the chains lie in
//! the sessions too, one in each: as many chains as sessions, and no memory besides. No chain
//! has more sessions of an address than the limit, so that each step here is short.

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher13;

use super::Ftp;
use super::session::Session;
use crate::service::SessionId;
use crate::storage::Storage;

impl<'a, S: Storage, A, const N: usize> Ftp<'a, S, A, N> {
    /// Counts a session toward its address; `false`, if that has as many as it may have.
    pub(super) fn enrol(&mut self, id: SessionId, peer: SocketAddr) -> bool {
        let Some(max) = self.server.config.max_per_address else { return true };
        let bucket = self.bucket(peer);
        let same = |session: &Session<'a, S::Job, N>| network(session.peer) == network(peer);
        if self.chain(bucket).filter(|&(_, session)| same(session)).count() >= max {
            return false;
        }
        let first = self.sessions.get_mut(bucket).and_then(|head| head.first.replace(id));
        self.set_next(Some(id), bucket, first);
        true
    }

    /// Forgets a session that was counted, if it was.
    pub(super) fn strike(&mut self, id: SessionId, peer: SocketAddr) {
        if self.server.config.max_per_address.is_none() {
            return;
        }
        let bucket = self.bucket(peer);
        let Some((_, session)) = self.chain(bucket).find(|&(at, _)| at == id) else { return };
        let next = session.next;
        let before = self.chain(bucket).map(|(at, _)| at).take_while(|&at| at != id).last();
        self.set_next(before, bucket, next);
    }

    /// The sessions of a chain, from its head on.
    fn chain(&self, bucket: usize) -> impl Iterator<Item = (SessionId, &Session<'a, S::Job, N>)> {
        let mut next = self.sessions.get(bucket).and_then(|head| head.first);
        core::iter::from_fn(move || {
            let id = next?;
            let session = self.sessions.get(id)?;
            next = session.next;
            Some((id, session))
        })
    }

    /// What comes behind `before` in a chain, or at its head.
    fn set_next(&mut self, before: Option<SessionId>, bucket: usize, next: Option<SessionId>) {
        if let Some(session) = before.and_then(|before| self.sessions.get_mut(before)) {
            session.next = next;
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
