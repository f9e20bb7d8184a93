//! What routers advertise: prefixes for addresses of ours, and themselves (RFC 4861, RFC 4862).

use smoltcp::wire::{
    EthernetAddress, IpCidr, Ipv6Address, Ipv6Cidr, NdiscPrefixInfoFlags as Flags,
    NdiscPrefixInformation as PrefixInformation,
};

use super::heard::Advertisement;
use super::plan::with_identifier;
use crate::net::secret::Secret;
use crate::time::{Duration, Instant};

/// RFC 4861 section 10.
const MAX_RTR_SOLICITATION_DELAY: Duration = Duration::from_secs(1);
const RTR_SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const MAX_RTR_SOLICITATIONS: u8 = 3;
/// Routers that are remembered; RFC 4861 section 6.3.4 asks for two at least.
const ROUTERS_MAX: usize = 2;
/// RFC 4862 section 5.5.3 e.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// The routers of the link, and the search for them.
#[derive(Debug)]
pub struct Routers {
    /// In the order in which they were first heard of.
    known: heapless::Vec<Router, ROUTERS_MAX>,
    /// How often to ask for routers, and when next.
    questions: u8,
    due: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Router {
    address: Ipv6Address,
    until: Instant,
}

impl Routers {
    pub fn new(now: Instant, random: &mut Secret) -> Self {
        Self {
            known: heapless::Vec::new(),
            questions: MAX_RTR_SOLICITATIONS,
            due: Some(now + random.within(MAX_RTR_SOLICITATION_DELAY)),
        }
    }

    /// The one to use for what goes further: of several, the one known for longest.
    pub fn first(&self) -> Option<Ipv6Address> {
        self.known.first().map(|router| router.address)
    }

    /// When something happens.
    pub fn due(&self) -> Option<Instant> {
        self.known.iter().map(|router| router.until).chain(self.due).min()
    }

    /// Whether it is time to ask for routers.
    pub fn asks(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// That was asked.
    pub fn asked(&mut self, now: Instant) {
        self.questions = self.questions.saturating_sub(1);
        self.due = (self.questions > 0).then(|| now + RTR_SOLICITATION_INTERVAL);
    }

    /// Forgets the routers whose time is over.
    pub fn expire(&mut self, now: Instant) {
        self.known.retain(|router| router.until > now);
    }

    /// RFC 4861 section 6.3.4.
    pub fn hear(&mut self, advertisement: &Advertisement, now: Instant) {
        let &Advertisement { router: address, lifetime, .. } = advertisement;
        if lifetime.is_zero() {
            return self.known.retain(|router| router.address != address);
        }
        // RFC 4861 section 6.3.7: a router that can be used ends the search.
        self.due = None;
        let until = now + lifetime;
        match self.known.iter_mut().find(|router| router.address == address) {
            Some(router) => router.until = until,
            // Those that are known already do as well.
            None => drop(self.known.push(Router { address, until })),
        }
    }
}

/// The address that a prefix makes, if it is for that: with the network that it is on, and for
/// how long it is valid (RFC 4862 section 5.5.3 a to d).
pub fn address(
    prefix: &PrefixInformation,
    hardware: EthernetAddress,
) -> Option<(IpCidr, Duration)> {
    let valid = Duration::from(prefix.valid_lifetime);
    let makes_one = prefix.flags.contains(Flags::ADDRCONF)
        && prefix.prefix_len == 64
        && Duration::from(prefix.preferred_lifetime) <= valid
        && !prefix.prefix.is_unicast_link_local()
        && !prefix.prefix.is_multicast();
    // What is not on this link is reached through the router.
    let len = if prefix.flags.contains(Flags::ON_LINK) { 64 } else { 128 };
    let address = with_identifier(prefix.prefix, hardware);
    makes_one.then(|| (Ipv6Cidr::new(address, len).into(), valid))
}

/// Until when an address is valid that was so `until` then, and is told anew for how long (RFC
/// 4862 section 5.5.3 e): nobody on the link can take it from us sooner than in two hours.
pub fn renewed(until: Instant, valid: Duration, now: Instant) -> Instant {
    let left = until.since(now);
    if valid > TWO_HOURS || valid > left {
        now + valid
    } else if left <= TWO_HOURS {
        until
    } else {
        now + TWO_HOURS
    }
}
