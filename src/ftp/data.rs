//! Commands that use the data connection (RFC 959 section 4.1.3).

use core::fmt::Write;
use core::net::IpAddr;
use core::task::Poll;

use super::command::{Verb, number};
use super::deflate::Way;
use super::desk::{Then, Work};
use super::facts::TimeVal;
use super::glob;
use super::list::{self, Format, Options};
use super::listing::Listing;
use super::range::Range;
use super::reply::Reply;
use super::session::{Interpreter, Step, Turn};
use super::transfer::{Direction, Transfer};
use crate::auth::Rights;
use crate::service::Action;
use crate::storage::{Error, Keep, Kind, Op, Order, Storage};

/// Bytes of the longest name that STOU chooses.
const UNIQUE_MAX: usize = 52;

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn list(&mut self, argument: &[u8], format: Format, turn: &mut Turn<'_, S>) -> Step {
        let (options, path) = Options::parse(argument);
        let format = if options.long { Format::Long } else { format };
        self.look_up(path, Rights::LIST, Then::List(format, options), turn)
    }

    pub(super) fn list_facts(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let format = Format::Machine(self.session.facts, self.session.rights.unwrap_or_default());
        let options = Options { order: Order::ANY, ..Options::NONE };
        self.look_up(argument, Rights::LIST, Then::List(format, options), turn)
    }

    pub(super) fn start_list(
        &mut self,
        format: Format,
        options: Options,
        kind: Kind,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        let job = self.start_listing(options, kind, turn);
        let is_opened = kind == Kind::Directory && !options.itself;
        let options = Options { recursive: options.recursive && is_opened, ..options };
        let listing = Listing::new(format, options, &self.desk.path);
        if !is_opened {
            // The one line is that of an entry of the directory around it.
            self.desk.path.ascend();
        }
        self.start_transfer(job, Direction::List(listing), turn)
    }

    /// Whether the path of LIST or NLST ends in a pattern.
    pub(super) fn is_pattern(&self, then: Then) -> bool {
        let listing = matches!(then, Then::List(Format::Long | Format::Names, _));
        let name = self.desk.path.seen().parent().map_or(&b""[..], |(_, name)| name);
        listing && glob::is_pattern(name)
    }

    /// LIST or NLST of the entries that match a pattern.
    pub(super) fn list_matching(&mut self, then: Then, turn: &mut Turn<'_, S>) -> Step {
        let (Then::List(format, Options { order, .. }), Some((path, _))) =
            (then, self.desk.path.as_path().parent())
        else {
            return self.refuse(Error::NotFound, turn);
        };
        let job = turn.start(Op::List { path, order });
        let listing = Listing::matching(format, order, &self.desk.path);
        self.start_transfer(job, Direction::List(listing), turn)
    }

    /// Begins to list a directory, or to show what is none.
    fn start_listing(
        &mut self,
        options: Options,
        kind: Kind,
        turn: &mut Turn<'_, S>,
    ) -> Result<S::Job, Error> {
        let (path, order) = (self.desk.path.as_path(), options.order);
        match kind {
            Kind::Directory if !options.itself => turn.start(Op::List { path, order }),
            _ => turn.start(Op::Stat { path }),
        }
    }

    /// STAT with a path (RFC 959 section 4.1.3): the listing goes over the control connection.
    /// It goes no deeper than that directory.
    pub(super) fn begin_status(
        &mut self,
        options: Options,
        kind: Kind,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        let job = self.start_listing(options, kind, turn);
        self.begin(job, Then::ListStatus(options), turn)
    }

    /// The listing can be had: only now the reply begins, which cannot tell of an error any more.
    pub(super) fn open_status(&mut self, options: Options, turn: &mut Turn<'_, S>) -> Step {
        if let Work::Single(job, _) = core::mem::replace(&mut self.desk.work, Work::Command) {
            self.desk.work = Work::Status(job, options);
        }
        self.reply(Reply::STATUS_BEGINS, turn)
    }

    /// A line of the reply to STAT with a path; the session has seen to it that there is room.
    pub(super) fn list_status(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let date = turn.server.date(turn.now);
        let Work::Status(job, options) = &mut self.desk.work else { return Step::Next };
        match turn.server.storage.poll_entry(job) {
            Poll::Pending => return Step::Leave(Action::Pending),
            Poll::Ready(Ok(Some(mut entry))) => {
                if options.itself && self.desk.path.seen().is_root() {
                    entry.name = b"";
                }
                let line = list::long(&entry, date);
                self.session.active = turn.now;
                turn.control.write(line.as_deref().unwrap_or_default());
                return Step::Next;
            }
            // An error in the middle can only end the list: the reply has begun.
            Poll::Ready(Ok(None) | Err(_)) => {}
        }
        if let Work::Status(job, _) = core::mem::replace(&mut self.desk.work, Work::Command) {
            turn.server.storage.cancel(job);
        }
        self.done(Reply::STATUS_ENDS, turn)
    }

    pub(super) fn retrieve(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let range = core::mem::take(&mut self.session.restart);
        if let Err(step) = self.admit(argument, Rights::READ, turn) {
            return step;
        }
        let op = Op::Read { path: self.desk.path.as_path(), offset: range.start() };
        let job = turn.start(op);
        let convert = self.is_ascii().then(Default::default);
        self.start_transfer(job, Direction::Retrieve(range, convert), turn)
    }

    pub(super) fn store(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let range = core::mem::take(&mut self.session.restart);
        if range.is_bounded() {
            return self.reject(Reply::RANGED_STORE, turn);
        }
        let (keep, needed) = match (self.desk.verb, range.start()) {
            (Verb::Appe, 0) => (Keep::All, Rights::APPEND),
            (_, 0) => (Keep::Nothing, Rights::WRITE),
            (_, offset) => (Keep::Bytes(offset), Rights::WRITE),
        };
        if let Err(step) = self.admit(argument, needed, turn) {
            return step;
        }
        let op =
            Op::Write { path: self.desk.path.as_path(), keep, mode: 0o666 & !self.session.umask };
        let job = turn.start(op);
        let convert = self.is_ascii().then(Default::default);
        self.start_transfer(job, Direction::Store(convert), turn)
    }

    /// STOU (RFC 959 section 4.1.3): a name of the server's choice, made of the time and the
    /// client's address and port: no two are the same at the same time.
    pub(super) fn store_unique(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let mut name = heapless::String::<UNIQUE_MAX>::new();
        let (date, micros) = (TimeVal(turn.server.date(turn.now)), turn.now.as_micros());
        let address = match self.session.peer.ip() {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits() as u64,
        };
        // It fits: 14 digits, 12, 16 and 4, and three between them.
        let _ = write!(name, "{date}-{micros:x}-{address:x}-{:x}", self.session.peer.port());
        self.store(name.as_bytes(), turn)
    }

    fn start_transfer(
        &mut self,
        job: Result<S::Job, Error>,
        direction: Direction,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match job {
            Ok(job) => self.desk.work = Work::Transfer(Transfer::new(job, direction, turn.now)),
            Err(error) => return self.refuse(error, turn),
        }
        if let Some(codec) = self.session.codec.and_then(|at| turn.codecs.get_mut(at)) {
            codec.begin(match direction {
                Direction::Store(_) => Way::Decompress,
                Direction::Retrieve(..) | Direction::List(_) => Way::Compress(self.session.level),
            });
        }
        Step::Next
    }

    pub(super) fn restart_at(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let reply = match number(argument.trim_ascii()).and_then(Range::starting_at) {
            None => Reply::bad_argument("REST takes a number of bytes"),
            // An offset on the wire is meant (RFC 3659 section 5.1), not one in the file.
            Some(range) if range != Range::WHOLE && self.is_ascii() => {
                Reply::bad_argument("REST needs TYPE I")
            }
            Some(range) => {
                self.session.restart = range;
                Reply::RestartAt(range.start())
            }
        };
        self.reply(reply, turn)
    }

    /// RANG (draft-bryan-ftp-range-08 section 3): the first byte and the last. What is no range
    /// takes back the one before.
    pub(super) fn select_range(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.session.restart = Range::WHOLE;
        let reply = match Range::parse(argument) {
            None => Reply::bad_argument("RANG takes the first byte and the last, or 1 0"),
            // As for REST.
            Some(range) if range != Range::WHOLE && self.is_ascii() => {
                Reply::bad_argument("RANG needs TYPE I")
            }
            Some(range) => {
                self.session.restart = range;
                Reply::Ranged(range)
            }
        };
        self.reply(reply, turn)
    }
}
