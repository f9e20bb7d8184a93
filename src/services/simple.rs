//! Services over TCP whose sessions are all alike and remember nothing: here is what they have
//! in common, so that each needs to say only what it does with a stream.

use core::net::SocketAddr;

use crate::service::{Action, Io, Service, SessionId};
use crate::stream::{Status, Stream};
use crate::time::{Duration, Instant};

/// Bytes that one turn takes from a stream at most: others are waiting.
pub(super) const BYTES_A_TURN: usize = 64 * 1024;

/// What a service does with the stream of a session.
pub trait Exchange {
    /// What it is called.
    const NAME: &'static str;

    /// Does what can be done now, within bounds.
    fn advance(&mut self, stream: &mut dyn Stream, now: Instant) -> Progress;
}

/// How an [`Exchange`] went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing moved: there is nothing to do until the stream does.
    Stuck,
    /// Something moved, and now there is nothing to do until the stream moves.
    Moved,
    /// Something moved, and there is more to do in the next turn.
    More,
    /// It is over: what is queued is still sent.
    Done,
}

/// An [`Exchange`] as a service: its sessions, which end when nothing moves for too long.
pub struct Simple<'a, E> {
    exchange: E,
    /// When each session last moved; `None`: there is no such session.
    sessions: &'a mut [Option<Instant>],
    idle_timeout: Duration,
    stops: bool,
}

impl<'a, E: Exchange> Simple<'a, E> {
    /// The service for as many sessions as there are places in `sessions`; one that does not
    /// move for `idle_timeout` is closed.
    pub fn new(exchange: E, sessions: &'a mut [Option<Instant>], idle_timeout: Duration) -> Self {
        sessions.fill(None);
        Self { exchange, sessions, idle_timeout, stops: false }
    }
}

impl<E: Exchange> Service for Simple<'_, E> {
    fn open(&mut self, _: SocketAddr, peer: SocketAddr, now: Instant) -> Option<SessionId> {
        let id = self.sessions.iter().position(Option::is_none)?;
        info!("{peer} connected to {}", E::NAME);
        self.sessions[id] = Some(now);
        Some(id)
    }

    fn poll(&mut self, id: SessionId, io: Io<'_>, now: Instant) -> Action {
        let Some(Some(moved)) = self.sessions.get_mut(id) else { return Action::Close };
        let progress = self.exchange.advance(io.control, now);
        if progress != Progress::Stuck {
            *moved = now;
        }
        let deadline = *moved + self.idle_timeout;
        match progress {
            Progress::Done => Action::Close,
            Progress::More => Action::Yield,
            _ if self.stops || now >= deadline => Action::Close,
            _ => Action::Wait(Some(deadline)),
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            *session = None;
        }
    }

    fn shutdown(&mut self, _: Instant) {
        self.stops = true;
    }
}

/// What there is to say when a stream has nothing to read, or no room to answer.
pub(super) fn pause(stream: &mut dyn Stream, moved: bool) -> Progress {
    let is_over = match stream.status() {
        Status::PeerFinished | Status::Closed => stream.readable().is_empty(),
        Status::Broken => true,
        Status::Open | Status::Delivered => false,
    };
    match moved {
        _ if is_over => Progress::Done,
        true => Progress::Moved,
        false => Progress::Stuck,
    }
}
