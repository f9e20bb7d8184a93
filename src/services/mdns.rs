//! Multicast DNS (RFC 6762) with service discovery (RFC 6763): a name on the local network.
//!
//! `tinyftp.local` resolves to every address that we have, each address back to it, and whoever
//! looks for FTP servers finds `tinyftp._ftp._tcp.local` with its port. Before it uses them,
//! [`Mdns`] makes sure that nobody else has these names; if somebody has, it takes the next
//! ones, `tinyftp-2` and so on.
//!
//! ```text
//!             an address          3 probes         2 announcements
//!   silent -------------> probing --------> announcing ---------> settled
//!     ^                   ^  |  ^              |                    |
//!     |  no address       +--+  +--------------+--------------------+
//!     +---------------    another has        another claims the name, or the first
//!       or shutdown       the name           address of a version of IP
//! ```
//!
//! What is to be sent is a bit for each RRset and version of IP, and no queue: a packet is
//! written when it goes out, of what is so at that time. What a datagram may cost is bounded by
//! the numbers of questions and records that are looked at. The wire format is read and written
//! by the `domain` crate.
//!
//! Left out: everything that is a querier's, and what a responder may do to be more quiet still
//! (RFC 6762, 7.3 and 7.4). Reverse names are not probed for: that an address is ours, duplicate
//! address detection has shown.

mod claim;
mod config;
mod link;
mod message;
mod query;
mod random;
mod record;
mod rrset;
mod zone;

use core::mem;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::iana::{Opcode, Rcode};

use self::claim::{Claim, Step};
pub use self::config::{ADDRESSES, Advertised, Config, ConfigError, SERVICES, TEXT};
use self::link::{Asked, Link};
use self::message::{Audience, Message};
use self::query::Query;
use self::random::Random;
use self::rrset::Rrsets;
use self::zone::Zone;
use crate::service::{Datagram, DatagramService, Emission};
use crate::time::Instant;

/// The port of mDNS.
pub const PORT: u16 = 5353;
/// The groups of mDNS.
pub const GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
];

/// The responder. It belongs on port 5353 of all of our addresses and of [`GROUPS`].
pub struct Mdns<'a> {
    zone: Zone<'a>,
    claim: Claim,
    /// For IPv4 and for IPv6.
    links: [Link; 2],
    random: Random,
    /// The name in use has been logged.
    is_logged: bool,
    has_left: bool,
}

impl<'a> Mdns<'a> {
    /// A responder that begins when it has an address.
    pub fn new(config: Config<'a>) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            zone: Zone::new(config),
            claim: Claim::new(),
            links: [const { Link::new() }; 2],
            random: Random::new(config.seed),
            is_logged: false,
            has_left: false,
        })
    }

    /// The name in use, without `.local`: the one that was configured, or if that is taken, one
    /// with a number. It may be found to be taken at any time.
    pub fn hostname(&self) -> &str {
        self.zone.label()
    }
}

impl DatagramService for Mdns<'_> {
    fn answer(&mut self, datagram: &Datagram<'_>, reply: &mut [u8], now: Instant) -> Option<usize> {
        let message = Message::from_slice(datagram.payload).ok()?;
        let header = message.header();
        // Anything else is ignored (18.3, 18.11), and so is what comes back of our own.
        let is_plain = header.opcode() == Opcode::QUERY && header.rcode() == Rcode::NOERROR;
        if !is_plain || self.zone.addresses().contains(&datagram.peer.ip()) {
            return None;
        }
        if self.claim.is_probing() {
            self.hear_while_probing(message, datagram, now);
            return None;
        }
        if !self.claim.is_held() {
            return None;
        }
        if header.qr() {
            self.hear(message, datagram, now);
            return None;
        }
        self.answer_query(message, datagram, reply, now)
    }

    fn groups(&self) -> &[IpAddr] {
        &GROUPS
    }

    fn poll(&mut self, addresses: &[IpAddr], message: &mut [u8], now: Instant) -> Emission {
        if !self.has_left {
            self.take_addresses(addresses, now);
        }
        if let Some(step) = self.claim.step(now) {
            self.take_step(step, now);
        }
        for (version, group) in GROUPS.into_iter().enumerate() {
            if let Some(len) = self.emit(version, message, now) {
                return Emission::Send { to: SocketAddr::new(group, PORT), len };
            }
        }
        let links = self.links.iter().filter_map(Link::wake);
        Emission::Wait(links.chain(self.claim.wake()).min())
    }

    fn shutdown(&mut self) {
        self.clear();
        if self.claim.is_held() {
            // At once.
            self.announce(Instant::ZERO);
        }
        self.claim.end();
        self.has_left = true;
    }
}

/// What is heard.
impl Mdns<'_> {
    /// While we probe, there are answers to our probes, and the probes of others. Whoever sends
    /// either does so from port 5353 (RFC 6762, 6). Each probe of ours costs us one name at most.
    fn hear_while_probing(&mut self, message: &Message, datagram: &Datagram<'_>, now: Instant) {
        if datagram.peer.port() != PORT || !self.claim.has_probed() {
            return;
        }
        let is_response = message.header().qr();
        if is_response && claim::is_refused(&self.zone, message) {
            let (old, peer) = (self.zone.rename(), datagram.peer.ip());
            warn!("{old}.local is taken by {peer}: now {}.local", self.zone.label());
            self.is_logged = false;
            self.claim.conflict(&mut self.random, now);
        } else if !is_response && claim::is_outdone(&self.zone, message) {
            self.claim.defer(now);
        }
    }

    /// Hears a response: if it says of our names what we do not, we claim them anew (9). Others
    /// have no reason to tell us so alone (11).
    fn hear(&mut self, message: &Message, datagram: &Datagram<'_>, now: Instant) {
        let is_for_all = datagram.local.ip().is_multicast() && datagram.peer.port() == PORT;
        if is_for_all && claim::is_disputed(&self.zone, message) {
            debug!("{} disputes our name {}.local", datagram.peer.ip(), self.zone.label());
            self.clear();
            self.claim.conflict(&mut self.random, now);
        }
    }

    /// Answers a query: now to the peer alone, or later to all.
    fn answer_query(
        &mut self,
        message: &Message,
        datagram: &Datagram<'_>,
        reply: &mut [u8],
        now: Instant,
    ) -> Option<usize> {
        let query = Query::read(&self.zone, message);
        let peer = datagram.peer;
        if peer.port() != PORT {
            return self.reply(Audience::Legacy(message), query.answers, reply);
        }
        let link = &mut self.links[usize::from(peer.is_ipv6())];
        if query.is_continued() {
            link.withdraw(query::known(&self.zone, link.asked_by(peer.ip()), message));
            return None;
        }
        let answers = query.answers.without(query::known(&self.zone, query.answers, message));
        // What all have heard of late is sent to who asks alone, if that is welcome (5.4); and
        // what is asked of us alone is answered so (5.5).
        let is_direct = !datagram.local.ip().is_multicast();
        let unicast = answers.filter(|&rrset| {
            let is_welcome = !query.by_multicast.contains(rrset);
            is_direct || is_welcome && (query.is_probe || link.is_fresh(rrset, now))
        });
        let answers = answers.without(unicast);
        if !answers.is_empty() {
            let delay = query.delay(answers, &mut self.random);
            let asked = Asked { answers, is_probe: query.is_probe, asker: peer.ip(), delay };
            link.ask(&asked, now);
        }
        self.reply(Audience::Peers, unicast, reply)
    }

    fn reply(&self, audience: Audience<'_>, answers: Rrsets, reply: &mut [u8]) -> Option<usize> {
        if answers.is_empty() {
            return None;
        }
        let additional = self.zone.additional(answers);
        let written = message::response(&self.zone, audience, answers, additional, reply)?;
        (!written.answers.is_empty()).then_some(written.len)
    }
}

/// What is sent.
impl Mdns<'_> {
    /// Takes the addresses that we have now.
    fn take_addresses(&mut self, addresses: &[IpAddr], now: Instant) {
        let had = self.zone.versions();
        if !self.zone.set_addresses(addresses) {
            return;
        }
        let has = self.zone.versions();
        let is_new = has.iter().zip(had).any(|(&has, had)| has && !had);
        if !self.claim.is_held() {
            self.zone.forget_gone();
        }
        if has == [false; 2] {
            self.claim.end();
        } else if is_new {
            // Who speaks only this version of IP was not asked yet.
            self.clear();
            self.claim.probe(&mut self.random, now);
        } else if self.claim.is_held() {
            self.claim.announce(now);
        }
    }

    fn take_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Probe => self.links.iter_mut().for_each(|link| link.probe = true),
            Step::Claimed => {
                if !mem::replace(&mut self.is_logged, true) {
                    info!("reachable as {}.local", self.zone.label());
                }
                self.announce(now);
            }
            Step::Announce => self.announce(now),
        }
    }

    fn announce(&mut self, now: Instant) {
        let all = self.zone.all();
        self.links.iter_mut().for_each(|link| link.announce(all, now));
    }

    fn clear(&mut self) {
        self.links.iter_mut().for_each(Link::clear);
    }

    /// Writes what is to be sent over a version of IP now.
    fn emit(&mut self, version: usize, message: &mut [u8], now: Instant) -> Option<usize> {
        let link = &mut self.links[version];
        if !self.zone.versions()[version] {
            link.clear();
            return None;
        }
        if mem::take(&mut link.probe) {
            return message::probe(&self.zone, message);
        }
        let answers = link.ready(now);
        let (audience, additional) = if self.has_left {
            (Audience::Goodbye, Rrsets::NONE)
        } else {
            let additional = self.zone.additional(answers);
            (Audience::Peers, additional.filter(|&rrset| link.may_send(rrset, now)))
        };
        let written = message::response(&self.zone, audience, answers, additional, message);
        let Some(written) = written.filter(|written| !written.answers.is_empty()) else {
            // There is nothing, or no room for any of it, which there never will be.
            link.withdraw(answers);
            return None;
        };
        link.sent(written.answers.union(written.additional), now);
        Some(written.len)
    }
}
