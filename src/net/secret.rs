//! What a peer must not guess: keyed hashes of one random seed.

use core::hash::Hasher;
use core::net::IpAddr;

use siphasher::sip::SipHasher13;
use smoltcp::wire::IpEndpoint;

use super::index::Tuple;
use crate::time::{Duration, Instant};

/// A random seed, and numbers made of it that nobody can foretell who does not know it.
pub(super) struct Secret {
    keys: (u64, u64),
    drawn: u64,
}

/// What a number is for: numbers for different purposes tell nothing of each other.
#[derive(Clone, Copy)]
enum Purpose {
    Index = 1,
    SequenceNumber,
    Draw,
    Cookie,
}

impl Secret {
    pub fn new(seed: u128) -> Self {
        Self { keys: ((seed >> 64) as u64, seed as u64), drawn: 0 }
    }

    /// The hash of a 4-tuple for the index: the peer chooses 4-tuples, and must not be able to
    /// choose some that collide.
    pub fn index_hash(&self, tuple: &Tuple) -> u32 {
        self.tuple_hash(Purpose::Index, tuple) as u32
    }

    /// The initial sequence number of a connection (RFC 6528 section 3): a clock that ticks
    /// every 4 us, plus a keyed hash of the 4-tuple.
    pub fn sequence_number(&self, tuple: &Tuple, now: Instant) -> u32 {
        let hash = self.tuple_hash(Purpose::SequenceNumber, tuple) as u32;
        hash.wrapping_add((now.as_micros() / 4) as u32)
    }

    /// What answers a request for a connection that is not kept: a hash of both.
    pub fn cookie(&self, tuple: &Tuple, irs: u32, period: u64) -> u32 {
        let mut hasher = self.hasher(Purpose::Cookie);
        write_endpoint(&mut hasher, tuple.local);
        write_endpoint(&mut hasher, tuple.remote);
        hasher.write_u32(irs);
        hasher.write_u64(period);
        hasher.finish() as u32
    }

    /// The next random number.
    pub fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(1);
        let mut hasher = self.hasher(Purpose::Draw);
        hasher.write_u64(self.drawn);
        hasher.finish()
    }

    /// A random time shorter than this one.
    pub fn within(&mut self, limit: Duration) -> Duration {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.draw() % limit)
    }

    /// A secret whose numbers tell nothing of this one's.
    pub fn branch(&mut self) -> Self {
        Self { keys: (self.draw(), self.draw()), drawn: 0 }
    }

    fn tuple_hash(&self, purpose: Purpose, tuple: &Tuple) -> u64 {
        let mut hasher = self.hasher(purpose);
        write_endpoint(&mut hasher, tuple.local);
        write_endpoint(&mut hasher, tuple.remote);
        hasher.finish()
    }

    fn hasher(&self, purpose: Purpose) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        hasher.write_u8(purpose as u8);
        hasher
    }
}

fn write_endpoint(hasher: &mut SipHasher13, endpoint: IpEndpoint) {
    match endpoint.addr.into() {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
    hasher.write_u16(endpoint.port);
}

/// The seed with which a new [`smoltcp::iface::Interface`] gives `isn` to its first connection.
///
/// smoltcp draws initial sequence numbers from a generator whose state can be recovered from
/// its output. A throw-away interface for each connection, seeded like this, gives the number
/// that we want instead. It relies on two things that are not promised: the generator
/// (a multiplication, an addition and a shift that its top bits choose), and that a new
/// interface with IPv4 draws once, for a 16-bit identification that must not be zero. The test
/// of initial sequence numbers fails when either changes.
pub(super) fn interface_seed(isn: u32) -> u64 {
    // With its top three bits zero, a state gives its bits 29 to 60.
    let mut state = u64::from(isn) << 29;
    if !cfg!(feature = "ipv4") {
        return before(state);
    }
    // The low bits are free: one in 65,536 states follows one that gives a zero
    // identification, at which the interface would draw once more.
    while identification(before(state)) == 0 {
        state += 1;
    }
    before(before(state))
}

const MULTIPLIER: u64 = 0xbb2e_fcec_3c39_611d;
const INCREMENT: u64 = 0x7590_ef39;
/// The inverse of the multiplier modulo 2^64, by Newton's iteration: each step doubles the
/// number of bits that are right, from the three that every odd number starts with.
const INVERSE: u64 = {
    let mut inverse = MULTIPLIER;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(MULTIPLIER.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
};

fn before(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(INVERSE)
}

fn identification(state: u64) -> u16 {
    let output = (state >> (29 - (state >> 61))) as u32;
    (output ^ (output >> 16)) as u16
}
