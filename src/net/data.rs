//! Data connections: expected, opened, and let go of.

use core::net::SocketAddr;

use smoltcp::socket::tcp::State;
use smoltcp::wire::IpEndpoint;

use super::index::Tuple;
use super::slots::{Kind, Role, Session};
use super::{LINGER, Net, endpoint};
use crate::service::ConnectError;
use crate::time::Instant;

/// Ports that are looked at for one that is not used.
const FRESH_TRIES: usize = 64;

impl<'a> Net<'a> {
    /// Expects a data connection from the peer of `owner`, in place of the one that it has.
    pub(super) fn listen(&mut self, owner: u16, session: &mut Session, now: Instant) {
        self.drop_data(session, now);
        let control = self.slots[usize::from(owner)].tuple;
        let expected = self.choose_port(control).and_then(|tuple| {
            let slot = self.take(Kind::Data).ok_or(ConnectError::NoSlot)?;
            self.set_tuple(slot, tuple);
            self.slots[usize::from(slot)].begin(Role::Expecting { owner }, now);
            Ok(slot)
        });
        session.data = expected.ok();
        session.fault = expected.err();
    }

    /// A port of the range on which no data connection is expected from the same peer, as the
    /// tuple that expects one; if possible, one that none of its connections has either, nor had
    /// before what is now in TIME-WAIT: what is left of that under way could be taken for part of
    /// a new one. Where the search begins is random.
    fn choose_port(&mut self, control: Tuple) -> Result<Tuple, ConnectError> {
        let (first, last) = (*self.passive_ports.start(), *self.passive_ports.end());
        let size = u64::from(last.saturating_sub(first)) + 1;
        let start = self.secret.draw() % size;
        // Each slot takes one port at most: one try more than there are slots is enough.
        let data = self.slots.len() - self.control;
        let ports = || {
            (0..size.min(data as u64 + 1)).map(|step| {
                let port = first.wrapping_add(((start + step) % size) as u16);
                let local = IpEndpoint { port, ..control.local };
                Tuple { local, remote: control.remote }.expectation()
            })
        };
        // With every port of a small range in TIME-WAIT, one of them has to do: a request with
        // the very same ports ends the old connection (RFC 6191).
        ports()
            .take(FRESH_TRIES)
            .find(|tuple| !self.is_used(tuple))
            .or_else(|| ports().find(|tuple| self.find(tuple).is_none()))
            .ok_or(ConnectError::NoPort)
    }

    /// Opens a data connection for `owner`, in place of the one that it has.
    pub(super) fn connect(
        &mut self,
        owner: u16,
        session: &mut Session,
        remote: SocketAddr,
        local_port: u16,
        now: Instant,
    ) {
        self.drop_data(session, now);
        let local = IpEndpoint { port: local_port, ..self.slots[usize::from(owner)].tuple.local };
        let opened = match endpoint(remote) {
            Some(remote) => self.open_tuple(owner, Tuple { local, remote }, now),
            None => Err(ConnectError::Unreachable),
        };
        session.data = opened.ok();
        session.fault = opened.err();
    }

    fn open_tuple(&mut self, owner: u16, tuple: Tuple, now: Instant) -> Result<u16, ConnectError> {
        if let Some(other) = self.find(&tuple) {
            if !self.slots[usize::from(other)].is_over() {
                return Err(ConnectError::NoPort);
            }
            self.release(other);
        }
        let at = self.take(Kind::Data).ok_or(ConnectError::NoSlot)?;
        self.dial(at, Role::Data { owner }, tuple, now)?;
        Ok(at)
    }

    /// Begins a connection of ours in a slot that is free.
    pub(super) fn dial(
        &mut self,
        at: u16,
        role: Role,
        tuple: Tuple,
        now: Instant,
    ) -> Result<(), ConnectError> {
        self.set_tuple(at, tuple);
        let isn = self.secret.sequence_number(&tuple, now);
        let mut iface = self.throw_away_interface(isn, now);
        let slot = &mut self.slots[usize::from(at)];
        slot.renew(role, None, now);
        slot.iss = isn;
        let connected = slot.socket_mut().connect(iface.context(), tuple.remote, tuple.local);
        if connected.is_err() {
            self.release(at);
            return Err(ConnectError::Unreachable);
        }
        Ok(())
    }

    /// Lets go of the data connection: closes it in its own time if everything was sent,
    /// else resets it.
    pub(super) fn drop_data(&mut self, session: &mut Session, now: Instant) {
        session.fault = None;
        let Some(at) = session.data.take() else { return };
        let slot = &mut self.slots[usize::from(at)];
        if let Role::Expecting { .. } = slot.role {
            return self.release(at);
        }
        let finished = slot.established && !slot.socket().may_send();
        if !finished {
            slot.socket_mut().abort();
        }
        self.leave(at, now);
    }

    /// A connection that no service knows any more: it has some time to end.
    pub(super) fn leave(&mut self, at: u16, now: Instant) {
        let service = self.service_of(at);
        let slot = &mut self.slots[usize::from(at)];
        slot.role = Role::Closing { until: now + LINGER, service };
        slot.socket_mut().set_timeout(Some(LINGER.into()));
        self.mark(at);
    }

    /// A data connection that broke off in its handshake may be tried again: it is expected
    /// as before.
    pub(super) fn expect_again(&mut self, at: u16) {
        let slot = &mut self.slots[usize::from(at)];
        let Role::Data { owner } = slot.role else { return };
        let accepted = slot.socket().listen_endpoint().port != 0;
        if accepted && !slot.established && matches!(slot.state(), State::Listen | State::Closed) {
            slot.clear();
            slot.role = Role::Expecting { owner };
            let expectation = slot.tuple.expectation();
            self.set_tuple(at, expectation);
            self.timers.set(at, None);
        }
    }
}
