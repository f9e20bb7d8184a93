//! An address from a DHCP server: smoltcp's client, guarded (RFC 2131).
//!
//! smoltcp asks, asks again, renews, rebinds, and says when the lease is over. What it does not
//! do is done here: it believes every server that says no, takes whatever it is given for an
//! address, asks for ever at the same pace, and cannot decline.

use core::net::IpAddr;

use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, TxToken};
use smoltcp::socket::dhcpv4::{Event, RetryConfig, Socket};
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_MAX_DNS_SERVER_COUNT, DHCP_SERVER_PORT, DhcpMessageType, DhcpPacket,
    DhcpRepr, EthernetAddress, IpCidr, IpEndpoint, Ipv4Address, Ipv4Cidr,
};

use super::claim::Origin;
use super::plan::is_host;
use super::{Addressing, HostName};
use crate::net::datagram::{HOP_LIMIT, Outgoing};
use crate::net::device::{Exit, Shim};
use crate::net::frame::Message;
use crate::net::index::Tuple;
use crate::net::secret::Secret;
use crate::net::{due_at, instant};
use crate::time::{Duration, Instant};

/// RFC 2131 section 4.1: the first question is repeated after some seconds, and then ever more
/// slowly.
const FIRST_DISCOVERY: Duration = Duration::from_secs(2);
const LAST_DISCOVERY: Duration = Duration::from_secs(64);
/// With the third question it is said that there is no answer.
const TOLD_DISCOVERY: Duration = Duration::from_secs(16);
const REQUEST: Duration = Duration::from_secs(2);
/// RFC 2131 section 4.4.5: a renewal is repeated after half of what is left, but no sooner than
/// this. A lease of a minute or two needs a shorter time, and so has it.
const RENEWAL_MIN: Duration = Duration::from_secs(60);
const RENEWAL_MAX: Duration = Duration::from_secs(60 * 60);
const RENEWALS_A_LEASE: u32 = 16;
/// RFC 2131 section 3.1.5: who has declined an address waits before it asks for another.
const AFTER_DECLINING: Duration = Duration::from_secs(10);
/// Who was refused an address does not ask at once: two who disagree would never stop.
const AFTER_REFUSAL: Duration = Duration::from_secs(1);
/// What smoltcp takes for the length of a lease that does not say it.
const DEFAULT_LEASE: Duration = Duration::from_secs(120);
/// Messages in one turn at most: an end, and a new beginning.
const MESSAGES_A_TURN: usize = 4;

const OPTION_ROUTER: u8 = 3;

/// A DHCP client.
pub struct Dhcp<'a> {
    /// smoltcp's client, alone in its set.
    sockets: SocketSet<'a>,
    hardware: EthernetAddress,
    lease: Option<Lease>,
    /// How long to wait for the next answer before asking all servers again.
    discovery: Duration,
    /// Nothing is sent before.
    quiet_until: Instant,
    /// The address that is to be given back, and to whom.
    declined: Option<(Ipv4Address, Ipv4Address)>,
}

/// What a server has given us.
#[derive(Clone, Debug)]
pub struct Lease {
    pub address: Ipv4Cidr,
    pub router: Option<Ipv4Address>,
    pub name_servers: heapless::Vec<IpAddr, DHCP_MAX_DNS_SERVER_COUNT>,
    server: Ipv4Address,
    time: Times,
}

/// How long a lease is good for.
#[derive(Clone, Copy, Debug)]
struct Times {
    whole: Duration,
    /// From when on any server may answer for it.
    rebinding: Instant,
}

impl<'a> Dhcp<'a> {
    pub fn new(
        storage: &'a mut SocketStorage<'a>,
        hardware: EthernetAddress,
        name: Option<&'static HostName>,
    ) -> Self {
        let mut socket = Socket::new();
        if let Some(name) = name {
            socket.set_outgoing_options(name.options());
        }
        let mut sockets = SocketSet::new(core::slice::from_mut(storage));
        sockets.add(socket);
        Self {
            sockets,
            hardware,
            lease: None,
            discovery: FIRST_DISCOVERY,
            quiet_until: Instant::ZERO,
            declined: None,
        }
    }

    /// What a server has given us, while it is good.
    pub fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    fn socket(&mut self) -> &mut Socket<'a> {
        // The first handle of a set; `new` has put the socket there.
        self.sockets.get_mut(SocketHandle::default())
    }

    /// Whether a datagram is from a server to a client, which has no address yet.
    pub fn is_for_client(message: &Message<'_>) -> bool {
        let Tuple { local, remote } = message.tuple;
        local.port == DHCP_CLIENT_PORT && remote.port == DHCP_SERVER_PORT
    }

    /// Takes a datagram of a server's, if it may be for us.
    pub fn receive(
        &mut self,
        message: &Message<'_>,
        (frame, token): (&[u8], impl TxToken),
        iface: &mut Interface,
        capabilities: &DeviceCapabilities,
        now: Instant,
    ) {
        let Ok(packet) = DhcpPacket::new_checked(message.payload) else { return };
        let Some(answer) = Answer::read(&packet) else { return };
        if !self.admits(&answer, now) {
            return;
        }
        let due = iface.poll_at(instant(now), &self.sockets);
        let mut shim = Shim::received(frame, Exit::Wire(token), capabilities);
        iface.poll_ingress_single(instant(now), &mut shim, &mut self.sockets);
        // smoltcp does not say whether the transaction was ours. If it was, it does something else
        // next.
        let is_ours = iface.poll_at(instant(now), &self.sockets) != due;
        match self.socket().poll() {
            Some(Event::Configured(terms)) => {
                let lease = Lease {
                    address: terms.address,
                    router: router(answer.packet, terms.address),
                    name_servers: terms.dns_servers.iter().map(|&ip| ip.into()).collect(),
                    server: answer.server,
                    time: Times::read(&answer.repr, now),
                };
                self.accept(lease, now);
            }
            Some(Event::Deconfigured) => self.lose("the server said no"),
            None if is_ours => {}
            None => return,
        }
        self.note(&answer, now);
    }

    /// Whether smoltcp may see an answer. It looks at the transaction itself.
    fn admits(&self, answer: &Answer<'_>, now: Instant) -> bool {
        let is_final =
            matches!(answer.repr.message_type, DhcpMessageType::Ack | DhcpMessageType::Nak);
        // RFC 2131 section 4.4.5: nobody else has been asked before the lease is to be rebound.
        let is_asked = |lease: &Lease| lease.server == answer.server || now >= lease.time.rebinding;
        answer.repr.client_hardware_address == self.hardware
            && (!is_final || self.lease.as_ref().is_none_or(is_asked))
    }

    /// What follows from an answer that smoltcp has taken.
    fn note(&mut self, answer: &Answer<'_>, now: Instant) {
        match (answer.repr.message_type, &mut self.lease) {
            (DhcpMessageType::Offer, _) => self.discovery = FIRST_DISCOVERY,
            // Of a lease that is rebound the server is another one; smoltcp goes on asking the
            // first, until all are asked again.
            (DhcpMessageType::Ack, Some(lease)) => {
                lease.server = answer.server;
                lease.time = Times::read(&answer.repr, now);
            }
            (DhcpMessageType::Nak, _) => self.keep_quiet(AFTER_REFUSAL, now),
            _ => {}
        }
    }

    /// Sends nothing for so long.
    fn keep_quiet(&mut self, time: Duration, now: Instant) {
        self.quiet_until = self.quiet_until.max(now + time);
    }

    /// Sends what there is to send; `None` if the device has no room for it.
    pub fn turn<D: Device + ?Sized>(
        &mut self,
        iface: &mut Interface,
        device: &mut D,
        random: &mut Secret,
        now: Instant,
    ) -> Option<()> {
        if let Some(declined) = self.declined {
            let token = device.transmit(instant(now))?;
            self.declined = None;
            broadcast(&declining(declined, self.hardware, random), self.hardware, token);
        }
        let capabilities = device.capabilities();
        for _ in 0..MESSAGES_A_TURN {
            if now < self.quiet_until || !self.is_due(iface, now) {
                break;
            }
            let until = now + self.pace(random);
            let mut shim = Shim::through(device, &capabilities, instant(now));
            iface.poll_egress(instant(now), &mut shim, &mut self.sockets);
            let is_full = shim.is_full();
            drop(shim);
            if let Some(Event::Deconfigured) = self.socket().poll() {
                self.lose("the lease has run out");
            }
            if is_full {
                return None;
            }
            // All servers were asked, and smoltcp waits for their offers.
            if iface.poll_at(instant(now), &self.sockets) == Some(instant(until)) {
                self.discovery = self.discovery.saturating_mul(2).min(LAST_DISCOVERY);
                if self.discovery == TOLD_DISCOVERY {
                    warn!("no DHCP server answers yet; it is asked on");
                }
            }
        }
        Some(())
    }

    fn is_due(&self, iface: &mut Interface, now: Instant) -> bool {
        iface.poll_at(instant(now), &self.sockets).is_some_and(|due| due <= instant(now))
    }

    /// Tells smoltcp how long to wait for answers to what it sends next; returns how long for
    /// offers.
    fn pace(&mut self, random: &mut Secret) -> Duration {
        // RFC 2131 section 4.1: not all are to ask at the same time.
        let wait = self.discovery.saturating_add(random.within(Duration::from_secs(1)));
        let mut config = RetryConfig::default();
        config.discover_timeout = wait.into();
        config.initial_request_timeout = REQUEST.into();
        config.max_renew_timeout = RENEWAL_MAX.into();
        if let Some(lease) = &self.lease {
            let share = lease.time.whole / RENEWALS_A_LEASE;
            config.min_renew_timeout = share.min(RENEWAL_MIN).into();
        }
        self.socket().set_retry_config(config);
        wait
    }

    fn accept(&mut self, lease: Lease, now: Instant) {
        let (cidr, server) = (lease.address, lease.server);
        // Nor is there a network of the whole world.
        if !is_host(cidr.into()) || cidr.prefix_len() == 0 {
            warn!("address {cidr} from DHCP server {server} is none that can be used");
            return self.restart(now);
        }
        info!("address {cidr} from DHCP server {server} for {} s", lease.time.whole.as_secs());
        self.discovery = FIRST_DISCOVERY;
        self.lease = Some(lease);
    }

    fn lose(&mut self, reason: &str) {
        if let Some(lease) = self.lease.take() {
            warn!("address {} is gone: {reason}", lease.address.address());
        }
    }

    /// Gives the address back that somebody else has (RFC 2131 section 3.1.5).
    pub fn decline(&mut self, now: Instant) {
        self.declined = self.lease.take().map(|lease| (lease.address.address(), lease.server));
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        self.lease = None;
        self.socket().reset();
        // What it says of that is known.
        let _ = self.socket().poll();
        self.keep_quiet(AFTER_DECLINING, now);
    }

    /// When there is something to do; `iface` knows whether the server can be reached.
    pub fn due(&self, iface: &mut Interface, now: Instant) -> Option<Instant> {
        Some(due_at(iface, &self.sockets, now)?.max(self.quiet_until))
    }
}

impl Addressing<'_> {
    /// Takes a datagram from a DHCP server.
    pub(in crate::net) fn receive_dhcp(
        &mut self,
        message: &Message<'_>,
        arrival: (&[u8], impl TxToken),
        iface: &mut Interface,
        capabilities: &DeviceCapabilities,
        now: Instant,
    ) {
        if let Some(dhcp) = &mut self.dhcp {
            dhcp.receive(message, arrival, iface, capabilities, now);
            self.due = Some(now);
        }
    }

    /// Has the address that DHCP has, and no other of a server's; `None` if the device has no room
    /// for what is to be sent.
    pub(super) fn follow_lease<D: Device + ?Sized>(
        &mut self,
        iface: &mut Interface,
        device: &mut D,
        now: Instant,
    ) -> Option<()> {
        let Some(dhcp) = &mut self.dhcp else { return Some(()) };
        let sent = dhcp.turn(iface, device, &mut self.random, now);
        let leased = dhcp.lease().map(|lease| IpCidr::from(lease.address));
        self.own.retain(|own| own.origin != Origin::Lease || Some(own.cidr) == leased);
        if let Some(cidr) = leased
            && !self.own.iter().any(|own| own.address() == cidr.address())
        {
            // There is room for one of the two.
            self.replace_chosen(cidr.address());
            self.claim(cidr, Origin::Lease, now);
        }
        sent
    }
}

/// What a server has said.
struct Answer<'p> {
    packet: &'p DhcpPacket<&'p [u8]>,
    repr: DhcpRepr<'p>,
    server: Ipv4Address,
}

impl<'p> Answer<'p> {
    fn read(packet: &'p DhcpPacket<&'p [u8]>) -> Option<Self> {
        let repr = DhcpRepr::parse(packet).ok()?;
        Some(Self { packet, server: repr.server_identifier?, repr })
    }
}

impl Times {
    /// As smoltcp reads them (RFC 2131 section 4.4.5: T1 and T2).
    fn read(repr: &DhcpRepr<'_>, now: Instant) -> Self {
        let seconds = |time: u32| Duration::from_secs(time.into());
        let whole = repr.lease_duration.map_or(DEFAULT_LEASE, seconds);
        let renewal = repr.renew_duration.map(seconds);
        let rebinding = match (renewal, repr.rebind_duration.map(seconds)) {
            (Some(t1), Some(t2)) if t1 < t2 && t2 < whole => t2,
            (Some(t1), None) if t1 < whole => t1 + (whole - t1) * 3 / 4,
            (None, Some(t2)) if t2 < whole => t2,
            _ => whole * 7 / 8,
        };
        Self { whole, rebinding: now + rebinding }
    }
}

/// The first router that the server names, if it is on the link: smoltcp knows none if there are
/// several.
fn router(packet: &DhcpPacket<&[u8]>, address: Ipv4Cidr) -> Option<Ipv4Address> {
    let option = packet.options().find(|option| option.kind == OPTION_ROUTER)?;
    let router = Ipv4Address::from_octets(*option.data.first_chunk()?);
    let is_on_link = address.contains_addr(&router) && router != address.address();
    is_on_link.then_some(router)
}

/// What tells a server that somebody has the address that it gave us (RFC 2131 table 5).
fn declining(
    (address, server): (Ipv4Address, Ipv4Address),
    hardware: EthernetAddress,
    random: &mut Secret,
) -> DhcpRepr<'static> {
    DhcpRepr {
        message_type: DhcpMessageType::Decline,
        transaction_id: random.draw() as u32,
        secs: 0,
        client_hardware_address: hardware,
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: Ipv4Address::UNSPECIFIED,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: None,
        subnet_mask: None,
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: Some(address),
        client_identifier: Some(hardware),
        server_identifier: Some(server),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: None,
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

/// Sends a message to all servers, from nobody.
fn broadcast(repr: &DhcpRepr<'_>, hardware: EthernetAddress, token: impl TxToken) {
    let outgoing = Outgoing {
        hardware: EthernetAddress::BROADCAST,
        source: IpEndpoint::new(Ipv4Address::UNSPECIFIED.into(), DHCP_CLIENT_PORT),
        destination: IpEndpoint::new(Ipv4Address::BROADCAST.into(), DHCP_SERVER_PORT),
        hop_limit: HOP_LIMIT,
    };
    let write = |payload: &mut [u8]| {
        // Every option is short enough for its length.
        let _ = repr.emit(&mut DhcpPacket::new_unchecked(payload));
    };
    let checksums = ChecksumCapabilities::default();
    outgoing.send(hardware, (repr.buffer_len(), write), &checksums, token);
}
