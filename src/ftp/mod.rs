//! FTP as a [`Service`] (RFC 959), sans-IO: bytes in, bytes out, time as an argument.
//!
//! A session is one control connection. It is in one state of work at a time:
//!
//! ```text
//!           +----------- 5xx, 2xx -----------+
//!           v                               |
//! Greet -> Command --- a line --------------+--> Closing (221, 421)
//!  220     ^ ^ ^ ^ ^                        |
//!          | | | | +-- 227, 229 -- Passive <+ PASV, EPSV: the network picks a port
//!          | | | +---- 230, 530 -- Login <--+ PASS: the authenticator is asked
//!          | | +------ 2xx, 5xx -- Single <-+ MKD, DELE, SIZE, ...: storage is asked
//!          | +-------- 213, 250 -- Hash <---+ HASH, XCRC, ...: a slice at a time
//!          +-- 226, 4xx -- Transfer <- 150 -+ RETR, STOR, LIST, ...
//! ```
//!
//! The next line is looked at when the work on the last one is done; during a transfer only
//! ABOR, STAT and NOOP are, and whatever else comes waits for its end. No line is looked at
//! before there is room for the longest reply to it: a client that does not read its replies
//! is not served.
//!
//! RFC 959 (FTP), 1123 section 4.1 (corrections), 2389 (FEAT, OPTS), 2428 (EPRT, EPSV), 2577
//! (security), 2640 (UTF-8 names, LANG), 3659 (SIZE, MDTM, MLST, MLSD, REST STREAM), 7151 (HOST);
//! draft-bryan-ftp-range-08 (RANG), draft-bryan-ftpext-hash-02 (HASH).
//!
//! | file | what it is |
//! |---|---|
//! | `command` | the verb table; a line becomes a command |
//! | `line` | the bytes of the control connection become lines |
//! | `session` | the server-PI: a session from one line to the next |
//! | `desk` | what a session needs only while it is at work |
//! | `commands` | from a row to what the command does |
//! | `access`, `parameters`, `data`, `files`, `modify`, `site` | what the commands do |
//! | `hash` | checksums of files |
//! | `course` | a transfer from its command to its final reply |
//! | `peers` | how many sessions an address has |
//! | `rate` | limits to the rate of transfers |
//! | `transfer` | the server-DTP: a storage job and a data connection |
//! | `listing` | what LIST sends: directory by directory, from entries to lines |
//! | `deflate` | MODE Z: a data connection whose bytes are compressed |
//! | `reply`, `report` | codes and texts; what STAT tells |
//! | `list`, `facts`, `glob`, `ascii`, `path`, `range`, `address` | syntax |
//! | `fuzz` | what holds for any input; in no ordinary build |

mod access;
mod address;
mod ascii;
mod command;
mod commands;
mod course;
mod data;
mod deflate;
mod desk;
mod facts;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod glob;
mod hash;
mod line;
mod list;
mod listing;
mod modify;
mod parameters;
mod path;
mod peers;
mod range;
mod rate;
mod reply;
mod report;
mod session;
mod site;
mod transfer;

use core::mem::MaybeUninit;
use core::net::{Ipv4Addr, SocketAddr};

use crate::auth::Authenticator;
use crate::budget::Budget;
use crate::service::{Action, Io, Service, SessionId};
use crate::storage::Storage;
use crate::stream::{Status, Stream};
use crate::time::{Duration, Instant, Timestamp};

use desk::{Desks, Work};
use session::{Interpreter, Turn};

pub use deflate::{Codec, Corrupt, Run, Way, Zlib};
pub use desk::Desk;
pub use session::{Session, USER_MAX};

/// What the owner of a server decides.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Sessions at once; one more gets 421. There should be a few [`Session`]s more than
    /// this, to say it with: without one, who comes then hears nothing.
    pub max_sessions: usize,
    /// Sessions that an address may have at once, if there is a limit; one more gets 421. An
    /// IPv6 network of 64 bits counts as one address.
    pub max_per_address: Option<usize>,
    /// Bytes that one upload may bring; `None`: as many as storage takes. An account may have
    /// a limit of its own.
    pub max_upload: Option<u64>,
    /// Bytes a second, from 1, that a session may move over its data connections, if limited.
    /// An account may have one of its own.
    pub rate: Option<u64>,
    /// Bytes a second, from 1, that all sessions together may move, if there is a limit.
    pub total_rate: Option<u64>,
    /// Permission bits that new files and directories do not get, until a client says
    /// SITE UMASK.
    pub umask: u16,
    /// How long a session may do nothing, and a transfer stand still.
    pub idle_timeout: Duration,
    /// How long a data connection may take to come about.
    pub connect_timeout: Duration,
    /// How long after PASV or EPSV a client has to say what the data connection is for.
    pub claim_timeout: Duration,
    /// The ports that clients open data connections to, first and last: told to those whose
    /// firewall may be in the way. The network chooses them.
    pub passive_ports: (u16, u16),
    /// The address to announce in the reply to PASV, if it is not the one that the client
    /// reached: that of the router in front.
    pub passive_address: Option<Ipv4Addr>,
    /// Where data connections come from when the server opens them: 20 beside control port 21
    /// (RFC 959 section 3.2).
    pub data_port: u16,
    /// The date at [`Instant::ZERO`].
    pub start: Timestamp,
    /// A random number that clients must not know: with `max_per_address`, it spreads their
    /// addresses over a table.
    pub secret: u128,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_sessions: 16,
            max_per_address: None,
            max_upload: None,
            rate: None,
            total_rate: None,
            umask: 0o022,
            idle_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(30),
            claim_timeout: Duration::from_secs(60),
            passive_ports: (49_152, 65_535),
            passive_address: None,
            data_port: 20,
            start: Timestamp(0),
            secret: 0,
        }
    }
}

/// The FTP service.
///
/// `N` is the longest command line and the longest path, in bytes. The transmit buffer of the
/// control connection must hold [`Self::REPLY_MAX`] bytes, that of a data connection
/// [`Self::LINE_MAX`]: listings go out in whole lines.
pub struct Ftp<'a, S: Storage, A, const N: usize> {
    server: Server<S>,
    accounts: A,
    sessions: &'a mut [Session<'a, S::Job, N>],
    /// The first session of the list of free ones.
    free: Option<SessionId>,
    /// The first of the counts of sessions that no address has (`peers`).
    free_count: Option<SessionId>,
    desks: Desks<'a, S::Job, N>,
    /// What sessions in MODE Z compress with.
    codecs: &'a mut [Codec],
}

/// What all sessions share.
struct Server<S> {
    storage: S,
    config: Config,
    open: usize,
    /// What all sessions together may move, if there is a limit to it.
    budget: Option<Budget>,
    /// Sessions that compute a checksum.
    hashing: usize,
    /// When everything must have ended, once the server is told to stop.
    stops_at: Option<Instant>,
}

impl<S> Server<S> {
    fn date(&self, now: Instant) -> Timestamp {
        self.config.start + now.since(Instant::ZERO)
    }
}

impl<'a, S: Storage, A: Authenticator, const N: usize> Ftp<'a, S, A, N> {
    /// Bytes of the longest reply: HELP, or facts and a path with every byte doubled.
    pub const REPLY_MAX: usize = if N > 224 { 2 * N + 192 } else { 640 };

    /// Bytes of the longest line of a listing: a path, columns and a name.
    pub const LINE_MAX: usize = N + list::ENTRY_MAX;

    /// A server of `storage` for `accounts`, with room for as many sessions as are given. Each
    /// command needs a desk until it is done, each line until its end is there: with fewer desks
    /// than sessions, some may have to wait, and a client who comes then is turned away.
    pub fn new(
        storage: S,
        accounts: A,
        config: Config,
        sessions: &'a mut [Session<'a, S::Job, N>],
        desks: &'a mut [MaybeUninit<Desk<'a, S::Job, N>>],
    ) -> Self {
        let mut free = None;
        for (id, session) in sessions.iter_mut().enumerate().rev() {
            (session.next, session.count.next) = (free, free);
            free = Some(id);
        }
        let desks = Desks::new(desks);
        let budget = config.total_rate.map(rate::budget);
        let server = Server { storage, config, open: 0, budget, hashing: 0, stops_at: None };
        Self { server, accounts, sessions, free, free_count: free, desks, codecs: &mut [] }
    }

    /// A session that finds no desk waits for one, as long as it has its client and the server goes
    /// on.
    fn without_desk(&self, control: &dyn Stream, now: Instant) -> Action {
        let is_over = self.server.stops_at.is_some_and(|end| end <= now);
        if is_over || control.status() == Status::Broken { Action::Close } else { Action::Pending }
    }

    /// With MODE Z (draft-preston-ftpext-deflate) for as many sessions at once as there are
    /// codecs.
    pub fn with_codecs(mut self, codecs: &'a mut [Codec]) -> Self {
        self.codecs = codecs;
        self
    }

    /// The storage.
    pub fn storage(&mut self) -> &mut S {
        &mut self.server.storage
    }
}

impl<S: Storage, A: Authenticator, const N: usize> Service for Ftp<'_, S, A, N> {
    fn open(&mut self, _local: SocketAddr, peer: SocketAddr, now: Instant) -> Option<SessionId> {
        let id = self.free?;
        let session = self.sessions.get_mut(id)?;
        let desk = self.desks.take()?;
        self.free = session.next.take();
        session.open(peer, self.server.config.idle_timeout, now);
        self.server.open += 1;
        let is_counted = self.enrol(peer);
        desk.work = if is_counted { Work::Greet } else { Work::Crowded };
        let session = self.sessions.get_mut(id)?;
        session.is_counted = is_counted;
        session.desk = Some(desk);
        Some(id)
    }

    fn poll(&mut self, id: SessionId, mut io: Io<'_>, now: Instant) -> Action {
        let Some(session) = self.sessions.get_mut(id) else { return Action::Close };
        let desk = session.desk.take().or_else(|| self.desks.take());
        let Some(desk) = desk else { return self.without_desk(io.control, now) };
        self.tell_who(id, desk, io.control, now);
        let Some(session) = self.sessions.get_mut(id) else { return Action::Close };
        let (server, accounts, codecs) = (&mut self.server, &mut self.accounts, &mut *self.codecs);
        let (control, data, listed) = (io.control, io.data.reborrow(), io.listed);
        let turn = &mut Turn { server, accounts, codecs, control, data, listed, now };
        let action = Interpreter { session, desk }.poll(turn, Self::REPLY_MAX);
        if desk.is_clear() {
            self.desks.put_back(desk);
        } else {
            session.desk = Some(desk);
        }
        action
    }

    fn close(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if core::mem::take(&mut session.is_counted) {
            let peer = session.peer;
            self.strike(peer);
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        if let Some(desk) = session.desk.take() {
            session.leave(desk, &mut self.server);
            self.desks.put_back(desk);
        }
        session.close(&mut self.accounts, self.codecs);
        session.next = self.free.replace(id);
        self.server.open -= 1;
    }

    fn shutdown(&mut self, until: Instant) {
        self.server.stops_at = Some(until);
    }

    fn account(&self, id: SessionId) -> &[u8] {
        let session = self.sessions.get(id).filter(|session| session.rights.is_some());
        session.map_or(&[], |session| &session.user)
    }
}
