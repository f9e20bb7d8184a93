//! Connections that we open for a service: the client's side.

use core::net::SocketAddr;

use smoltcp::phy::Device;
use smoltcp::socket::tcp::State;
use smoltcp::wire::{IpCidr, IpEndpoint};

use super::index::Tuple;
use super::slots::{Kind, Role};
use super::{Binding, Net, endpoint, service_at, socket_address};
use crate::service::ConnectError;
use crate::time::{Duration, Instant};

/// The dynamic ports (RFC 6335 section 6).
const DYNAMIC_PORTS: core::ops::RangeInclusive<u16> = 49_152..=65_535;
/// How long a peer may take to answer: time for two retransmissions.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a port is drawn before there is taken to be none.
const DRAWS: u32 = 64;

impl Net<'_> {
    /// Opens a connection to `peer` for the service over TCP in this row of the service table.
    /// When it is established the service gets a session, as if the peer had opened it; if it
    /// is not, [`Service::refused`](crate::service::Service::refused) is called, within
    /// seconds. The port is random, of the dynamic range.
    pub fn call(&mut self, row: usize, peer: SocketAddr, now: Instant) -> Result<(), ConnectError> {
        let remote = endpoint(peer).filter(|peer| peer.addr.is_unicast() && peer.port != 0);
        let remote = remote.ok_or(ConnectError::Unreachable)?;
        let tuple = self.choose_ends(remote)?;
        let at = self.take(Kind::Control).ok_or(ConnectError::NoSlot)?;
        self.dial(at, Role::Calling { service: row }, tuple, now)?;
        let slot = self.slots.get_mut(usize::from(at)).ok_or(ConnectError::NoSlot)?;
        slot.socket_mut().set_timeout(Some(PATIENCE.into()));
        self.mark(at);
        Ok(())
    }

    /// An address of ours from which the peer can be reached, and a port that no connection to
    /// the peer has.
    fn choose_ends(&mut self, remote: IpEndpoint) -> Result<Tuple, ConnectError> {
        let source = self.source_for(remote.addr).filter(|_| self.has_route(remote));
        let source = source.ok_or(ConnectError::Unreachable)?;
        let size = u64::from(DYNAMIC_PORTS.end() - DYNAMIC_PORTS.start()) + 1;
        for _ in 0..DRAWS {
            let port = DYNAMIC_PORTS.start() + (self.secret.draw() % size) as u16;
            let tuple = Tuple { local: IpEndpoint::new(source, port), remote };
            if self.find(&tuple).is_none() {
                return Ok(tuple);
            }
        }
        Err(ConnectError::NoPort)
    }

    /// Whether a peer is on one of our networks, or behind a router.
    fn has_route(&mut self, remote: IpEndpoint) -> bool {
        let covers = |cidr: &IpCidr| cidr.contains_addr(&remote.addr);
        let mut has_route = self.iface.ip_addrs().iter().any(covers);
        let routes = self.iface.routes_mut();
        routes.update(|routes| has_route |= routes.iter().any(|route| covers(&route.cidr)));
        has_route
    }

    pub(super) fn serve_calling<D: Device + ?Sized>(
        &mut self,
        at: u16,
        service: usize,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        self.send(at, device, now);
        let Some(slot) = self.slots.get(usize::from(at)) else { return };
        match slot.state() {
            // Both may call at once (RFC 9293 figure 7).
            State::SynSent | State::SynReceived => self.schedule(at, None, now),
            State::Closed => {
                let peer = socket_address(slot.tuple.remote);
                self.release(at);
                if let Some(service) = service_at(services, service) {
                    service.refused(peer);
                }
            }
            _ => self.open(at, service, device, services, now),
        }
    }
}
