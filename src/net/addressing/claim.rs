//! The life of one address of ours: it is asked whether somebody has it already, told, and
//! defended.
//!
//! ```text
//!            nobody answers             all is told
//!  Probing -----------------> Announcing ----------> Settled
//!     |                                                 |  another claims it: announced again,
//!     v  somebody has it                                v  once in 10 s (RFC 5227 section 2.4)
//!  Refused (IPv6), or gone (IPv4)                    gone, if it gives way
//! ```
//!
//! A fixed address that somebody has is Settled without a word: what we told would take it from
//! them.

use core::net::IpAddr;

#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::packet::Packet;
use crate::net::secret::Secret;
use crate::time::{Duration, Instant};

/// RFC 3927 section 9, RFC 5227 section 1.1.
mod arp {
    use super::Duration;

    pub const PROBE_WAIT: Duration = Duration::from_secs(1);
    pub const PROBE_NUM: u8 = 3;
    pub const PROBE_MIN: Duration = Duration::from_secs(1);
    pub const PROBE_MAX: Duration = Duration::from_secs(2);
    pub const ANNOUNCE_WAIT: Duration = Duration::from_secs(2);
    pub const ANNOUNCE_NUM: u8 = 2;
    pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
}

/// RFC 4861 section 10, RFC 4862 section 5.1.
mod discovery {
    use super::Duration;

    pub const MAX_DELAY: Duration = Duration::from_secs(1);
    pub const DUP_ADDR_DETECT_TRANSMITS: u8 = 1;
    pub const RETRANS_TIMER: Duration = Duration::from_secs(1);
}

/// RFC 5227 section 1.1: an address is defended once in this time, and a conflict told once.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// How long to listen for others who have an IPv4 address that is used at once, before it is told
/// that it is ours.
const GLANCE: Duration = Duration::from_secs(1);

/// Within this time a switch that sends back what we send does so.
const ECHO: Duration = Duration::from_secs(1);

/// Where an address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration. It is used at once and never given up: whoever chose it is told of a
    /// conflict, and the server goes on (RFC 5227 section 2.4 c).
    Fixed,
    /// We have chosen it for this link.
    LinkLocal,
    /// The prefix of a router's advertisement.
    #[cfg(feature = "ipv6")]
    Prefix,
    /// A DHCP server. It is used at once, since the server has seen to it that it is free
    /// (RFC 2131 section 3.1), and declined if it turns out that it is not.
    #[cfg(feature = "dhcp")]
    Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Asking whether somebody has it; so many questions are left.
    Probing {
        left: u8,
    },
    /// It is ours, and that is told so many times more.
    Announcing {
        left: u8,
    },
    Settled,
    /// Somebody has it.
    Refused,
}

/// What becomes of an address that somebody else claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Lost,
}

/// One of our addresses, from the moment that we want it.
#[derive(Debug)]
pub struct Own {
    pub cidr: IpCidr,
    pub origin: Origin,
    /// When it is over, if that is known.
    pub until: Option<Instant>,
    stage: Stage,
    /// When there is something to send.
    due: Option<Instant>,
    /// When a conflict was last told and answered.
    defended: Option<Instant>,
    /// When it was last told that somebody would like to have it.
    wanted: Option<Instant>,
    /// When we last said something about it.
    said: Option<Instant>,
}

impl Own {
    pub fn new(cidr: IpCidr, origin: Origin, now: Instant, random: &mut Secret) -> Self {
        let questions = match IpAddr::from(cidr.address()) {
            IpAddr::V4(_) if origin == Origin::LinkLocal => arp::PROBE_NUM,
            IpAddr::V4(_) => 1,
            IpAddr::V6(_) => discovery::DUP_ADDR_DETECT_TRANSMITS,
        };
        let mut own = Self {
            cidr,
            origin,
            until: None,
            stage: Stage::Probing { left: questions },
            due: Some(now),
            defended: None,
            wanted: None,
            said: None,
        };
        if !own.is_usable() {
            let delay = if own.is_v4() { arp::PROBE_WAIT } else { discovery::MAX_DELAY };
            own.due = Some(now + random.within(delay));
        }
        own
    }

    pub fn address(&self) -> IpAddress {
        self.cidr.address()
    }

    /// Whether frames may come and go with it. An address that was given to us is not kept
    /// waiting until it is known that nobody else has it: that takes a second, and a server is
    /// to answer at once (RFC 4429 has the reasons why this does little harm).
    pub fn is_usable(&self) -> bool {
        match self.stage {
            Stage::Probing { .. } => self.is_used_at_once(),
            Stage::Announcing { .. } | Stage::Settled => true,
            Stage::Refused => false,
        }
    }

    /// Whether it is ours, or about to be.
    pub fn is_ours(&self) -> bool {
        self.stage != Stage::Refused
    }

    /// Whether all is told, and nobody has taken it.
    #[cfg(feature = "ipv4")]
    pub fn is_settled(&self) -> bool {
        self.stage == Stage::Settled
    }

    /// Whether what is heard of it now may be what we have said ourselves, sent back.
    pub fn may_echo(&self, now: Instant) -> bool {
        self.said.is_some_and(|said| now.since(said) < ECHO)
    }

    fn is_used_at_once(&self) -> bool {
        match self.origin {
            Origin::Fixed => true,
            #[cfg(feature = "dhcp")]
            Origin::Lease => true,
            _ => false,
        }
    }

    /// Whether it is given up at the second conflict (RFC 5227 section 2.4 b, RFC 3927 section
    /// 2.5 b).
    fn gives_way(&self) -> bool {
        self.is_v4() && self.origin != Origin::Fixed
    }

    pub fn is_v4(&self) -> bool {
        IpAddr::from(self.address()).is_ipv4()
    }

    /// If it is of IPv6.
    #[cfg(feature = "ipv6")]
    pub fn ipv6(&self) -> Option<Ipv6Address> {
        match self.address() {
            IpAddress::Ipv6(address) => Some(address),
            #[cfg(feature = "ipv4")]
            IpAddress::Ipv4(_) => None,
        }
    }

    /// If it is one for this link only.
    #[cfg(feature = "ipv6")]
    pub fn ipv6_link_local(&self) -> Option<Ipv6Address> {
        self.ipv6().filter(Ipv6Address::is_unicast_link_local)
    }

    /// When something happens to it.
    pub fn due(&self) -> Option<Instant> {
        self.due.into_iter().chain(self.until).min()
    }

    /// Whether it has something to send, or its stage to change.
    pub fn has_turn(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Goes on to what is next; says what to send.
    pub fn advance(&mut self, now: Instant, random: &mut Secret) -> Option<Packet> {
        let packet = self.go_on(now, random);
        if packet.is_some() {
            self.said = Some(now);
        }
        packet
    }

    fn go_on(&mut self, now: Instant, random: &mut Secret) -> Option<Packet> {
        match self.stage {
            // In conflict: RFC 4861 section 7.2.6 and RFC 5227 section 2.3 are for what is ours.
            Stage::Probing { left: 0 } if self.defended.is_some() => {
                self.stage = Stage::Settled;
                self.due = None;
                None
            }
            Stage::Probing { left: 0 } => {
                if !self.is_used_at_once() {
                    info!("address {} is ours", self.cidr);
                }
                let left = if self.is_v4() { arp::ANNOUNCE_NUM } else { 1 };
                self.stage = Stage::Announcing { left };
                self.due = Some(now);
                None
            }
            Stage::Probing { left } => {
                self.stage = Stage::Probing { left: left - 1 };
                self.due = Some(now + self.silence(left - 1, random));
                Some(Packet::Probe(self.address()))
            }
            Stage::Announcing { left: 2.. } => {
                self.stage = Stage::Announcing { left: 1 };
                self.due = Some(now + arp::ANNOUNCE_INTERVAL);
                Some(Packet::Announcement(self.address()))
            }
            Stage::Announcing { .. } | Stage::Settled => {
                self.stage = Stage::Settled;
                self.due = None;
                Some(Packet::Announcement(self.address()))
            }
            Stage::Refused => {
                self.due = None;
                None
            }
        }
    }

    /// How long to listen after a question with so many left.
    fn silence(&self, left: u8, random: &mut Secret) -> Duration {
        match (self.is_v4(), self.is_used_at_once()) {
            (false, _) => discovery::RETRANS_TIMER,
            (true, true) => GLANCE,
            (true, false) if left == 0 => arp::ANNOUNCE_WAIT,
            (true, false) => {
                arp::PROBE_MIN.saturating_add(random.within(arp::PROBE_MAX - arp::PROBE_MIN))
            }
        }
    }

    /// Somebody else says that it is theirs.
    pub fn conflict(&mut self, by: EthernetAddress, now: Instant) -> Fate {
        // RFC 2131 section 3.1.5: of a lease that somebody has there is nothing to defend.
        let is_asked_for = matches!(self.stage, Stage::Probing { .. });
        if !self.is_usable() || is_asked_for && self.gives_way() {
            return self.refuse(by);
        }
        if was_told(&mut self.defended, now) {
            return if self.gives_way() { self.refuse(by) } else { Fate::Kept };
        }
        warn!("address {} is in conflict: {by} has it too", self.address());
        // Whoever announces it already need not do so twice; a neighbor of IPv6 asks again by
        // itself.
        if self.is_v4() && self.stage == Stage::Settled {
            self.due = Some(now);
        }
        Fate::Kept
    }

    /// Somebody else asks whether it is free, in order to have it: no conflict yet (RFC 5227
    /// section 2.4).
    pub fn wanted(&mut self, by: EthernetAddress, now: Instant) -> Fate {
        if !self.is_usable() {
            // RFC 4862 section 5.4.3, RFC 5227 section 2.1.1: two who ask at the same time
            // both let it be.
            return self.conflict(by, now);
        }
        self.said = Some(now);
        if !was_told(&mut self.wanted, now) {
            warn!("address {} is wanted by {by}, which is told that it is ours", self.address());
        }
        Fate::Kept
    }

    fn refuse(&mut self, by: EthernetAddress) -> Fate {
        warn!("address {} is not used: {by} has it", self.address());
        self.stage = Stage::Refused;
        self.due = None;
        Fate::Lost
    }
}

/// Whether something was told lately; if not, it is now.
pub fn was_told(last: &mut Option<Instant>, now: Instant) -> bool {
    let lately = last.is_some_and(|last| now.since(last) < DEFEND_INTERVAL);
    if !lately {
        *last = Some(now);
    }
    lately
}
