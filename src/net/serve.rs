//! A slot's turn: its service is polled, its segments are sent, its next deadline is set.

use smoltcp::iface::PollResult;
use smoltcp::phy::Device;
use smoltcp::socket::tcp::State;
use smoltcp::time::Duration as SmoltcpDuration;

use super::device::Shim;
use super::slots::{Role, Session, Slot};
use super::stream::TcpStream;
use super::{Binding, Net, due_at, instant, service_at, socket_address};
use crate::connection::Listed;
use crate::service::{Action, ConnectError, Data, Io};
use crate::stream::Stream;
use crate::time::Instant;

/// Frames that a slot sends in one turn at most.
const FRAMES_A_SLOT: usize = 64;
/// Actions of a service that are carried out in one turn at most.
const ACTIONS_A_TURN: usize = 16;

impl<'a> Net<'a> {
    /// Serves a slot that something happened to, or whose deadline has come.
    pub(super) fn serve<D: Device + ?Sized>(
        &mut self,
        at: u16,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        match self.role(at) {
            Role::HalfOpen { service } => self.serve_half_open(at, service, device, services, now),
            Role::Calling { service } => self.serve_calling(at, service, device, services, now),
            Role::Session(session) => self.serve_session(at, session, device, services, now),
            Role::Closing { until, .. } => self.serve_closing(at, until, device, now),
            Role::Free | Role::Expecting { .. } | Role::Data { .. } => {}
        }
    }

    fn serve_half_open<D: Device + ?Sized>(
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
            State::SynReceived => self.schedule(at, None, now),
            // Reset, timed out, or never begun.
            State::Listen | State::Closed => self.release(at),
            _ => self.open(at, service, device, services, now),
        }
    }

    /// The handshake is done: the service gets its session.
    pub(super) fn open<D: Device + ?Sized>(
        &mut self,
        at: u16,
        service: usize,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let (local, peer) = (socket_address(slot.tuple.local), socket_address(slot.tuple.remote));
        let id = service_at(services, service).and_then(|service| service.open(local, peer, now));
        let Some(id) = id else {
            slot.socket_mut().abort();
            return self.leave(at, now);
        };
        let session = Session { service, id, data: None, fault: None, wait: None };
        self.serve_session(at, session, device, services, now);
    }

    fn serve_session<D: Device + ?Sized>(
        &mut self,
        at: u16,
        mut session: Session,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        if let Some(data) = session.data {
            self.expect_again(data);
        }
        let open = self.advance(at, &mut session, services, now);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        if open {
            slot.role = Role::Session(session);
            self.send(at, device, now);
            self.schedule(at, session.wait, now);
        } else {
            slot.stream().finish();
            self.leave(at, now);
            // Whoever stops next has said all.
            self.send(at, device, now);
        }
        if let Some(data) = session.data {
            self.send(data, device, now);
            // The time of its handshake may be up.
            self.expect_again(data);
            self.schedule(data, None, now);
        }
    }

    /// Polls the service until it waits; carries out what it wants. Says whether the session
    /// goes on.
    fn advance(
        &mut self,
        at: u16,
        session: &mut Session,
        services: &mut [Binding<'_>],
        now: Instant,
    ) -> bool {
        session.wait = None;
        self.pending.remove(self.slots, at);
        let mut listed = None;
        for _ in 0..ACTIONS_A_TURN {
            match self.ask(at, session, listed.take(), services, now) {
                Action::Wait(until) => {
                    session.wait = until;
                    return true;
                }
                Action::Pending => {
                    self.pending.push(self.slots, at);
                    session.wait = Some(self.retry_at(now));
                    return true;
                }
                Action::Yield => {
                    self.ready.push(self.slots, at);
                    return true;
                }
                Action::Listen => self.listen(at, session, now),
                Action::Connect { remote, local_port } => {
                    self.connect(at, session, remote, local_port, now);
                }
                Action::DropData => self.drop_data(session, now),
                Action::Connections(place) => {
                    listed = Some(self.next_connection(place, services, now));
                }
                Action::Close => {
                    self.drop_data(session, now);
                    if let Some(service) = service_at(services, session.service) {
                        service.close(session.id);
                    }
                    return false;
                }
            }
        }
        self.ready.push(self.slots, at);
        true
    }

    /// Shows a service the connections of a session, and what it has asked for; says what it
    /// wants.
    fn ask(
        &mut self,
        at: u16,
        session: &Session,
        listed: Option<Listed>,
        services: &mut [Binding<'_>],
        now: Instant,
    ) -> Action {
        let Some(service) = service_at(services, session.service) else { return Action::Close };
        let Some((control, data)) = pair(self.slots, at, session.data) else {
            return Action::Close;
        };
        let (mut control, mut stream) = (control.stream(), None);
        let data = match data {
            None => session.fault.map_or(Data::Absent, Data::Failed),
            Some(slot) => show(slot, &mut stream),
        };
        let io = Io { control: &mut control, data, listed: listed.as_ref() };
        service.poll(session.id, io, now)
    }

    /// A connection that no service knows any more: what still comes is thrown away, until it
    /// has ended or its time is up.
    fn serve_closing<D: Device + ?Sized>(
        &mut self,
        at: u16,
        until: Instant,
        device: &mut D,
        now: Instant,
    ) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let mut stream = slot.stream();
        // A ring has two parts.
        for _ in 0..2 {
            let n = stream.readable().len();
            stream.consume(n);
        }
        if now >= until && slot.state() != State::TimeWait {
            slot.socket_mut().abort();
        }
        self.send(at, device, now);
        let Some(state) = self.slots.get(usize::from(at)).map(Slot::state) else { return };
        if let State::FinWait2 | State::TimeWait = state {
            // Everything is delivered: if need be, the slot can be had.
            let kind = self.kind(at);
            self.ended.of(kind).push(self.slots, at);
        }
        match state {
            State::Closed => self.release(at),
            State::TimeWait => self.schedule(at, None, now),
            _ => self.schedule(at, Some(until), now),
        }
    }

    /// Sends what a slot has to send, but no more than its share of a turn.
    pub(super) fn send<D: Device + ?Sized>(&mut self, at: u16, device: &mut D, now: Instant) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let stack_now = instant(now);
        if core::mem::take(&mut slot.challenge) {
            // RFC 5961 section 3.2. Switching keep-alive on and off makes smoltcp send one, which
            // is what a challenge ACK is: an ACK of what is expected next. With data in flight it
            // sends none, but then the data is asking already.
            slot.socket_mut().set_keep_alive(Some(SmoltcpDuration::from_secs(1)));
            slot.socket_mut().set_keep_alive(None);
        }
        let due = self.iface.poll_at(stack_now, &slot.sockets).is_some_and(|due| due <= stack_now);
        for turn in 0..FRAMES_A_SLOT {
            let mut shim = Shim::through(device, &self.capabilities, stack_now);
            let before = slot.state();
            let result = self.iface.poll_egress(stack_now, &mut shim, &mut slot.sockets);
            let (is_full, asked) = (shim.is_full(), shim.is_used());
            drop(shim);
            slot.follow(before, false);
            if result == PollResult::SocketStateChanged {
                self.sent += 1;
                continue;
            }
            if turn == 0 && due && !is_full {
                return self.await_neighbor(at, asked, device, now);
            }
            if turn > 0 && is_full {
                break;
            }
            // Nothing is left, or nothing can be sent now: the deadline of the slot says when.
            return;
        }
        // There is more: at once, after the others.
        self.mark(at);
    }

    /// Sets the deadline of a slot: the socket's or `wait`, whichever is first.
    pub(super) fn schedule(&mut self, at: u16, wait: Option<Instant>, now: Instant) {
        let Some(slot) = self.slots.get(usize::from(at)) else { return };
        let due = due_at(&mut self.iface, &slot.sockets, now);
        let deadline = due.into_iter().chain(wait).min();
        self.timers.set(at, deadline);
    }
}

/// The slots of a session: its own and, somewhere behind it, that of its data connection.
fn pair<'s, 'a>(
    slots: &'s mut [Slot<'a>],
    at: u16,
    data: Option<u16>,
) -> Option<(&'s mut Slot<'a>, Option<&'s mut Slot<'a>>)> {
    let mut slots = slots.iter_mut();
    let control = slots.nth(at.into())?;
    let data = data.and_then(|data| slots.nth(data.checked_sub(at)?.checked_sub(1)?.into()));
    Some((control, data))
}

/// What a service sees of its data connection.
fn show<'s, 'a>(slot: &'s mut Slot<'a>, stream: &'s mut Option<TcpStream<'s, 'a>>) -> Data<'s> {
    let is_data = matches!(slot.role, Role::Data { .. });
    match (is_data, slot.established, slot.state()) {
        (true, true, _) => Data::Open(stream.insert(slot.stream())),
        (true, false, State::Closed) => Data::Failed(ConnectError::Refused),
        _ => Data::Opening(socket_address(slot.tuple.local)),
    }
}
