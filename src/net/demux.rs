//! A frame finds its slot, or the service that its port belongs to.

use smoltcp::iface::Interface;
use smoltcp::phy::{Device, RxToken, TxToken};
use smoltcp::socket::tcp::State;

use super::addressing::Outcome;
#[cfg(feature = "dhcp")]
use super::addressing::dhcp::Dhcp;
use super::device::{Exit, Shim};
use super::frame::{self, Frame, Segment};
use super::index::Tuple;
use super::secret::interface_seed;
use super::slots::{Kind, Role, Slot, is_synchronized};
use super::{Binding, FRAMES_A_TURN, HANDSHAKE, Net, instant};
use crate::time::{Duration, Instant};

/// The time between two challenges on one connection (RFC 5961 section 7).
const CHALLENGE_INTERVAL: Duration = Duration::from_secs(1);

/// A segment, in the frame that it came in, and a way to answer it.
pub(super) struct Arrival<'f, T> {
    pub segment: Segment,
    pub frame: &'f [u8],
    pub answer: T,
    pub now: Instant,
}

impl<'a> Net<'a> {
    /// Receives the frames that there are, but no more than a turn may; says whether there may
    /// be more.
    pub(super) fn receive<D: Device + ?Sized>(
        &mut self,
        device: &mut D,
        services: &mut [Binding<'_>],
        now: Instant,
    ) -> bool {
        for _ in 0..FRAMES_A_TURN {
            let Some((frame, answer)) = device.receive(instant(now)) else { return false };
            frame.consume(|frame| self.sort(frame, answer, services, now));
        }
        true
    }

    fn sort(
        &mut self,
        frame: &[u8],
        answer: impl TxToken,
        services: &mut [Binding<'_>],
        now: Instant,
    ) {
        match frame::read(frame, self.hardware, &self.capabilities.checksum) {
            Frame::Useless => {}
            Frame::Tcp(segment) => {
                self.deliver(Arrival { segment, frame, answer, now }, services);
            }
            #[cfg(feature = "dhcp")]
            Frame::Udp(message) if Dhcp::is_for_client(&message) => {
                let Self { addressing, iface, capabilities, .. } = self;
                addressing.receive_dhcp(&message, (frame, answer), iface, capabilities, now);
            }
            Frame::Udp(message) => self.deliver_datagram(message, frame, answer, services, now),
            Frame::Answerable(address) => {
                if self.iface.has_ip_addr(address) && self.answers.grants(now) {
                    self.answer_frame(frame, answer, now);
                }
            }
            Frame::Neighbor => match self.addressing.receive(frame, now) {
                Outcome::Done => {}
                Outcome::Answer(packet) => packet.send(self.hardware, answer),
                Outcome::Pass => self.meet(frame, answer, now),
            },
            #[cfg(feature = "ipv6")]
            Frame::Listeners => drop(self.addressing.receive(frame, now)),
        }
    }

    /// Brings a segment to the slot of its connection, or to the service of its port.
    fn deliver(&mut self, arrival: Arrival<'_, impl TxToken>, services: &[Binding<'_>]) {
        let (segment, now) = (&arrival.segment, arrival.now);
        // Only what comes from somebody else to one of our own addresses: a SYN to a
        // broadcast or multicast address, or from one, opens nothing (RFC 1122 section 4.2.3.10).
        let Tuple { local, remote } = segment.tuple;
        if !self.iface.has_ip_addr(local.addr) || !self.is_peer(remote.addr) {
            return;
        }
        match self.find(&segment.tuple) {
            Some((at, slot)) if segment.is_request() && slot.is_over() => {
                // A new connection with the ports of one that has ended (RFC 6191). Whether its
                // sequence numbers go on from there is not asked: the slot might have been
                // given to somebody else already.
                self.release(at);
                self.accept(arrival, services);
            }
            Some((at, slot)) if slot.is_stray(segment) => self.turn_away(at, arrival, services),
            Some((at, _)) => {
                if self.admits(at, segment, now) {
                    self.feed(at, arrival);
                }
            }
            None if segment.is_request() => self.accept(arrival, services),
            None => self.redeem(arrival, services),
        }
    }

    /// A segment that its slot knows nothing of. If it acknowledges a cookie, then the request came
    /// twice, and got the slot the second time.
    fn turn_away(&mut self, at: u16, arrival: Arrival<'_, impl TxToken>, services: &[Binding<'_>]) {
        let is_half_open = matches!(self.role(at), Role::HalfOpen { .. });
        if is_half_open && self.is_redeemable(&arrival.segment, arrival.now) {
            self.release(at);
            self.redeem(arrival, services);
        } else {
            self.refuse(arrival);
        }
    }

    /// Answers with RST, unless it is one, if not too many were answered so already.
    pub(super) fn refuse(&mut self, arrival: Arrival<'_, impl TxToken>) {
        let Arrival { segment, frame, answer, now } = arrival;
        if !segment.rst && self.answers.grants(now) {
            self.answer_frame(frame, answer, now);
        }
    }

    /// Whether a segment may reach the socket of its connection.
    fn admits(&mut self, at: u16, segment: &Segment, now: Instant) -> bool {
        let Some(slot) = self.slots.get(usize::from(at)) else { return false };
        let state = slot.state();
        if state == State::SynSent {
            // smoltcp checks what answers our own SYN.
            return true;
        }
        // RFC 5961 sections 3.2 and 4.2: an RST counts only with exactly the sequence number
        // that is expected, a SYN not at all. Both may come from a peer that has lost its
        // state, or from somebody who guesses: it is asked. What lies past the window is no
        // better, or it probes a window that is closed: an ACK answers that too.
        let suspicious = segment.syn
            || (segment.rst && segment.sequence != slot.expected())
            || slot.overshoots(segment.sequence, segment.len);
        if suspicious && is_synchronized(state) {
            self.challenge(at, now);
        }
        !suspicious
    }

    /// Asks the peer of a connection whether it still knows it. A peer that does not will
    /// answer with the RST that counts.
    fn challenge(&mut self, at: u16, now: Instant) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        if slot.challenged.is_none_or(|last| now.since(last) >= CHALLENGE_INTERVAL) {
            slot.challenged = Some(now);
            slot.challenge = true;
            self.mark(at);
        }
    }

    /// Gives a frame to the socket that it is for.
    pub(super) fn feed(&mut self, at: u16, arrival: Arrival<'_, impl TxToken>) {
        let Arrival { segment, frame, answer, now } = arrival;
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let before = slot.state();
        let mut shim = Shim::received(frame, Exit::Wire(answer), &self.capabilities);
        self.iface.poll_ingress_single(instant(now), &mut shim, &mut slot.sockets);
        if before == State::SynSent && segment.syn {
            slot.irs = segment.sequence;
        }
        slot.follow(before, segment.rst);
        if slot.established && matches!(slot.role, Role::HalfOpen { .. }) {
            // Whether it has been served or not, it makes room for nobody.
            let kind = self.kind(at);
            self.half_open.of(kind).remove(self.slots, at);
        }
        self.mark(at);
    }

    /// A request for a connection: to a data connection that is expected, or to a service.
    fn accept(&mut self, arrival: Arrival<'_, impl TxToken>, services: &[Binding<'_>]) {
        let tuple = arrival.segment.tuple;
        if let Some((at, slot)) = self.find(&tuple.expectation()) {
            if let Role::Expecting { owner } = slot.role {
                self.begin(at, Role::Data { owner }, arrival);
            }
            return;
        }
        let Some(service) = self.service_for(&tuple, services) else {
            return self.refuse(arrival);
        };
        let kind = self.kind_for(service, services);
        match self.take_for_request(kind) {
            Some(slot) => self.begin(slot, Role::HalfOpen { service }, arrival),
            None if self.half_open.of(kind).len() > 0 => self.hand_out_cookie(kind, arrival),
            // Without a slot the request is dropped: the peer will try again.
            None => {}
        }
    }

    /// The row of the service that a peer who wants a connection gets, if there is one.
    pub(super) fn service_for(&self, tuple: &Tuple, services: &[Binding<'_>]) -> Option<usize> {
        let service = services.iter().position(|binding| binding.accepts(tuple.local));
        service.filter(|_| self.accepting)
    }

    /// What connections to a service need.
    pub(super) fn kind_for(&self, service: usize, services: &[Binding<'_>]) -> Kind {
        match services.get(service) {
            Some(Binding { bulk: true, .. }) if self.bulk > 0 => Kind::Bulk,
            _ => Kind::Control,
        }
    }

    /// A free slot for a connection to a service, unless half of them are half-open: one that has
    /// a slot is answered again if the answer is lost, and one that has none is not.
    fn take_for_request(&mut self, kind: Kind) -> Option<u16> {
        let slots = if kind == Kind::Bulk { self.bulk } else { self.control - self.bulk };
        let is_open = self.half_open.of(kind).len() < (slots / 2).max(1);
        if is_open { self.take(kind) } else { None }
    }

    /// A free slot, or else the one that ended first.
    pub(super) fn take(&mut self, kind: Kind) -> Option<u16> {
        if let Some(slot) = self.free.of(kind).pop(self.slots) {
            return Some(slot);
        }
        let slot = self.ended.of(kind).pop(self.slots)?;
        self.release(slot);
        self.free.of(kind).pop(self.slots)
    }

    /// Lets a slot answer a request for a connection.
    fn begin(&mut self, at: u16, role: Role, arrival: Arrival<'_, impl TxToken>) {
        let Arrival { segment, frame, answer, now } = arrival;
        let isn = self.secret.sequence_number(&segment.tuple, now);
        let mut iface = self.throw_away_interface(isn, now);
        self.prepare(at, role, &segment.tuple, (isn, segment.sequence), now);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        let mut shim = Shim::received(frame, Exit::Wire(answer), &self.capabilities);
        iface.poll_ingress_single(instant(now), &mut shim, &mut slot.sockets);
        // If smoltcp did not like the segment, serving finds the socket still listening.
        self.mark(at);
    }

    /// Has a slot listen to a request for a connection, whose initial sequence numbers are to be
    /// these: ours and the peer's.
    pub(super) fn prepare(
        &mut self,
        at: u16,
        role: Role,
        tuple: &Tuple,
        (iss, irs): (u32, u32),
        now: Instant,
    ) {
        match role {
            Role::Data { .. } => self.fulfil(at, *tuple),
            _ => self.set_tuple(at, *tuple),
        }
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        slot.renew(role, Some(HANDSHAKE.into()), now);
        slot.iss = iss;
        slot.irs = irs;
        // The socket is closed and the port is not zero: this cannot fail.
        let _ = slot.socket_mut().listen(tuple.local);
        if let Role::HalfOpen { .. } = role {
            let kind = self.kind(at);
            self.half_open.of(kind).push(self.slots, at);
        }
    }

    /// An interface whose first connection begins with this sequence number.
    pub(super) fn throw_away_interface(&self, isn: u32, now: Instant) -> Interface {
        let mut config = smoltcp::iface::Config::new(self.hardware.into());
        config.random_seed = interface_seed(isn);
        let mut shim = Shim::closed(&self.capabilities);
        let mut iface = Interface::new(config, &mut shim, instant(now));
        self.share_addresses(&mut iface);
        iface
    }

    // The index.

    pub(super) fn find(&self, tuple: &Tuple) -> Option<(u16, &Slot<'a>)> {
        self.look_up(tuple, |slot| slot.tuple == *tuple)
    }

    /// Whether there is a connection that this entry expected, or expects.
    pub(super) fn is_used(&self, expectation: &Tuple) -> bool {
        self.look_up(expectation, |slot| slot.tuple.expectation() == *expectation).is_some()
    }

    /// The slot that the index has under an entry, and that `is_it`.
    fn look_up(
        &self,
        entry: &Tuple,
        is_it: impl Fn(&Slot<'a>) -> bool,
    ) -> Option<(u16, &Slot<'a>)> {
        let slot = |at| self.slots.get(usize::from(at)).filter(|slot| is_it(slot));
        self.index.find(self.secret.index_hash(entry), slot)
    }

    /// Makes a slot the one that has this 4-tuple.
    pub(super) fn set_tuple(&mut self, at: u16, tuple: Tuple) {
        self.forget_tuple(at);
        self.enter_tuple(at, tuple);
    }

    /// Makes a slot, which expects this connection, the one that has it. Its port stays used.
    fn fulfil(&mut self, at: u16, tuple: Tuple) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        slot.port_hash = slot.hash.take();
        self.enter_tuple(at, tuple);
    }

    fn enter_tuple(&mut self, at: u16, tuple: Tuple) {
        let hash = self.secret.index_hash(&tuple);
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        slot.tuple = tuple;
        slot.hash = Some(hash);
        self.index.insert(hash, at);
    }

    fn forget_tuple(&mut self, at: u16) {
        let Some(slot) = self.slots.get_mut(usize::from(at)) else { return };
        for hash in [slot.hash.take(), slot.port_hash.take()].into_iter().flatten() {
            self.index.remove(hash, at);
        }
    }

    /// Ends the use of a slot, whatever it was. Nothing is sent.
    pub(super) fn release(&mut self, at: u16) {
        self.forget_tuple(at);
        self.timers.set(at, None);
        self.ready.remove(self.slots, at);
        self.pending.remove(self.slots, at);
        let kind = self.kind(at);
        match self.role(at) {
            Role::HalfOpen { .. } => self.half_open.of(kind).remove(self.slots, at),
            _ => self.ended.of(kind).remove(self.slots, at),
        }
        if let Some(slot) = self.slots.get_mut(usize::from(at)) {
            slot.clear();
        }
        // To the front: its buffers are in memory already.
        self.free.of(kind).push_front(self.slots, at);
    }
}
