//! What each command does.

use core::net::SocketAddr;
use core::task::Poll;

use super::address::{self, AddressError, protocol};
use super::command::{self, Row, Verb, number};
use super::list::Format;
use super::path::{PathBuf, PathError};
use super::reply::{DataFault, Reply, Report};
use super::session::{DataPort, Representation, Session, Step, Then, Turn, Work};
use super::transfer::{Direction, Transfer};
use crate::auth::Rights;
use crate::log::Escaped;
use crate::service::{Action, Data, DataError};
use crate::storage::{Entry, Error, Keep, Kind, Op, Storage};

impl<S: Storage, const N: usize> Session<S, N> {
    pub(super) fn execute(
        &mut self,
        row: &'static Row,
        argument: &[u8],
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match row.verb {
            Verb::User => self.user(argument, turn),
            Verb::Pass => self.pass_out_of_order(turn),
            Verb::Quit => self.close_with(Reply::Goodbye, turn),
            Verb::Rein => self.reinitialise(turn),
            Verb::Abor => self.abort(turn),
            Verb::Stat => self.status(argument, turn),
            Verb::Cwd => self.look_up(argument, Rights::NONE, Then::ChangeDirectory, turn),
            Verb::Cdup => self.look_up(b"..", Rights::NONE, Then::ChangeDirectory, turn),
            Verb::Pwd => self.print_directory(turn),
            Verb::Size => self.size(argument, turn),
            Verb::Mdtm => self.look_up(argument, Rights::LIST, Then::Modified, turn),
            Verb::Rnfr => self.look_up(argument, Rights::RENAME, Then::RenameFrom, turn),
            Verb::Rnto => self.rename_to(argument, turn),
            Verb::Mkd => self.make_directory(argument, turn),
            Verb::Rmd => self.remove_directory(argument, turn),
            Verb::Dele => self.delete(argument, turn),
            Verb::List => self.list(argument, Format::Long, row.verb, turn),
            Verb::Nlst => self.list(argument, Format::Names, row.verb, turn),
            Verb::Retr => self.retrieve(argument, turn),
            Verb::Stor | Verb::Appe => self.store(argument, row.verb, turn),
            Verb::Rest => self.restart_at(argument, turn),
            Verb::Pasv => self.pasv(turn),
            Verb::Epsv => self.epsv(argument, turn),
            Verb::Port => self.data_port(address::port(argument), turn),
            Verb::Eprt => self.data_port(address::eprt(argument), turn),
            Verb::Type => self.represent(argument, turn),
            Verb::Acct
            | Verb::Allo
            | Verb::Feat
            | Verb::Help
            | Verb::Mode
            | Verb::Noop
            | Verb::Opts
            | Verb::Stru
            | Verb::Syst
            | Verb::Unsupported => self.reply(constant(row.verb, argument), turn),
        }
    }

    // Access control (RFC 959 section 4.1.1).

    fn user(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.rights = None;
        self.directory.reset();
        self.user.clear();
        match self.user.extend_from_slice(argument) {
            Ok(()) => self.reply(Reply::NeedPassword, turn),
            Err(_) => self.reply(Reply::BadArgument("User name too long"), turn),
        }
    }

    fn pass_out_of_order(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.rights {
            Some(_) => self.reply(Reply::Superfluous, turn),
            None => self.reply(Reply::OutOfOrder("USER first"), turn),
        }
    }

    fn reinitialise(&mut self, turn: &mut Turn<'_, S>) -> Step {
        self.rights = None;
        self.user.clear();
        self.directory.reset();
        self.representation = Representation::Default;
        self.epsv_all = false;
        self.reply(Reply::Ready, turn);
        self.drop_data(turn)
    }

    fn print_directory(&mut self, turn: &mut Turn<'_, S>) -> Step {
        Reply::Directory(self.directory.as_path()).send(turn.control);
        Step::Next
    }

    // Storage operations that take a single reply.

    /// Whether the account may do what it asks for; if not, that is said.
    fn may(&mut self, needed: Rights, turn: &mut Turn<'_, S>) -> bool {
        let granted = self.rights.is_some_and(|rights| rights.contains(needed));
        if !granted {
            warn!("{} {} refused: no right to do that", self.peer, Escaped(&self.user));
            self.reply(Reply::NoRight, turn);
        }
        granted
    }

    /// Makes `argument` the path of the command under way; if it is none, that is said.
    fn resolve(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> bool {
        let error = match self.path.resolve(&self.directory, argument) {
            Ok(()) => return true,
            Err(PathError::Character) => Reply::BadArgument("Control character in a path"),
            Err(PathError::TooLong) => Reply::BadArgument("Path too long"),
        };
        self.reply(error, turn);
        false
    }

    /// What the command does hangs on what is at the path.
    fn look_up(
        &mut self,
        argument: &[u8],
        needed: Rights,
        then: Then,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        if !self.may(needed, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::Stat { path: self.path.as_path() };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        self.begin(job, then, turn)
    }

    fn begin(&mut self, job: Result<S::Job, Error>, then: Then, turn: &mut Turn<'_, S>) -> Step {
        match job {
            Ok(job) => self.work = Work::Single(job, then),
            Err(error) => return self.refuse(error, turn),
        }
        Step::Next
    }

    /// Storage refused what the command asked for.
    fn refuse(&mut self, error: Error, turn: &mut Turn<'_, S>) -> Step {
        let reply = Reply::Failed(error);
        debug!("{} {}: {reply}", self.peer, Escaped(self.path.as_path().as_bytes()));
        self.done(reply, turn)
    }

    /// Advances a storage operation that takes a single reply.
    pub(super) fn single(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let Work::Single(job, then) = &mut self.work else { return Step::Next };
        let (then, storage) = (*then, &mut turn.server.storage);
        if let Then::Done(_) | Then::Made = then {
            let Poll::Ready(result) = storage.poll_finish(job) else {
                return Step::Leave(Action::Pending);
            };
            self.work = Work::Command;
            return match result {
                Ok(()) => self.changed(then, turn),
                Err(error) => self.refuse(error, turn),
            };
        }
        let entry = match storage.poll_entry(job) {
            Poll::Pending => return Step::Leave(Action::Pending),
            Poll::Ready(Ok(Some(entry))) => Ok(Entry { name: b"", ..entry }),
            Poll::Ready(Ok(None)) => Err(Error::NotFound),
            Poll::Ready(Err(error)) => Err(error),
        };
        if let Work::Single(job, _) = core::mem::replace(&mut self.work, Work::Command) {
            turn.server.storage.cancel(job);
        }
        match entry {
            Ok(entry) => self.looked_up(entry, then, turn),
            Err(error) => self.refuse(error, turn),
        }
    }

    /// Storage has changed something.
    fn changed(&mut self, then: Then, turn: &mut Turn<'_, S>) -> Step {
        let path = self.path.as_path();
        let reply = match then {
            Then::Done(what) => Reply::Done(what),
            _ => Reply::Made(path),
        };
        info!("{} {}: {reply}", self.peer, Escaped(path.as_bytes()));
        reply.send(turn.control);
        self.active = turn.now;
        Step::Next
    }

    /// What a path is has become known.
    fn looked_up(&mut self, entry: Entry<'_>, then: Then, turn: &mut Turn<'_, S>) -> Step {
        match (then, entry.kind) {
            (Then::ChangeDirectory, Kind::Directory) => {
                self.directory.clone_from(&self.path);
                self.done(Reply::Done("Directory changed"), turn)
            }
            (Then::ChangeDirectory, _) => self.refuse(Error::NotADirectory, turn),
            (Then::RenameFrom, _) => {
                self.renaming = true;
                self.done(Reply::NeedNewName, turn)
            }
            (Then::Size, Kind::File) => self.done(Reply::Facts { size: entry.size }, turn),
            (Then::Size, _) => self.done(Reply::NotAFile, turn),
            (Then::List(format, verb), kind) => self.start_list(format, verb, kind, turn),
            _ => self.done(Reply::Modified(entry.modified), turn),
        }
    }

    fn size(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        // The size on the wire is meant (RFC 3659 section 4), which nobody knows before
        // the lines are counted.
        if self.representation == Representation::Ascii {
            return self.reply(Reply::AsciiSize, turn);
        }
        self.look_up(argument, Rights::LIST, Then::Size, turn)
    }

    fn rename_to(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !core::mem::take(&mut self.renaming) {
            return self.reply(Reply::OutOfOrder("RNFR first"), turn);
        }
        let from: PathBuf<N> = self.path.clone();
        if !self.may(Rights::RENAME, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        info!("{} rename {}", self.peer, Escaped(from.as_path().as_bytes()));
        let op = Op::Rename { from: from.as_path(), to: self.path.as_path() };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        self.begin(job, Then::Done("Renamed"), turn)
    }

    fn make_directory(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !self.may(Rights::MAKE_DIRECTORY, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::MakeDirectory { path: self.path.as_path() };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        self.begin(job, Then::Made, turn)
    }

    fn remove_directory(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !self.may(Rights::DELETE, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::RemoveDirectory { path: self.path.as_path() };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        self.begin(job, Then::Done("Directory removed"), turn)
    }

    fn delete(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !self.may(Rights::DELETE, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::Delete { path: self.path.as_path() };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        self.begin(job, Then::Done("Deleted"), turn)
    }

    // Transfers.

    fn list(
        &mut self,
        argument: &[u8],
        format: Format,
        verb: Verb,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        self.look_up(without_options(argument), Rights::LIST, Then::List(format, verb), turn)
    }

    fn start_list(
        &mut self,
        format: Format,
        verb: Verb,
        kind: Kind,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        let path = self.path.as_path();
        let op = if kind == Kind::Directory { Op::List { path } } else { Op::Stat { path } };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        if kind != Kind::Directory {
            // The one line is that of an entry of the directory around it.
            self.path.ascend();
        }
        self.start_transfer(job, Direction::List(format), verb, turn)
    }

    fn retrieve(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let offset = core::mem::take(&mut self.restart);
        if !self.may(Rights::READ, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::Read { path: self.path.as_path(), offset };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        let convert = self.is_ascii().then(Default::default);
        self.start_transfer(job, Direction::Retrieve(convert), Verb::Retr, turn)
    }

    fn store(&mut self, argument: &[u8], verb: Verb, turn: &mut Turn<'_, S>) -> Step {
        let (keep, needed) = match (verb, core::mem::take(&mut self.restart)) {
            (Verb::Appe, 0) => (Keep::All, Rights::APPEND),
            (_, 0) => (Keep::Nothing, Rights::WRITE),
            (_, offset) => (Keep::Bytes(offset), Rights::WRITE),
        };
        if !self.may(needed, turn) || !self.resolve(argument, turn) {
            return Step::Next;
        }
        let op = Op::Write { path: self.path.as_path(), keep };
        let job = turn.server.storage.start(op, turn.server.date(turn.now));
        let convert = self.is_ascii().then(Default::default);
        self.start_transfer(job, Direction::Store(convert), verb, turn)
    }

    fn start_transfer(
        &mut self,
        job: Result<S::Job, Error>,
        direction: Direction,
        verb: Verb,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match job {
            Ok(job) => self.work = Work::Transfer(Transfer::new(job, direction, turn.now), verb),
            Err(error) => {
                self.refuse(error, turn);
                return self.drop_data(turn);
            }
        }
        Step::Next
    }

    /// ABOR (RFC 959 section 4.1.3): the transfer gets its 426, then ABOR its 226; without a
    /// transfer there is only the 226.
    fn abort(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if let Work::Transfer(..) = self.work {
            self.end_transfer(Reply::Aborted("Transfer aborted"), turn);
        }
        self.reply(Reply::AbortDone, turn);
        self.drop_data(turn)
    }

    fn restart_at(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let reply = match number(argument.trim_ascii()) {
            // An offset on the wire is meant (RFC 3659 section 5.1), not one in the file.
            Some(1..) if self.is_ascii() => Reply::BadArgument("REST needs TYPE I"),
            // Storage counts in signed 64 bits at the most.
            Some(offset) if offset <= i64::MAX as u64 => {
                self.restart = offset;
                Reply::RestartAt(offset)
            }
            _ => Reply::BadArgument("REST takes a number of bytes"),
        };
        self.reply(reply, turn)
    }

    // The data connection.

    fn pasv(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if self.epsv_all {
            return self.reply(Reply::OutOfOrder("EPSV ALL was said"), turn);
        }
        if !self.local.is_ipv4() {
            return self.reply(Reply::UsePassiveSix, turn);
        }
        self.listen(false)
    }

    fn epsv(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let ours = protocol(self.local.ip());
        match argument.trim_ascii() {
            b"" => self.listen(true),
            all if all.eq_ignore_ascii_case(b"ALL") => {
                self.epsv_all = true;
                self.reply(Reply::Ok("EPSV only from now on"), turn)
            }
            digits => match number(digits) {
                Some(n) if n == ours => self.listen(true),
                Some(_) => self.reply(Reply::UseProtocol(ours), turn),
                None => self.reply(Reply::BadArgument("EPSV takes 1, 2 or ALL"), turn),
            },
        }
    }

    fn listen(&mut self, extended: bool) -> Step {
        self.data = DataPort::Passive;
        self.work = Work::Passive { extended };
        Step::Leave(Action::Listen)
    }

    /// The network has chosen a port, or has none.
    pub(super) fn announce(&mut self, extended: bool, turn: &mut Turn<'_, S>) -> Step {
        let error = match turn.data {
            Data::Opening(local) if extended => {
                return self.done(Reply::ExtendedPassive(local.port()), turn);
            }
            Data::Opening(SocketAddr::V4(local)) => {
                let address = turn.server.config.passive_address.unwrap_or(*local.ip());
                return self.done(Reply::Passive(address, local.port()), turn);
            }
            Data::Failed(error) => error,
            _ => DataError::NoPort,
        };
        let reply = Reply::NoDataConnection(DataFault::Net(error));
        warn!("{} no data connection: {reply}", self.peer);
        self.done(reply, turn);
        self.drop_data(turn)
    }

    /// PORT and EPRT.
    fn data_port(
        &mut self,
        target: Result<SocketAddr, AddressError>,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        if self.epsv_all {
            return self.reply(Reply::OutOfOrder("EPSV ALL was said"), turn);
        }
        match target.and_then(|target| address::check(target, self.peer)) {
            Ok(target) => {
                let step = self.drop_data(turn);
                self.data = DataPort::Active(target);
                self.reply(Reply::Ok("Data port set"), turn);
                step
            }
            Err(AddressError::Syntax) => self.reply(Reply::BadArgument("Bad address"), turn),
            Err(AddressError::Protocol) => {
                self.reply(Reply::UseProtocol(protocol(self.peer.ip())), turn)
            }
            Err(AddressError::Foreign) => {
                warn!("{} refused: a data port that is not the client's own", self.peer);
                let text = "Only your own address, and a port from 1024, may be named";
                self.reply(Reply::BadArgument(text), turn)
            }
        }
    }

    // Parameters and information.

    fn is_ascii(&self) -> bool {
        self.representation == Representation::Ascii
    }

    /// TYPE: A with N (the default format), I, and L 8, which is the same here.
    fn represent(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let mut upper = [0; 8];
        let argument = argument.trim_ascii();
        let upper = upper.get_mut(..argument.len()).unwrap_or_default();
        upper.copy_from_slice(argument.get(..upper.len()).unwrap_or_default());
        upper.make_ascii_uppercase();
        let reply = match &*upper {
            b"A" | b"A N" => {
                self.representation = Representation::Ascii;
                Reply::Ok("TYPE is A: ASCII, lines are converted")
            }
            b"I" | b"L 8" => {
                self.representation = Representation::Image;
                Reply::Ok("TYPE is I: bytes as they are")
            }
            b"A T" | b"A C" | b"E" | b"E N" | b"E T" | b"E C" => Reply::UnsupportedParameter,
            [b'L', b' ', size @ ..] if number(size).is_some() => Reply::UnsupportedParameter,
            _ => Reply::BadArgument("Unknown TYPE"),
        };
        self.reply(reply, turn)
    }

    fn status(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !argument.is_empty() {
            return self.reply(Reply::UnsupportedParameter, turn);
        }
        let transfer = match &self.work {
            Work::Transfer(transfer, verb) => {
                let seconds = turn.now.since(transfer.started).as_secs();
                Some((verb.name(), transfer.bytes, transfer.size, seconds))
            }
            _ => None,
        };
        let report = Report {
            peer: self.peer,
            user: Escaped(&self.user),
            representation: match self.representation {
                Representation::Default => "ASCII (not converted)",
                Representation::Ascii => "ASCII",
                Representation::Image => "Image",
            },
            transfer,
        };
        report.send(turn.control);
        Step::Next
    }
}

/// Replies that hang on the argument alone.
fn constant(verb: Verb, argument: &[u8]) -> Reply<'static> {
    let argument = argument.trim_ascii();
    match verb {
        Verb::Noop => Reply::Ok("OK"),
        Verb::Syst => Reply::System,
        Verb::Feat => Reply::Features,
        Verb::Help if argument.is_empty() => Reply::Help,
        Verb::Help => command::find(argument).map_or(Reply::Unknown, Reply::HelpOn),
        Verb::Acct => Reply::Superfluous,
        // RFC 959 section 4.1.3: servers that need no storage beforehand treat it as NOOP.
        Verb::Allo if argument.first().is_some_and(u8::is_ascii_digit) => Reply::Superfluous,
        Verb::Allo => Reply::BadArgument("ALLO takes a number of bytes"),
        Verb::Opts => options(argument),
        Verb::Mode => parameter(argument, b'S', b"BC", "MODE is S: stream"),
        Verb::Stru => parameter(argument, b'F', b"RP", "STRU is F: file"),
        _ => Reply::Unsupported,
    }
}

/// MODE and STRU: one letter that is done, others that RFC 959 knows.
fn parameter(argument: &[u8], done: u8, known: &[u8], text: &'static str) -> Reply<'static> {
    match argument {
        [letter] if letter.eq_ignore_ascii_case(&done) => Reply::Ok(text),
        [letter] if known.contains(&letter.to_ascii_uppercase()) => Reply::UnsupportedParameter,
        _ => Reply::BadArgument("Unknown parameter"),
    }
}

/// OPTS (RFC 2389). Names are UTF-8 whatever the client says (RFC 2640), and clients that say
/// it want to hear that it is so.
fn options(argument: &[u8]) -> Reply<'static> {
    let name = argument.split(|&b| b == b' ').next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"UTF8") || name.eq_ignore_ascii_case(b"UTF-8") {
        Reply::Ok("Names are UTF-8")
    } else {
        Reply::BadArgument("There is no such option")
    }
}

/// The argument of LIST or NLST without the options of `ls` that clients put in front of it.
fn without_options(argument: &[u8]) -> &[u8] {
    let mut rest = argument.trim_ascii_start();
    while rest.starts_with(b"-") {
        let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
        rest = rest.get(end..).unwrap_or_default().trim_ascii_start();
    }
    rest
}
