//! What runs behind a port: the contract between [`Service`]s and the network.
//!
//! A service owns its sessions and never sees a socket. The network calls
//! [`Service::poll`] whenever something may have changed: bytes arrived, room
//! was freed, the data connection moved, a deadline passed. The service looks
//! at everything it waits for, does a bounded amount of work, and says in an
//! [`Action`] what it wants next.
//!
//! [`Service`] is for TCP, [`DatagramService`] for UDP.

use core::net::{IpAddr, SocketAddr};

use crate::connection::Listed;
use crate::stream::Stream;
use crate::time::Instant;

/// Names a session of one service, from [`Service::open`] to [`Service::close`].
pub type SessionId = usize;

/// A protocol server over TCP. One value serves all connections to its port.
pub trait Service {
    /// A connection from `peer` to `local` is established, or one that was opened for this
    /// service. `None` refuses it with a reset.
    fn open(&mut self, local: SocketAddr, peer: SocketAddr, now: Instant) -> Option<SessionId>;

    /// A connection that was to be opened for this service was not: the peer refused, or did
    /// not answer in time.
    fn refused(&mut self, peer: SocketAddr) {
        let _ = peer;
    }

    /// Advances a session. Called again at once after [`Action::Listen`],
    /// [`Action::Connect`], [`Action::DropData`] and [`Action::Connections`]; otherwise as the
    /// action says.
    fn poll(&mut self, id: SessionId, io: Io<'_>, now: Instant) -> Action;

    /// The connection is gone, by [`Action::Close`] or on its own; `id` may be used anew.
    fn close(&mut self, id: SessionId);

    /// The server is about to stop: open sessions should end, at the latest at `until`.
    fn shutdown(&mut self, until: Instant);

    /// The account that a session is logged in to, for the table of connections; empty if there
    /// is none.
    fn account(&self, id: SessionId) -> &[u8] {
        let _ = id;
        &[]
    }
}

/// The connections of a session.
pub struct Io<'a> {
    /// The connection that the client opened to the service's port.
    pub control: &'a mut dyn Stream,
    /// The one further connection that a session may have.
    pub data: Data<'a>,
    /// What [`Action::Connections`] has asked for; no other poll has it.
    pub listed: Option<&'a Listed>,
}

/// A session's data connection.
pub enum Data<'a> {
    /// There is none.
    Absent,
    /// Not established yet; the address is our end of it.
    Opening(SocketAddr),
    /// Established, if only for a moment: see its status.
    Open(&'a mut dyn Stream),
    /// It could not be had, or never came to be.
    Failed(ConnectError),
}

impl Data<'_> {
    /// The same, borrowed for a shorter time.
    pub fn reborrow(&mut self) -> Data<'_> {
        match self {
            Data::Absent => Data::Absent,
            Data::Opening(local) => Data::Opening(*local),
            Data::Open(stream) => Data::Open(*stream),
            Data::Failed(error) => Data::Failed(*error),
        }
    }

    /// Free bytes of its transmit buffer; 0 if it is not open.
    pub fn room(&self) -> usize {
        if let Data::Open(stream) = self { stream.room() } else { 0 }
    }
}

/// Why a connection that was wanted is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Every slot is taken.
    NoSlot,
    /// Every port is taken.
    NoPort,
    /// The address cannot be reached from here.
    Unreachable,
    /// The peer refused, or did not answer.
    Refused,
}

/// What a session wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing to do until one of its streams moves, or until the instant given.
    Wait(Option<Instant>),
    /// Waits for something besides the network (storage, a password hash): poll when there is
    /// news of that, or in a millisecond.
    Pending,
    /// Did its share of work and has more: poll again in the next turn, which is due at once.
    Yield,
    /// Expect a data connection from the control connection's peer, on a port that the
    /// network chooses. Replaces the data connection that there is.
    Listen,
    /// Open a data connection. Replaces the data connection that there is.
    Connect {
        /// The peer.
        remote: SocketAddr,
        /// Our port; the address is that of the control connection.
        local_port: u16,
    },
    /// Let go of the data connection: one that was finished closes in its own time, any
    /// other is reset.
    DropData,
    /// Look for the next connection in the table of all of them, from this place on; 0 is the
    /// first. The next poll has it in [`Io::listed`]; one that has not asks again.
    Connections(usize),
    /// Send what is queued, then close the session with all its connections.
    Close,
}

/// A protocol server over UDP. It keeps no sessions: a datagram comes, an answer goes.
pub trait DatagramService {
    /// Answers a datagram: writes the answer to `reply`, and says how long it is.
    ///
    /// The answer goes back to where the datagram came from. What comes from a port below 1024
    /// is not answered, and answers longer than their questions are limited to a number a
    /// second.
    fn answer(&mut self, datagram: &Datagram<'_>, reply: &mut [u8], now: Instant) -> Option<usize>;

    /// The multicast groups whose datagrams it wants, besides those to our own addresses. With
    /// groups, it hears nobody but the neighbors on this link. Routers and switches are told of
    /// IPv6 groups only: those of IPv4 should be of the link, 224.0.0.0/24.
    fn groups(&self) -> &[IpAddr] {
        &[]
    }

    /// What the service sends of its own accord: called after [`answer`](Self::answer), when
    /// our addresses have changed, and as the last call has said. `addresses` are those that
    /// we have now.
    fn poll(&mut self, addresses: &[IpAddr], message: &mut [u8], now: Instant) -> Emission {
        let _ = (addresses, message, now);
        Emission::Wait(None)
    }

    /// The server is about to stop. What there is to say about it, the next
    /// [`poll`](Self::poll) may send.
    fn shutdown(&mut self) {}
}

/// A datagram that came.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Where it was sent to: one of our addresses, or a group.
    pub local: SocketAddr,
    /// Where it came from.
    pub peer: SocketAddr,
    /// What it says.
    pub payload: &'a [u8],
}

/// What a [`DatagramService`] does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emission {
    /// Send the first bytes of the message from the service's port; then poll again.
    Send {
        /// Where to: a multicast group, or a peer. What goes to a peer needs memory in which
        /// to wait until the peer is found; a second such message takes the place of one that
        /// still waits.
        to: SocketAddr,
        /// How many bytes.
        len: usize,
    },
    /// Nothing until a datagram comes, or until the instant given.
    Wait(Option<Instant>),
}
