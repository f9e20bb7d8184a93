//! Echo (RFC 862): what comes is sent back, until the peer is done.

use core::net::SocketAddr;

use crate::service::{Action, Io, Service, SessionId};
use crate::stream::{Status, Stream};
use crate::time::{Duration, Instant};

/// Bytes that one poll sends back at most.
const BYTES_A_POLL: usize = 64 * 1024;

/// The echo service. It keeps nothing but when each session last moved.
pub struct Echo<'a> {
    /// When each session last moved; `None`: there is no such session.
    active: &'a mut [Option<Instant>],
    idle_timeout: Duration,
    stops: bool,
}

impl<'a> Echo<'a> {
    /// Echo for as many sessions as there are places in `active`; one that does not move for
    /// `idle_timeout` is closed.
    pub fn new(active: &'a mut [Option<Instant>], idle_timeout: Duration) -> Self {
        active.fill(None);
        Self { active, idle_timeout, stops: false }
    }
}

impl Service for Echo<'_> {
    fn open(&mut self, _: SocketAddr, peer: SocketAddr, now: Instant) -> Option<SessionId> {
        let id = self.active.iter().position(Option::is_none)?;
        info!("{peer} connected to echo");
        self.active[id] = Some(now);
        Some(id)
    }

    fn poll(&mut self, id: SessionId, io: Io<'_>, now: Instant) -> Action {
        let Some(Some(active)) = self.active.get_mut(id) else { return Action::Close };
        let (moved, action) = echo(io.control);
        if moved {
            *active = now;
        }
        let deadline = *active + self.idle_timeout;
        match action {
            Action::Wait(_) if self.stops || now >= deadline => Action::Close,
            Action::Wait(_) => Action::Wait(Some(deadline)),
            action => action,
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(active) = self.active.get_mut(id) {
            *active = None;
        }
    }

    fn shutdown(&mut self, _: Instant) {
        self.stops = true;
    }
}

/// Sends back what can be sent back now; says whether that was anything.
fn echo(stream: &mut dyn Stream) -> (bool, Action) {
    let mut moved = 0;
    while moved < BYTES_A_POLL {
        let room = stream.room();
        let status = stream.status();
        let mut piece = [0; 512];
        let bytes = stream.readable();
        let n = bytes.len().min(piece.len()).min(room);
        piece[..n].copy_from_slice(&bytes[..n]);
        if n == 0 {
            let done = bytes.is_empty() && status == Status::PeerFinished;
            let over = done || status == Status::Broken;
            return (moved > 0, if over { Action::Close } else { Action::Wait(None) });
        }
        stream.write(&piece[..n]);
        stream.consume(n);
        moved += n;
    }
    (true, Action::Yield)
}
