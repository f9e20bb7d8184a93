//! Desks: what a session needs only while it is at work.
//!
//! A session that waits for a line has none. Those that are free are taken last in, first out: so
//! the memory of as many is used as sessions were at work at once, however many are connected.

use core::mem::{self, MaybeUninit};
use core::slice;

use super::Server;
use super::command::Verb;
use super::hash::Hashing;
use super::line::Line;
use super::list::{Format, Options};
use super::path::PathBuf;
use super::transfer::Transfer;
use crate::service::SessionId;
use crate::storage::Storage;
use crate::time::{Instant, Timestamp};

/// Where a session works, to be placed where the caller likes.
pub struct Desk<'a, J, const N: usize> {
    /// The next one of those that are free.
    next: Option<&'a mut Self>,
    pub(super) line: Line<N>,
    pub(super) work: Work<J>,
    /// The command under way.
    pub(super) verb: Verb,
    /// The path of the command under way, or of an RNFR that waits for its RNTO.
    pub(super) path: PathBuf<N>,
    pub(super) renaming: bool,
}

/// What a session is busy with.
pub(super) enum Work<J> {
    /// The greeting has to be said.
    Greet,
    /// It has to be said that the client's address has too many sessions.
    Crowded,
    /// Waits for a line.
    Command,
    /// Waits for the authenticator; the PASS line is still there.
    Login,
    /// A wrong password is answered at this time.
    Penalty(Instant),
    /// Waits for a port to announce.
    Passive { extended: bool },
    /// Waits for storage to do what takes a single reply.
    Single(J, Then),
    /// Lists a path in the reply to STAT.
    Status(J, Options),
    /// Lists the sessions, from that number on; [`super::Ftp`] does, which knows them.
    Who(SessionId),
    /// Lists the connections, from that place on.
    Netstat(usize),
    /// Computes a checksum.
    Hash(Hashing<J>),
    /// Moves data.
    Transfer(Transfer<J>),
    /// Throws away what still comes of an upload that has failed, until then at the latest.
    Discard(Instant),
    /// The last reply is said.
    Closing,
}

/// What follows a storage operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The operation was all: 250.
    Done(&'static str),
    /// MKD: 257 with the path.
    Made,
    /// MFMT: 213 with the date and the path.
    Dated(Timestamp),
    /// AVBL: the bytes that are left.
    Available,
    // What follows from the entry of a path.
    ChangeDirectory,
    RenameFrom,
    Size,
    Modified,
    List(Format, Options),
    /// MLST: its facts.
    Tell,
    /// STAT: its listing, as a reply.
    Status(Options),
    /// STAT: that listing, which is to be opened.
    ListStatus(Options),
}

impl<J, const N: usize> Default for Desk<'_, J, N> {
    fn default() -> Self {
        Self {
            next: None,
            line: Line::default(),
            work: Work::Command,
            verb: Verb::Noop,
            path: PathBuf::default(),
            renaming: false,
        }
    }
}

impl<J, const N: usize> Desk<'_, J, N> {
    /// Whether nothing is on it that the session still needs.
    pub(super) fn is_clear(&self) -> bool {
        matches!(self.work, Work::Command) && self.line.is_empty() && !self.renaming
    }

    /// Throws away what is on it; says whether that was a transfer.
    pub(super) fn clear<S: Storage<Job = J>>(&mut self, server: &mut Server<S>) -> bool {
        let Self { work, .. } = mem::take(self);
        let is_transfer = matches!(work, Work::Transfer(_));
        match work {
            Work::Single(job, _) | Work::Status(job, _) => server.storage.cancel(job),
            Work::Hash(hashing) => drop(hashing.end(server)),
            Work::Transfer(transfer) => transfer.cancel(&mut server.storage),
            _ => {}
        }
        is_transfer
    }
}

/// The desks that nobody works at.
pub(super) struct Desks<'a, J, const N: usize> {
    /// The one that was left last; the others hang on it.
    free: Option<&'a mut Desk<'a, J, N>>,
    /// Those that nobody has ever had.
    fresh: slice::IterMut<'a, MaybeUninit<Desk<'a, J, N>>>,
}

impl<'a, J, const N: usize> Desks<'a, J, N> {
    pub fn new(desks: &'a mut [MaybeUninit<Desk<'a, J, N>>]) -> Self {
        Self { free: None, fresh: desks.iter_mut() }
    }

    pub fn take(&mut self) -> Option<&'a mut Desk<'a, J, N>> {
        let Some(desk) = self.free.take() else {
            return self.fresh.next().map(|desk| desk.write(Desk::default()));
        };
        self.free = desk.next.take();
        Some(desk)
    }

    /// Takes back a desk that is clear.
    pub fn put_back(&mut self, desk: &'a mut Desk<'a, J, N>) {
        desk.next = self.free.take();
        self.free = Some(desk);
    }
}
