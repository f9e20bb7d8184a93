//! Our own addresses: where they come from, how they are claimed and defended, when they go;
//! and the routes that come and go with them.
//!
//! | file | what it is |
//! |---|---|
//! | `plan` | what a configuration comes to |
//! | `claim` | the life of one address |
//! | `dhcp` | an address from a DHCP server (RFC 2131) |
//! | `link_local` | an IPv4 address without one (RFC 3927) |
//! | `ipv6` | addresses with IPv6 only |
//! | `slaac` | routers, and the prefixes that they advertise (RFC 4861, RFC 4862) |
//! | `groups` | multicast groups, told to switches (RFC 3810) |
//! | `heard`, `packet` | what is read of frames, and what is sent |
//! | `host_name` | what we are called |
//!
//! smoltcp answers who asks for our addresses, and finds the hardware addresses of neighbors. It
//! does not ask whether an address is free, does not hear others claim it, and takes only
//! questions from those who have an address already: that is done here, before it sees a frame.

mod claim;
#[cfg(feature = "dhcp")]
pub(super) mod dhcp;
#[cfg(feature = "ipv6")]
mod groups;
mod heard;
mod host_name;
#[cfg(feature = "ipv6")]
mod ipv6;
#[cfg(feature = "ipv4")]
mod link_local;
mod packet;
mod plan;
#[cfg(feature = "ipv6")]
mod slaac;

use core::net::IpAddr;

use smoltcp::config::{IFACE_MAX_ADDR_COUNT, IFACE_MAX_ROUTE_COUNT};
use smoltcp::iface::{Interface, Route as StackRoute, SocketStorage};
use smoltcp::phy::Device;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
#[cfg(feature = "ipv4")]
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Ipv6Address, Ipv6Cidr};

use super::secret::Secret;
use super::{Config, ConfigError, RETRY, instant};
use crate::budget::Budget;
use crate::time::{Duration, Instant};
use claim::{Fate, Origin, Own, was_told};
#[cfg(feature = "dhcp")]
use dhcp::{Dhcp, Lease};
#[cfg(feature = "ipv6")]
use groups::Groups;
use heard::Heard;
#[cfg(feature = "ipv4")]
use link_local::LinkLocal;
pub(super) use packet::Packet;
use plan::fixed;
#[cfg(feature = "ipv6")]
use slaac::Routers;

pub use host_name::HostName;
pub use plan::{Plan, is_host};

/// Questions for our addresses that are answered in a second, and at once.
const ANSWERS_A_SECOND: u64 = 1000;
const ANSWERS_AT_ONCE: u64 = 250;
/// A device that is full is tried again after [`RETRY`], then ever more slowly, down to this.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// Packets that one address sends in a turn at most.
const PACKETS_A_TURN: usize = 4;

/// Where one of our addresses comes from.
///
/// With IPv6 there is a link-local address besides, made of the hardware address, unless one is
/// given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// This one, with the prefix of its network.
    Fixed(IpCidr),
    /// From a DHCP server, with the router that it names (IPv4; with the feature `dhcp`).
    Dhcp,
    /// From whatever the network offers: with IPv6, from the prefixes that routers advertise;
    /// with IPv4, from a DHCP server, and while none answers one of 169.254.0.0/16. Beside a fixed
    /// IPv4 address it is for IPv6 only.
    Auto,
}

/// How to reach other networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The network. Of those that an address is in, the one with the longest prefix counts.
    pub cidr: IpCidr,
    /// The router to it, on a network of ours.
    pub via: IpAddress,
}

impl Route {
    /// The way to everywhere that no other route leads to.
    pub const fn default_via(router: IpAddress) -> Self {
        let cidr = match router {
            #[cfg(feature = "ipv4")]
            IpAddress::Ipv4(_) => IpCidr::Ipv4(Ipv4Cidr::new(Ipv4Address::UNSPECIFIED, 0)),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => IpCidr::Ipv6(Ipv6Cidr::new(Ipv6Address::UNSPECIFIED, 0)),
        };
        Self { cidr, via: router }
    }
}

/// Our addresses and routes.
pub(super) struct Addressing<'a> {
    hardware: EthernetAddress,
    random: Secret,
    /// Fixed ones first; then in the order in which they came.
    own: heapless::Vec<Own, IFACE_MAX_ADDR_COUNT>,
    /// Those of the configuration.
    routes: heapless::Vec<Route, IFACE_MAX_ROUTE_COUNT>,
    /// Answers that may be given to who asks for our addresses.
    answers: Budget,
    /// With Auto.
    #[cfg(feature = "ipv4")]
    link_local: Option<LinkLocal>,
    #[cfg(feature = "dhcp")]
    dhcp: Option<Dhcp<'a>>,
    /// With Auto, if there is IPv6.
    #[cfg(feature = "ipv6")]
    routers: Option<Routers>,
    #[cfg(feature = "ipv6")]
    groups: Groups,
    #[cfg(feature = "ipv6")]
    plan: Plan,
    /// When it was last told that another host has our hardware address.
    twin: Option<Instant>,
    /// When there is something to do.
    due: Option<Instant>,
    /// How long to leave the device alone when it is full.
    retry: Duration,
    /// Without DHCP nothing is borrowed.
    lent: core::marker::PhantomData<&'a ()>,
}

/// What becomes of a frame.
pub(super) enum Outcome {
    /// It is for smoltcp.
    Pass,
    /// This is the answer.
    Answer(Packet),
    /// Nothing.
    Done,
}

impl<'a> Addressing<'a> {
    /// What the configuration says. `sockets` has one for DHCP, if there is to be any.
    pub fn new(
        config: &Config<'_>,
        sockets: Option<&'a mut SocketStorage<'a>>,
        ip_mtu: usize,
        random: Secret,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let plan = Plan::new(config, ip_mtu)?;
        let mut addressing = Self {
            hardware: config.hardware,
            random,
            own: heapless::Vec::new(),
            routes: heapless::Vec::from_slice(config.routes)
                .map_err(|_| ConfigError::TooManyRoutes)?,
            answers: Budget::new(ANSWERS_A_SECOND, ANSWERS_AT_ONCE),
            #[cfg(feature = "ipv4")]
            link_local: plan.link_local.then(LinkLocal::new),
            #[cfg(feature = "dhcp")]
            dhcp: None,
            #[cfg(feature = "ipv6")]
            routers: None,
            #[cfg(feature = "ipv6")]
            groups: Groups::default(),
            #[cfg(feature = "ipv6")]
            plan,
            twin: None,
            due: Some(now),
            retry: RETRY,
            lent: core::marker::PhantomData,
        };
        #[cfg(feature = "dhcp")]
        if plan.dhcp {
            let storage = sockets.ok_or(ConfigError::Memory("a socket for DHCP"))?;
            addressing.dhcp = Some(Dhcp::new(storage, config.hardware, config.host_name));
        }
        #[cfg(not(feature = "dhcp"))]
        let _ = sockets;
        for cidr in fixed(config.addresses) {
            addressing.claim(cidr, Origin::Fixed, now);
        }
        #[cfg(feature = "ipv6")]
        addressing.begin_ipv6(now);
        Ok(addressing)
    }

    /// The groups that a service wants the datagrams of.
    pub fn join(&mut self, groups: &[IpAddr], now: Instant) {
        #[cfg(feature = "ipv6")]
        groups.iter().for_each(|&group| self.groups.want(group));
        #[cfg(not(feature = "ipv6"))]
        let _ = groups;
        self.due = Some(now);
    }

    /// The servers for names that a lease has named.
    pub fn name_servers(&self) -> &[IpAddr] {
        #[cfg(feature = "dhcp")]
        if let Some(lease) = self.lease() {
            return &lease.name_servers;
        }
        &[]
    }

    #[cfg(feature = "dhcp")]
    fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref()?.lease()
    }

    /// When there is something to do.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    // What others say.

    /// Hears a frame of ARP, of neighbor discovery, or about groups.
    pub fn receive(&mut self, frame: &[u8], now: Instant) -> Outcome {
        match heard::source(frame) {
            Some(source) if source == self.hardware => {
                self.hear_ourselves(frame, now);
                return Outcome::Done;
            }
            Some(source) if source.is_unicast() => {}
            // Nobody's: an answer would go to many.
            _ => return Outcome::Done,
        }
        match heard::read(frame) {
            None => Outcome::Pass,
            Some(Heard::Claim { address, by, asks }) => self.hear_claim(address, by, asks, now),
            Some(Heard::Want { address, by }) => self.hear_want(address, by, now),
            #[cfg(feature = "ipv6")]
            Some(Heard::Router(advertisement)) => {
                self.hear_router(&advertisement, now);
                Outcome::Done
            }
            #[cfg(feature = "ipv6")]
            Some(Heard::Query(within)) => {
                self.groups.query(within, now, &mut self.random);
                self.due = Some(now);
                Outcome::Done
            }
        }
    }

    /// Hears a frame from our own hardware address. A switch may have sent back what we sent; if
    /// we have not sent it, another host has the same hardware address, and both are hard to
    /// reach.
    fn hear_ourselves(&mut self, frame: &[u8], now: Instant) {
        let (address, is_question) = match heard::read(frame) {
            Some(Heard::Want { address, .. }) => (address, false),
            Some(Heard::Claim { address, asks, .. }) => {
                (address, asks.is_some_and(|asked| asked != address))
            }
            _ => return,
        };
        let is_ours = match self.own.iter().find(|own| own.address() == address) {
            // Which neighbors smoltcp asks for, and when, is not known here.
            Some(own) => is_question || own.may_echo(now),
            None => false,
        };
        if !is_ours && !was_told(&mut self.twin, now) {
            let hardware = self.hardware;
            warn!("another host has our hardware address {hardware}, and the address {address}");
        }
    }

    fn hear_claim(
        &mut self,
        address: IpAddress,
        by: EthernetAddress,
        asks: Option<IpAddress>,
        now: Instant,
    ) -> Outcome {
        if let Some(own) = self.find(address) {
            let fate = own.conflict(by, now);
            self.settle(address, fate, now);
            return Outcome::Done;
        }
        let asks_for_ours = asks.is_some_and(|asked| self.find(asked).is_some());
        if asks_for_ours && !self.answers.grants(now) { Outcome::Done } else { Outcome::Pass }
    }

    fn hear_want(&mut self, address: IpAddress, by: EthernetAddress, now: Instant) -> Outcome {
        let Some(own) = self.find(address) else { return Outcome::Done };
        let fate = own.wanted(by, now);
        self.settle(address, fate, now);
        if fate == Fate::Lost || !self.answers.grants(now) {
            return Outcome::Done;
        }
        Outcome::Answer(match address {
            #[cfg(feature = "ipv4")]
            IpAddress::Ipv4(address) => Packet::ArpReply { address, to: by },
            // RFC 4861 section 7.2.4: who has no address yet is answered before everybody.
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => Packet::Announcement(address),
        })
    }

    /// Lets go of an address that is lost to somebody else.
    fn settle(&mut self, address: IpAddress, fate: Fate, now: Instant) {
        self.due = Some(now);
        let Some(at) = self.own.iter().position(|own| own.address() == address) else { return };
        if fate == Fate::Kept || !IpAddr::from(address).is_ipv4() {
            return;
        }
        let own = self.own.remove(at);
        match own.origin {
            #[cfg(feature = "ipv4")]
            Origin::LinkLocal => {
                self.link_local.iter_mut().for_each(|search| search.conflict(now));
            }
            #[cfg(feature = "dhcp")]
            Origin::Lease => self.dhcp.iter_mut().for_each(|dhcp| dhcp.decline(now)),
            _ => {}
        }
    }

    fn find(&mut self, address: IpAddress) -> Option<&mut Own> {
        self.own.iter_mut().find(|own| own.address() == address && own.is_ours())
    }

    // What time brings.

    /// Does what is due, and tells the interface which addresses and routes there are; says
    /// whether the addresses are others than before.
    pub fn turn<D: Device + ?Sized>(
        &mut self,
        iface: &mut Interface,
        device: &mut D,
        now: Instant,
    ) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.expire(now);
        #[cfg(feature = "dhcp")]
        let is_full = self.follow_lease(iface, device, now).is_none();
        #[cfg(not(feature = "dhcp"))]
        let is_full = false;
        let is_full = self.send(device, now).is_none() || is_full;
        #[cfg(feature = "ipv4")]
        self.fall_back(now);
        let changed = self.apply(iface);
        if is_full {
            self.due = Some(now + self.retry);
            self.retry = self.retry.saturating_mul(2).min(LAST_RETRY);
        } else {
            self.due = self.next(iface, now);
            self.retry = RETRY;
        }
        changed
    }

    fn expire(&mut self, now: Instant) {
        let is_over = |own: &Own| own.until.is_some_and(|until| until <= now);
        for own in self.own.iter().filter(|own| own.is_usable() && is_over(own)) {
            info!("address {} is gone: no router has renewed it", own.address());
        }
        self.own.retain(|own| !is_over(own));
        #[cfg(feature = "ipv6")]
        self.routers.iter_mut().for_each(|routers| routers.expire(now));
    }

    /// Wants an address from now on. The plan has room for it.
    fn claim(&mut self, cidr: IpCidr, origin: Origin, now: Instant) -> Option<&mut Own> {
        self.own.push(Own::new(cidr, origin, now, &mut self.random)).ok()?;
        self.own.last_mut()
    }

    // What is sent.

    /// Sends what is due; `None` if the device has no room for it.
    fn send<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) -> Option<()> {
        // A question to a group must find us in it.
        #[cfg(feature = "ipv6")]
        self.send_groups(device, now)?;
        #[cfg(feature = "ipv6")]
        self.send_solicitation(device, now)?;
        self.send_claims(device, now)?;
        // By now there may be an address to say it from.
        #[cfg(feature = "ipv6")]
        self.send_groups(device, now)?;
        Some(())
    }

    /// Asks for our addresses, and tells them.
    fn send_claims<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) -> Option<()> {
        for own in &mut self.own {
            for _ in 0..PACKETS_A_TURN {
                if !own.has_turn(now) {
                    break;
                }
                let token = device.transmit(instant(now))?;
                if let Some(packet) = own.advance(now, &mut self.random) {
                    packet.send(self.hardware, token);
                }
            }
        }
        Some(())
    }

    // What comes of it.

    /// Tells the interface which addresses and routes there are. Says whether the addresses are
    /// others than before; it forgets its neighbors then.
    pub fn apply(&self, iface: &mut Interface) -> bool {
        let usable = || self.own.iter().filter(|own| own.is_usable()).map(|own| own.cidr);
        let changed = !usable().eq(iface.ip_addrs().iter().copied());
        if changed {
            iface.update_ip_addrs(|addresses| {
                addresses.clear();
                // Both have the same capacity.
                addresses.extend(usable());
            });
        }
        iface.routes_mut().update(|routes| {
            routes.clear();
            // Of two that are alike smoltcp takes the later one: the configuration has the last
            // word. The plan has room for all.
            for Route { cidr, via: via_router } in self.learned().chain(self.routes.iter().copied())
            {
                let route =
                    StackRoute { cidr, via_router, preferred_until: None, expires_at: None };
                let _ = routes.push(route);
            }
        });
        changed
    }

    /// The routes that the network has told us of.
    fn learned(&self) -> impl Iterator<Item = Route> {
        #[cfg(feature = "dhcp")]
        let v4 = self.lease().and_then(|lease| lease.router).map(IpAddress::from);
        #[cfg(not(feature = "dhcp"))]
        let v4 = None;
        #[cfg(feature = "ipv6")]
        let v6 = self.routers.as_ref().and_then(Routers::first).map(IpAddress::from);
        #[cfg(not(feature = "ipv6"))]
        let v6 = None;
        [v4, v6].into_iter().flatten().map(Route::default_via)
    }

    /// When there is something to do again.
    fn next(&self, iface: &mut Interface, now: Instant) -> Option<Instant> {
        let mut dues = heapless::Vec::<Option<Instant>, 5>::new();
        dues.extend([self.own.iter().filter_map(Own::due).min()]);
        #[cfg(feature = "ipv4")]
        dues.extend([self.link_local.as_ref().and_then(LinkLocal::due)]);
        #[cfg(feature = "dhcp")]
        dues.extend(self.dhcp.as_ref().map(|dhcp| dhcp.due(iface, now)));
        #[cfg(not(feature = "dhcp"))]
        let _ = (iface, now);
        #[cfg(feature = "ipv6")]
        dues.extend([self.routers.as_ref().and_then(Routers::due), self.groups.due()]);
        dues.into_iter().flatten().min()
    }
}
