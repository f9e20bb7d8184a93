//! The server-PI (RFC 959 section 2.3): a session, from one line to the next.
//!
//! What the commands do is in the files named after the groups of RFC 959 section 4.1; here
//! is what they share: lines, and the way back to waiting for one.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use heapless::Vec;

use super::Server;
use super::command::{self, Malformed, Verb};
use super::deflate::{self, Codec};
use super::desk::{Desk, Work};
use super::facts::Facts;
use super::hash::Algorithm;
use super::line::Received;
use super::path::PathBuf;
use super::peers::Count;
use super::range::Range;
use super::reply::Reply;
use crate::auth::{AccountId, Authenticator, Rights};
use crate::budget::Budget;
use crate::connection::Listed;
use crate::log::Escaped;
use crate::service::{Action, Data, SessionId};
use crate::storage::{Error, Op, Storage};
use crate::stream::{Status, Stream};
use crate::time::{Duration, Instant};

/// Bytes of the longest user name.
pub const USER_MAX: usize = 32;
/// Bytes that the replies of a shutdown take at most.
const FAREWELL_MAX: usize = 96;
/// The peer of a session that is free.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Steps that one poll of a session takes at most.
const STEPS_A_POLL: usize = 32;
/// Wrong passwords until the session is closed.
pub(super) const LOGINS_MAX: u8 = 5;
/// Lines before login that are no command until the session is closed.
const NONSENSE_MAX: u8 = 5;

/// What there is of a control connection as long as it is there, to be placed where the caller
/// likes. What a session needs besides while it is at work is at its [`Desk`].
pub struct Session<'a, J, const N: usize> {
    /// The next session of those that are free.
    pub(super) next: Option<SessionId>,
    /// The first count of the chain whose head is kept here, whoever's this session is (`peers`).
    pub(super) first: Option<SessionId>,
    /// The sessions of an address, whosever.
    pub(super) count: Count,
    /// Whether this one is counted toward its address.
    pub(super) is_counted: bool,
    /// Where it works.
    pub(super) desk: Option<&'a mut Desk<'a, J, N>>,
    pub(super) peer: SocketAddr,
    pub(super) user: Vec<u8, USER_MAX>,
    /// What the user may do, once logged in.
    pub(super) rights: Option<Rights>,
    /// The account that the user is logged in to, until that is told to the authenticator.
    pub(super) account: Option<AccountId>,
    /// Bytes that one upload may bring.
    pub(super) max_upload: u64,
    /// What the session may move, if there is a limit to it.
    pub(super) budget: Option<Budget>,
    /// Wrong passwords so far.
    pub(super) wrong_passwords: u8,
    /// Lines before login that were no command.
    nonsense: u8,
    /// The working directory.
    pub(super) directory: PathBuf<N>,
    pub(super) representation: Representation,
    /// In MODE Z: the number of the codec that is the session's.
    pub(super) codec: Option<usize>,
    /// How hard MODE Z tries, from 0 to 9.
    pub(super) level: u8,
    /// What MLST and MLSD tell.
    pub(super) facts: Facts,
    /// What HASH computes.
    pub(super) algorithm: Algorithm,
    /// What of the file the next RETR, STOR, APPE or HASH is for (REST, RANG).
    pub(super) restart: Range,
    pub(super) data: DataPort,
    /// EPSV ALL was said: nothing but EPSV may set up a data connection (RFC 2428 section 4).
    pub(super) epsv_all: bool,
    /// Permission bits that new files and directories do not get.
    pub(super) umask: u16,
    /// How long it may do nothing.
    pub(super) idle_timeout: Duration,
    /// When a line or a reply last went over the control connection.
    pub(super) active: Instant,
}

/// The server-PI: a session at its desk.
pub(super) struct Interpreter<'s, 'a, S: Storage, const N: usize> {
    pub session: &'s mut Session<'a, S::Job, N>,
    pub desk: &'s mut Desk<'a, S::Job, N>,
}

/// The representation type (RFC 959 section 3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// Nobody asked: RFC 959 says ASCII, and converting what nobody asked to convert
    /// corrupts files, so nothing is converted.
    Default,
    /// TYPE A.
    Ascii,
    /// TYPE I, or L 8.
    Image,
}

/// Where the next data connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataPort {
    /// To the client's control port (RFC 959 section 3.2).
    Default,
    /// Where PORT or EPRT says.
    Active(SocketAddr),
    /// PASV or EPSV was said: the client opens it. It has until then to use it.
    Passive { until: Instant },
}

/// What a step of a session leads to.
pub(super) enum Step {
    /// The next step.
    Next,
    /// Back to the network.
    Leave(Action),
}

/// What a session works with while it is polled.
pub(super) struct Turn<'t, S> {
    pub server: &'t mut Server<S>,
    pub accounts: &'t mut dyn Authenticator,
    pub codecs: &'t mut [Codec],
    pub control: &'t mut dyn Stream,
    pub data: Data<'t>,
    /// What the network was asked for when the session was polled last.
    pub listed: Option<&'t Listed>,
    pub now: Instant,
}

impl<S: Storage> Turn<'_, S> {
    /// Begins a storage operation.
    pub fn start(&mut self, op: Op<'_>) -> Result<S::Job, Error> {
        self.server.storage.start(op, self.server.date(self.now))
    }
}

impl<J, const N: usize> Default for Session<'_, J, N> {
    fn default() -> Self {
        Self {
            next: None,
            first: None,
            count: Count::default(),
            is_counted: false,
            desk: None,
            peer: NOBODY,
            user: Vec::new(),
            rights: None,
            account: None,
            max_upload: u64::MAX,
            budget: None,
            wrong_passwords: 0,
            nonsense: 0,
            directory: PathBuf::default(),
            representation: Representation::Default,
            codec: None,
            level: deflate::LEVEL,
            facts: Facts::ALL,
            algorithm: Algorithm::DEFAULT,
            restart: Range::WHOLE,
            data: DataPort::Default,
            epsv_all: false,
            umask: 0,
            idle_timeout: Duration::ZERO,
            active: Instant::ZERO,
        }
    }
}

impl<J, const N: usize> Session<'_, J, N> {
    pub(super) fn open(&mut self, peer: SocketAddr, idle_timeout: Duration, now: Instant) {
        let (first, count) = (self.first, self.count);
        *self = Self { first, count, peer, idle_timeout, active: now, ..Self::default() };
    }

    /// Throws away what is on its desk.
    pub(super) fn leave<S: Storage<Job = J>>(
        &self,
        desk: &mut Desk<'_, J, N>,
        server: &mut Server<S>,
    ) {
        let _verb = desk.verb;
        if desk.clear(server) {
            warn!("{} {_verb}: cut off with its session", self.peer);
        }
    }

    pub(super) fn close(&mut self, accounts: &mut dyn Authenticator, codecs: &mut [Codec]) {
        self.log_out(accounts);
        self.release_codec(codecs);
        info!("{} disconnected", self.peer);
        self.peer = NOBODY;
    }

    /// Whether it is somebody's.
    pub(super) fn is_open(&self) -> bool {
        self.peer != NOBODY
    }
}

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    /// Takes steps until there is nothing to do, but no more than its share.
    pub(super) fn poll(&mut self, turn: &mut Turn<'_, S>, reply_max: usize) -> Action {
        if turn.control.status() == Status::Broken {
            return Action::Close;
        }
        if matches!(self.desk.work, Work::Greet | Work::Crowded) && turn.control.room() < reply_max
        {
            warn!(
                "{} refused: control transmit buffers must hold {reply_max} bytes",
                self.session.peer
            );
            return Action::Close;
        }
        let action = match self.steps(turn, reply_max) {
            Action::Pending if self.has_gone(turn) => return Action::Close,
            action => action,
        };
        let Some(end) = turn.server.stops_at else { return action };
        match action {
            // Whatever it waits for, storage or a client that does not read: time is up.
            Action::Wait(_) | Action::Pending | Action::Yield | Action::Connections(_)
                if end <= turn.now =>
            {
                if turn.control.room() >= FAREWELL_MAX {
                    self.say_farewell(turn);
                }
                Action::Close
            }
            Action::Wait(until) => Action::Wait(Some(until.map_or(end, |until| until.min(end)))),
            action => action,
        }
    }

    /// Ends the reply under way, or the transfer.
    fn say_farewell(&mut self, turn: &mut Turn<'_, S>) {
        match &self.desk.work {
            Work::Status(..) => Reply::STATUS_ENDS.send(turn.control),
            Work::Who(_) | Work::Netstat(_) => Reply::TABLE_ENDS.send(turn.control),
            Work::Transfer(transfer) if !transfer.is_opening() => {
                let reply = Reply::aborted("The server is shutting down, transfer aborted");
                self.end_transfer(reply, turn);
            }
            _ => {}
        }
        Reply::SHUTTING_DOWN.send(turn.control);
    }

    fn steps(&mut self, turn: &mut Turn<'_, S>, reply_max: usize) -> Action {
        for _ in 0..STEPS_A_POLL {
            if turn.control.room() < reply_max {
                return self.wait_for_reader(turn);
            }
            if let Step::Leave(action) = self.step(turn) {
                return action;
            }
        }
        Action::Yield
    }

    /// Whether a client that says nothing more has waited for storage as long as it may be idle:
    /// then it has gone, and does not keep its place.
    fn has_gone(&self, turn: &Turn<'_, S>) -> bool {
        let moved = match &self.desk.work {
            Work::Transfer(transfer) => transfer.moved_at().max(self.session.active),
            _ => self.session.active,
        };
        turn.control.status() == Status::PeerFinished
            && turn.now >= moved + self.session.idle_timeout
    }

    /// The client does not read its replies; at some point that is its end.
    fn wait_for_reader(&self, turn: &Turn<'_, S>) -> Action {
        let deadline = self.session.active + self.session.idle_timeout;
        if turn.now < deadline { Action::Wait(Some(deadline)) } else { Action::Close }
    }

    fn step(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.desk.work {
            Work::Greet => self.greet(turn),
            Work::Crowded => {
                warn!("{} refused: its address has too many sessions", self.session.peer);
                self.close_with(Reply::TOO_MANY_FROM_ADDRESS, turn)
            }
            Work::Command => self.next_command(turn),
            Work::Login => self.login(turn),
            Work::Penalty(until) => self.penalty(until, turn),
            Work::Passive { extended } => self.announce(extended, turn),
            Work::Single(..) => self.single(turn),
            Work::Status(..) => self.list_status(turn),
            Work::Who(_) => Step::Leave(Action::Yield),
            Work::Netstat(place) => self.tell_connections(place, turn),
            Work::Hash(..) => self.hash(turn),
            Work::Transfer(..) => self.transfer(turn),
            Work::Discard(until) => self.discard(until, turn),
            Work::Closing => Step::Leave(Action::Close),
        }
    }

    fn greet(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if turn.server.stops_at.is_some() {
            return self.close_with(Reply::SHUTTING_DOWN, turn);
        }
        let max = turn.server.config.max_sessions;
        if turn.server.open > max {
            warn!("{} refused: {max} sessions are open", self.session.peer);
            return self.close_with(Reply::TOO_MANY_SESSIONS, turn);
        }
        info!("{} connected", self.session.peer);
        self.done(Reply::READY, turn)
    }

    /// Answers at once: the session goes on with what it was doing.
    pub(super) fn reply(&mut self, reply: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        self.session.active = turn.now;
        reply.send(turn.control);
        Step::Next
    }

    /// Answers the command under way: the next line may come.
    pub(super) fn done(&mut self, reply: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        self.desk.work = Work::Command;
        self.reply(reply, turn)
    }

    /// Says the last reply.
    pub(super) fn close_with(&mut self, reply: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        reply.send(turn.control);
        self.desk.work = Work::Closing;
        Step::Leave(Action::Close)
    }

    /// Forgets where the next data connection was to go, and closes the one that is there.
    pub(super) fn drop_data(&mut self, turn: &Turn<'_, S>) -> Step {
        self.session.data = DataPort::Default;
        match turn.data {
            Data::Absent => Step::Next,
            _ => Step::Leave(Action::DropData),
        }
    }

    fn next_command(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if turn.server.stops_at.is_some() {
            return self.close_with(Reply::SHUTTING_DOWN, turn);
        }
        match self.desk.line.receive(turn.control) {
            Received::Line => {
                self.session.active = turn.now;
                self.command(turn)
            }
            Received::TooLong => {
                self.session.active = turn.now;
                self.desk.line.take();
                self.not_a_command(b"", Reply::TOO_LONG, turn)
            }
            Received::Part if turn.control.status() == Status::PeerFinished => {
                Step::Leave(Action::Close)
            }
            Received::Part => self.wait_for_line(turn),
        }
    }

    fn wait_for_line(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let mut deadline = self.session.active + self.session.idle_timeout;
        if let DataPort::Passive { until } = self.session.data {
            // Nobody else can have the data connection meanwhile.
            if turn.now >= until {
                return self.drop_data(turn);
            }
            deadline = deadline.min(until);
        }
        if turn.now < deadline {
            return Step::Leave(Action::Wait(Some(deadline)));
        }
        info!("{} idle for too long", self.session.peer);
        self.close_with(Reply::IDLE, turn)
    }

    /// A line is there: to its row, past what the row asks for, and on to what it does.
    pub(super) fn command(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let line = self.desk.line.take();
        self.log_command(&line);
        let (row, argument) = match command::parse(&line) {
            Ok(command) => command,
            Err(Malformed::Unknown) => return self.not_a_command(&line, Reply::UNKNOWN, turn),
            Err(Malformed::Argument) => {
                self.forget();
                return self.reply(Reply::bad_argument("Wrong number of arguments"), turn);
            }
        };
        if row.login && self.session.rights.is_none() {
            return self.reply(Reply::NOT_LOGGED_IN, turn);
        }
        if !row.keeps_restart && !row.verb.uses_restart() {
            self.session.restart = Range::WHOLE;
        }
        if row.verb != Verb::Rnto {
            self.desk.renaming = false;
        }
        if !matches!(self.desk.work, Work::Transfer(..) | Work::Hash(..)) {
            self.desk.verb = row.verb;
        }
        if row.verb == Verb::Pass && self.session.rights.is_none() && !self.session.user.is_empty()
        {
            // The password stays in its line until the authenticator has decided.
            self.desk.line.put_back(line);
            self.desk.work = Work::Login;
            return Step::Next;
        }
        self.execute(row, argument, turn)
    }

    /// Never a password: nor one whose verb is mistyped.
    fn log_command(&self, line: &[u8]) {
        match command::parse(line) {
            Ok((row, _)) if matches!(row.verb, Verb::Pass | Verb::Acct) => {
                debug!("{} > {} ***", self.session.peer, row.name);
            }
            Err(_) => debug!("{} > ***", self.session.peer),
            Ok(_) => debug!("{} > {}", self.session.peer, Escaped(line)),
        }
    }

    /// A REST, RANG or RNFR was for the command after it. If that is refused, it is not for the
    /// next one.
    fn forget(&mut self) {
        self.session.restart = Range::WHOLE;
        self.desk.renaming = false;
    }

    fn not_a_command(&mut self, line: &[u8], reply: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        self.forget();
        if self.session.rights.is_none() {
            // A browser that was led here may bring FTP commands in the body of its request.
            let is_http = line.windows(6).any(|part| part == b" HTTP/");
            self.session.nonsense += if is_http { NONSENSE_MAX } else { 1 };
            if self.session.nonsense >= NONSENSE_MAX {
                warn!("{} closed: this is no FTP client", self.session.peer);
                return self.close_with(Reply::TOO_MANY_FAILURES, turn);
            }
        }
        self.reply(reply, turn)
    }
}
