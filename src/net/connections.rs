//! The table of connections: the ports of the services first, then the slots. A place in it is
//! a number, and means the same while others come and go.

use core::net::SocketAddr;

use smoltcp::socket::tcp;

use super::slots::{Role, Session, Slot};
use super::{Binding, Net, Protocol, UNSPECIFIED, socket_address};
use crate::connection::{Account, Connection, Listed, State, Transport};
use crate::time::Instant;

/// Places that one look for the next connection visits at most.
const PLACES_A_LOOK: usize = 64;

impl Net<'_> {
    /// The ports of the services, the connections that there are and the data connections that
    /// are expected, as they are `now`. The services are those that [`poll`](Self::poll) gets.
    pub fn connections(
        &self,
        services: &[Binding<'_>],
        now: Instant,
    ) -> impl Iterator<Item = Connection> {
        (0..self.places(services)).filter_map(move |place| self.connection(place, services, now))
    }

    /// The first of them from a place on, for those who have no time for all at once; 0 is the
    /// first place. It may find none, and yet say where to look next.
    pub fn next_connection(&self, place: usize, services: &[Binding<'_>], now: Instant) -> Listed {
        let places = self.places(services);
        let mut look = place..places.min(place.saturating_add(PLACES_A_LOOK));
        let connection = look.find_map(|place| self.connection(place, services, now));
        Listed { connection, next: (look.start < places).then_some(look.start) }
    }

    fn places(&self, services: &[Binding<'_>]) -> usize {
        ports(services).count() + self.slots.len()
    }

    fn connection(
        &self,
        place: usize,
        services: &[Binding<'_>],
        now: Instant,
    ) -> Option<Connection> {
        match place.checked_sub(ports(services).count()) {
            None => self.port(ports(services).nth(place)?, now),
            Some(at) => self.slot(u16::try_from(at).ok()?, services, now),
        }
    }

    /// A port of a service, if it is open.
    fn port(&self, (binding, local): Port<'_, '_>, now: Instant) -> Option<Connection> {
        let (transport, state) = match binding.protocol {
            Protocol::Tcp(_) => (Transport::Tcp, self.accepting.then_some(Some(State::Listen))?),
            Protocol::Udp(_) => (Transport::Udp, None),
        };
        Some(Connection {
            transport,
            receive_queue: 0,
            send_queue: 0,
            local,
            foreign: SocketAddr::new(UNSPECIFIED.into(), 0),
            state,
            service: binding.name,
            data: false,
            account: Account::default(),
            received: 0,
            sent: 0,
            age: now.since(self.since),
        })
    }

    /// The connection of a slot, if it has one.
    fn slot(&self, at: u16, services: &[Binding<'_>], now: Instant) -> Option<Connection> {
        let slot = self.slots.get(usize::from(at))?;
        let state = state(slot)?;
        let (receive_queue, send_queue) = (slot.socket().recv_queue(), slot.socket().send_queue());
        Some(Connection {
            transport: Transport::Tcp,
            receive_queue,
            send_queue,
            local: socket_address(slot.tuple.local),
            foreign: socket_address(slot.tuple.remote),
            state: Some(state),
            service: self
                .service_of(at)
                .and_then(|row| services.get(row))
                .map_or("-", |row| row.name),
            data: usize::from(at) >= self.control,
            account: self.account_of(at, services),
            received: slot.consumed + receive_queue as u64,
            sent: slot.written.saturating_sub(send_queue as u64),
            age: now.since(slot.since),
        })
    }

    /// The row of the service that a slot is, or was, for.
    pub(super) fn service_of(&self, at: u16) -> Option<usize> {
        match self.role_of_owner(at)? {
            Role::HalfOpen { service }
            | Role::Calling { service }
            | Role::Session(Session { service, .. }) => Some(service),
            Role::Closing { service, .. } => service,
            Role::Free | Role::Expecting { .. } | Role::Data { .. } => None,
        }
    }

    fn account_of(&self, at: u16, services: &[Binding<'_>]) -> Account {
        let Some(Role::Session(session)) = self.role_of_owner(at) else {
            return Account::default();
        };
        match services.get(session.service).map(|binding| &binding.protocol) {
            Some(Protocol::Tcp(service)) => service.account(session.id).into(),
            _ => Account::default(),
        }
    }

    /// The role of a slot, or if it is for a data connection, that of its session.
    fn role_of_owner(&self, at: u16) -> Option<Role> {
        let role = self.slots.get(usize::from(at))?.role;
        match role {
            Role::Expecting { owner } | Role::Data { owner } => {
                Some(self.slots.get(usize::from(owner))?.role)
            }
            role => Some(role),
        }
    }
}

/// A row of the service table, and one of the addresses at which it can be had.
type Port<'b, 's> = (&'b Binding<'s>, SocketAddr);

fn ports<'b, 's>(services: &'b [Binding<'s>]) -> impl Iterator<Item = Port<'b, 's>> {
    services.iter().filter(|binding| binding.port != 0).flat_map(|binding| {
        let all = binding.addresses.is_empty().then_some(UNSPECIFIED.into());
        let addresses = all.into_iter().chain(binding.addresses.iter().copied());
        addresses.map(move |address| (binding, SocketAddr::new(address, binding.port)))
    })
}

/// The state of the connection of a slot, if there is one or one is expected.
fn state(slot: &Slot<'_>) -> Option<State> {
    match slot.role {
        Role::Free => return None,
        Role::Expecting { .. } => return Some(State::Listen),
        _ => {}
    }
    Some(match slot.state() {
        tcp::State::Closed => State::Closed,
        tcp::State::Listen => State::Listen,
        tcp::State::SynSent => State::SynSent,
        tcp::State::SynReceived => State::SynReceived,
        tcp::State::Established => State::Established,
        tcp::State::FinWait1 => State::FinWait1,
        tcp::State::FinWait2 => State::FinWait2,
        tcp::State::CloseWait => State::CloseWait,
        tcp::State::Closing => State::Closing,
        tcp::State::LastAck => State::LastAck,
        tcp::State::TimeWait => State::TimeWait,
    })
}
