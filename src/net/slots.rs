//! Slots: a TCP socket each, with what the demultiplexer knows of its connection; and the
//! lists that slots stand in.

use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::Duration;
use smoltcp::wire::IpEndpoint;

use super::UNSPECIFIED;
use super::frame::Segment;
use super::index::Tuple;
use super::stream::TcpStream;
use crate::service::{ConnectError, SessionId};
use crate::time::Instant;

/// How long an ACK waits for data to go with (RFC 9293 section 3.8.6.3 allows half a second).
const ACK_DELAY: Duration = Duration::from_millis(10);

/// What a slot is used for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Nothing.
    Free,
    /// The handshake of a connection to a service.
    HalfOpen { service: usize },
    /// The handshake of a connection that we open for a service.
    Calling { service: usize },
    /// A connection to a service.
    Session(Session),
    /// A data connection that the peer of `owner` is expected to open.
    Expecting { owner: u16 },
    /// A data connection of `owner`.
    Data { owner: u16 },
    /// A connection that no service knows any more, until it has ended or time is up.
    Closing { until: Instant, service: Option<usize> },
}

/// A connection to a service, and what the service last asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub service: usize,
    pub id: SessionId,
    /// The slot of its data connection.
    pub data: Option<u16>,
    /// Why there is no data connection.
    pub fault: Option<ConnectError>,
    /// When it wants to be polled.
    pub wait: Option<Instant>,
}

/// A TCP connection: memory for one, lent to [`Net`](super::Net).
pub struct Slot<'a> {
    /// The one socket of its own set.
    pub(super) sockets: SocketSet<'a>,
    pub(super) role: Role,
    pub(super) tuple: Tuple,
    /// The hash by which the index knows it.
    pub(super) hash: Option<u32>,
    /// The one by which it knows that the connection was expected, and that its port is used.
    pub(super) port_hash: Option<u32>,
    /// Our initial sequence number.
    pub(super) iss: u32,
    /// The peer's initial sequence number.
    pub(super) irs: u32,
    /// Bytes that the service has consumed; their low half is what sequence numbers count.
    pub(super) consumed: u64,
    /// Bytes that the service has written.
    pub(super) written: u64,
    /// Since when there is a connection, or one is expected.
    pub(super) since: Instant,
    /// Whether the handshake was completed.
    pub(super) established: bool,
    /// Whether the connection was lost, rather than closed.
    pub(super) lost: bool,
    /// Whether the peer is to show that it still knows the connection.
    pub(super) challenge: bool,
    /// When that was last asked.
    pub(super) challenged: Option<Instant>,
    links: [Link; LISTS],
}

impl Default for Slot<'_> {
    fn default() -> Self {
        let nowhere = IpEndpoint::new(UNSPECIFIED, 0);
        Self {
            sockets: SocketSet::new(&mut [][..]),
            role: Role::Free,
            tuple: Tuple { local: nowhere, remote: nowhere },
            hash: None,
            port_hash: None,
            iss: 0,
            irs: 0,
            consumed: 0,
            written: 0,
            since: Instant::ZERO,
            established: false,
            lost: false,
            challenge: false,
            challenged: None,
            links: [Link::UNLISTED; LISTS],
        }
    }
}

impl<'a> Slot<'a> {
    /// Gives the slot its socket.
    pub(super) fn equip(
        &mut self,
        storage: &'a mut SocketStorage<'a>,
        receive: &'a mut [u8],
        transmit: &'a mut [u8],
    ) {
        self.sockets = SocketSet::new(core::slice::from_mut(storage));
        self.sockets.add(Socket::new(SocketBuffer::new(receive), SocketBuffer::new(transmit)));
    }

    pub(super) fn socket(&self) -> &Socket<'a> {
        // The first handle of a set; `equip` has put the socket there.
        self.sockets.get(SocketHandle::default())
    }

    pub(super) fn socket_mut(&mut self) -> &mut Socket<'a> {
        self.sockets.get_mut(SocketHandle::default())
    }

    pub(super) fn state(&self) -> State {
        self.socket().state()
    }

    pub(super) fn stream(&mut self) -> TcpStream<'_, 'a> {
        let socket = self.sockets.get_mut(SocketHandle::default());
        let (consumed, written) = (&mut self.consumed, &mut self.written);
        TcpStream { socket, consumed, written, lost: self.lost }
    }

    /// Begins to count.
    pub(super) fn begin(&mut self, role: Role, now: Instant) {
        self.role = role;
        self.consumed = 0;
        self.written = 0;
        self.since = now;
    }

    /// Makes everything new for a connection. A socket does not do that itself: congestion
    /// control and options outlive the connection.
    pub(super) fn renew(&mut self, role: Role, timeout: Option<Duration>, now: Instant) {
        self.begin(role, now);
        self.established = false;
        self.lost = false;
        self.challenge = false;
        self.challenged = None;
        let socket = self.socket_mut();
        socket.set_congestion_control(CongestionControl::Reno);
        // A reply is written as a whole, and should leave at once.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_DELAY));
        socket.set_keep_alive(None);
        socket.set_timeout(timeout);
    }

    /// Forgets the connection; nothing more is sent for it.
    pub(super) fn clear(&mut self) {
        self.role = Role::Free;
        let socket = self.socket_mut();
        // An aborted socket still has an RST to send, and only `listen` makes it forget.
        socket.abort();
        let _ = socket.listen(1);
        socket.close();
        self.forget_neighbor();
    }

    /// Does not wait for a neighbor any longer: the set remembers which it was, and until when.
    pub(super) fn forget_neighbor(&mut self) {
        let socket = self.sockets.remove(SocketHandle::default());
        self.sockets.add(socket);
    }

    /// Whether the connection is in TIME-WAIT, and no session holds the slot any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.role, Role::Closing { .. }) && self.state() == State::TimeWait
    }

    /// Whether a segment belongs to no connection, although its 4-tuple does: the connection has
    /// ended, or is not established and the segment acknowledges what was never sent (RFC 9293
    /// sections 3.10.7.1, 3.10.7.3 and 3.10.7.4).
    pub(super) fn is_stray(&self, segment: &Segment) -> bool {
        match self.state() {
            State::Closed => !segment.is_request(),
            State::SynSent | State::SynReceived => {
                segment.ack && segment.acknowledgment != self.iss.wrapping_add(1)
            }
            _ => false,
        }
    }

    /// The sequence number that the peer's next byte, or FIN, or RST has.
    pub(super) fn expected(&self) -> u32 {
        let fin = matches!(
            self.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        self.irs
            .wrapping_add(1)
            .wrapping_add(self.consumed as u32)
            .wrapping_add(self.socket().recv_queue() as u32)
            .wrapping_add(fin.into())
    }

    /// Whether a segment ends past the receive buffer. No window goes that far, but smoltcp may
    /// think so: it takes the window of its SYN or SYN|ACK, which is not scaled (RFC 7323
    /// section 2.2), for a scaled one until it has told another; probes and keep-alives tell
    /// none. A segment past the buffer would then be a panic.
    pub(super) fn overshoots(&self, sequence: u32, len: usize) -> bool {
        let buffer = self.irs.wrapping_add(1).wrapping_add(self.consumed as u32);
        let start = sequence.wrapping_sub(buffer) as i32;
        i64::from(start) + len as i64 > self.socket().recv_capacity() as i64
    }

    /// Follows the socket from a state to the one that it is in now. `reset` says that the
    /// peer's segment in between was an RST.
    pub(super) fn follow(&mut self, before: State, reset: bool) {
        let after = self.state();
        if !self.established && is_synchronized(after) {
            self.established = true;
            // That was the one of the handshake. From here on services see to their own.
            self.socket_mut().set_timeout(None);
        }
        if after == State::Closed && before != State::Closed {
            let ended = match before {
                State::LastAck => !reset,
                // Everything was delivered, whatever comes then.
                State::FinWait2 | State::TimeWait => true,
                _ => false,
            };
            self.lost = !ended;
        }
    }
}

/// Whether the handshake is over (RFC 9293 section 3.3.2).
pub(super) fn is_synchronized(state: State) -> bool {
    !matches!(state, State::Closed | State::Listen | State::SynSent | State::SynReceived)
}

const LISTS: usize = 3;

/// The list of slots that are to be served this turn or the next.
pub(super) type Ready = List<0>;
/// The list of sessions that wait for something besides the network.
pub(super) type Pending = List<1>;
/// A list of slots that may be had: free, half-open or ended. A slot is in one of them at
/// most.
pub(super) type Pool = List<2>;

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Connections to services.
    Control,
    /// Those to services that move a lot over them.
    Bulk,
    /// Data connections.
    Data,
}

/// A pool for each kind of slot.
#[derive(Debug)]
pub(super) struct Pools {
    pub control: Pool,
    pub bulk: Pool,
    pub data: Pool,
}

impl Pools {
    pub const fn new() -> Self {
        Self { control: Pool::new(), bulk: Pool::new(), data: Pool::new() }
    }

    pub fn of(&mut self, kind: Kind) -> &mut Pool {
        match kind {
            Kind::Control => &mut self.control,
            Kind::Bulk => &mut self.bulk,
            Kind::Data => &mut self.data,
        }
    }
}

/// A slot's neighbors in a list.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u16,
    next: u16,
    listed: bool,
}

const NOBODY: u16 = u16::MAX;

impl Link {
    const UNLISTED: Self = Self { previous: NOBODY, next: NOBODY, listed: false };
}

/// A list of slots, first in, first out, linked through the slots.
#[derive(Debug)]
pub(super) struct List<const LINK: usize> {
    first: u16,
    last: u16,
    len: usize,
}

impl<const LINK: usize> List<LINK> {
    pub const fn new() -> Self {
        Self { first: NOBODY, last: NOBODY, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a slot at the end, unless it is in a list of this kind already.
    pub fn push(&mut self, slots: &mut [Slot<'_>], slot: u16) {
        let Some(link) = Self::unlisted(slots, slot) else { return };
        *link = Link { previous: self.last, next: NOBODY, listed: true };
        match Self::link(slots, self.last) {
            None => self.first = slot,
            Some(last) => last.next = slot,
        }
        self.last = slot;
        self.len += 1;
    }

    /// Adds a slot at the front, unless it is in a list of this kind already.
    pub fn push_front(&mut self, slots: &mut [Slot<'_>], slot: u16) {
        let Some(link) = Self::unlisted(slots, slot) else { return };
        *link = Link { previous: NOBODY, next: self.first, listed: true };
        match Self::link(slots, self.first) {
            None => self.last = slot,
            Some(first) => first.previous = slot,
        }
        self.first = slot;
        self.len += 1;
    }

    /// Takes the slot at the front.
    pub fn pop(&mut self, slots: &mut [Slot<'_>]) -> Option<u16> {
        let slot = (self.first != NOBODY).then_some(self.first)?;
        self.remove(slots, slot);
        Some(slot)
    }

    /// Takes a slot out of this list, in which it must be if it is in any of this kind.
    pub fn remove(&mut self, slots: &mut [Slot<'_>], slot: u16) {
        let Some(link) = Self::link(slots, slot).filter(|link| link.listed) else { return };
        let Link { previous, next, .. } = core::mem::replace(link, Link::UNLISTED);
        match Self::link(slots, previous) {
            None => self.first = next,
            Some(previous) => previous.next = next,
        }
        match Self::link(slots, next) {
            None => self.last = previous,
            Some(next) => next.previous = previous,
        }
        self.len -= 1;
    }

    fn unlisted<'s>(slots: &'s mut [Slot<'_>], slot: u16) -> Option<&'s mut Link> {
        Self::link(slots, slot).filter(|link| !link.listed)
    }

    /// The link of a slot in lists of this kind; `NOBODY` has none.
    fn link<'s>(slots: &'s mut [Slot<'_>], slot: u16) -> Option<&'s mut Link> {
        slots.get_mut(usize::from(slot)).map(|slot| &mut slot.links[LINK])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_list_is_a_queue_with_removal() {
        let mut slots: Vec<Slot<'_>> = (0..20).map(|_| Slot::default()).collect();
        let (mut list, mut model) = (Ready::new(), VecDeque::new());
        let mut random = 3u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slot = (random >> 24) as u16 % 20;
            match random >> 16 & 3 {
                0 => assert_eq!(list.pop(&mut slots), model.pop_front()),
                1 if model.contains(&slot) => {
                    model.retain(|&other| other != slot);
                    list.remove(&mut slots, slot);
                }
                3 => {
                    list.push_front(&mut slots, slot);
                    if !model.contains(&slot) {
                        model.push_front(slot);
                    }
                }
                _ => {
                    list.push(&mut slots, slot);
                    if !model.contains(&slot) {
                        model.push_back(slot);
                    }
                }
            }
            assert_eq!(list.len(), model.len());
        }
    }
}
