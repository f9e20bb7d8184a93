//! An IPv4 address for a link on which nobody gives any (RFC 3927).

#[cfg(feature = "dhcp")]
use smoltcp::wire::IpAddress;
use smoltcp::wire::{IpCidr, Ipv4Address, Ipv4Cidr};

use super::Addressing;
use super::claim::Origin;
use crate::net::secret::Secret;
use crate::time::{Duration, Instant};

/// How long a DHCP server has to answer before we help ourselves: time for three questions.
const PATIENCE: Duration = Duration::from_secs(7);
/// RFC 3927 section 9: after so many addresses that others had already, one in this time.
const MAX_CONFLICTS: u8 = 10;
const RATE_LIMIT_INTERVAL: Duration = Duration::from_secs(60);

/// The search for an address that is free.
#[derive(Debug)]
pub struct LinkLocal {
    /// Since the last address that was good.
    conflicts: u8,
    /// When to choose an address, if there is none.
    due: Option<Instant>,
}

impl LinkLocal {
    pub fn new() -> Self {
        Self { conflicts: 0, due: None }
    }

    /// There is no other address: one is chosen, now or after some patience with a server.
    pub fn seek(&mut self, patient: bool, now: Instant) {
        let patience = if patient { PATIENCE } else { Duration::ZERO };
        self.due.get_or_insert(now + patience);
    }

    /// There is another address, or one is chosen already. When it has `settled`, the conflicts on
    /// the way there are forgotten.
    pub fn rest(&mut self, settled: bool) {
        self.due = None;
        if settled {
            self.conflicts = 0;
        }
    }

    /// When to choose an address.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Somebody had the one that was chosen.
    pub fn conflict(&mut self, now: Instant) {
        self.conflicts = self.conflicts.saturating_add(1);
        let delay =
            if self.conflicts < MAX_CONFLICTS { Duration::ZERO } else { RATE_LIMIT_INTERVAL };
        self.due = Some(now + delay);
    }

    /// RFC 3927 section 2.1: any but the first and the last 256.
    pub fn choose(&mut self, random: &mut Secret) -> IpCidr {
        self.due = None;
        let host = 256 + (random.draw() % (65_536 - 512)) as u16;
        let [high, low] = host.to_be_bytes();
        Ipv4Cidr::new(Ipv4Address::new(169, 254, high, low), 16).into()
    }
}

impl Addressing<'_> {
    /// Chooses an IPv4 address if there is none.
    pub(super) fn fall_back(&mut self, now: Instant) {
        let Some(search) = &mut self.link_local else { return };
        if let Some(own) = self.own.iter().find(|own| own.is_v4()) {
            return search.rest(own.is_settled());
        }
        #[cfg(feature = "dhcp")]
        search.seek(self.dhcp.is_some(), now);
        #[cfg(not(feature = "dhcp"))]
        search.seek(false, now);
        if search.due().is_some_and(|due| due <= now) {
            let cidr = search.choose(&mut self.random);
            self.claim(cidr, Origin::LinkLocal, now);
        }
    }

    /// Lets the address go that was chosen: this one is in its place (RFC 3927 section 1.9).
    #[cfg(feature = "dhcp")]
    pub(super) fn replace_chosen(&mut self, better: IpAddress) {
        let before = self.own.len();
        self.own.retain(|own| own.origin != Origin::LinkLocal || !own.is_v4());
        if self.own.len() < before {
            info!("the link-local IPv4 address is gone: {better} is in its place");
        }
    }
}
