//! Data connections: expected, opened, and let go of.

use core::net::SocketAddr;
use core::num::NonZero;

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
        let expected = self.expect(owner, now);
        session.data = expected.ok();
        session.fault = expected.err();
    }

    fn expect(&mut self, owner: u16, now: Instant) -> Result<u16, ConnectError> {
        let control = self.slots.get(usize::from(owner)).ok_or(ConnectError::NoSlot)?.tuple;
        let tuple = self.choose_port(control)?;
        let at = self.take(Kind::Data).ok_or(ConnectError::NoSlot)?;
        self.set_tuple(at, tuple);
        let slot = self.slots.get_mut(usize::from(at)).ok_or(ConnectError::NoSlot)?;
        slot.begin(Role::Expecting { owner }, now);
        Ok(at)
    }

    /// A port of the range on which no data connection is expected from the same peer, as the
    /// tuple that expects one; if possible, one that none of its connections has either, nor had
    /// before what is now in TIME-WAIT: what is left of that under way could be taken for part of
    /// a new one. Where the search begins is random.
    fn choose_port(&mut self, control: Tuple) -> Result<Tuple, ConnectError> {
        let (first, last) = (*self.passive_ports.start(), *self.passive_ports.end());
        let size = NonZero::<u64>::MIN.saturating_add(last.saturating_sub(first).into());
        let start = self.secret.draw() % size;
        // Each slot takes one port at most: one try more than there are slots is enough.
        let data = self.slots.len() - self.control;
        let ports = || {
            (0..size.get().min(data as u64 + 1)).map(|step| {
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
        let control = self.slots.get(usize::from(owner)).map(|slot| slot.tuple.local);
        let opened = match (control, endpoint(remote)) {
            (Some(control), Some(remote)) => {
                let local = IpEndpoint { port: local_port, ..control };
                self.open_tuple(owner, Tuple { local, remote }, now)
            }
            _ => Err(ConnectError::Unreachable),
        };
        session.data = opened.ok();
        session.fault = opened.err();
    }

    fn open_tuple(&mut self, owner: u16, tuple: Tuple, now: Instant) -> Result<u16, ConnectError> {
        if let Some((other, slot)) = self.find(&tuple) {
            if !slot.is_over() {
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
        let slot = self.slots.get_mut(usize::from(at)).ok_or(ConnectError::NoSlot)?;
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
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
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
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        slot.role = Role::Closing { until: now + LINGER, service };
        slot.socket_mut().set_timeout(Some(LINGER.into()));
        self.mark(at);
    }

    /// A data connection that broke off in its handshake may be tried again: it is expected
    /// as before.
    pub(super) fn expect_again(&mut self, at: u16) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
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
