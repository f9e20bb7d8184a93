//! Transfer parameter commands (RFC 959 section 4.1.2), and STAT, which tells of them.

use core::net::SocketAddr;

use super::address::{self, AddressError, protocol};
use super::command::{self, Verb, number};
use super::deflate::{self, Codec};
use super::desk::{Then, Work};
use super::facts::Facts;
use super::hash::Algorithm;
use super::list::Options;
use super::reply::{DataFault, Reply};
use super::report::{Report, Running};
use super::session::{DataPort, Interpreter, Representation, Session, Step, Turn};
use crate::auth::Rights;
use crate::bytes::copy;
use crate::log::Escaped;
use crate::service::{Action, ConnectError, Data};
use crate::storage::Storage;

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn pasv(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if self.session.epsv_all {
            return self.reply(Reply::out_of_order("EPSV ALL was said"), turn);
        }
        if !self.session.peer.is_ipv4() {
            return self.reply(Reply::USE_EPSV, turn);
        }
        self.listen(false, turn)
    }

    pub(super) fn epsv(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let ours = protocol(self.session.peer.ip());
        match argument.trim_ascii() {
            b"" => self.listen(true, turn),
            all if all.eq_ignore_ascii_case(b"ALL") => {
                self.session.epsv_all = true;
                if let DataPort::Active(_) = self.session.data {
                    self.session.data = DataPort::Default;
                }
                self.reply(Reply::ok("EPSV only from now on"), turn)
            }
            digits => match number(digits) {
                Some(n) if n == ours => self.listen(true, turn),
                Some(_) => self.reply(Reply::UseProtocol(ours), turn),
                None => self.reply(Reply::bad_argument("EPSV takes 1, 2 or ALL"), turn),
            },
        }
    }

    fn listen(&mut self, extended: bool, turn: &Turn<'_, S>) -> Step {
        self.session.data =
            DataPort::Passive { until: turn.now + turn.server.config.claim_timeout };
        self.desk.work = Work::Passive { extended };
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
            _ => ConnectError::NoPort,
        };
        let (fault, ports) = (DataFault::Net(error), turn.server.config.passive_ports);
        let reply = Reply::NoDataConnection { fault, ports };
        warn!("{} no data connection: {reply}", self.session.peer);
        self.done(reply, turn);
        self.drop_data(turn)
    }

    /// PORT and EPRT.
    pub(super) fn data_port(
        &mut self,
        target: Result<SocketAddr, AddressError>,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        if self.session.epsv_all {
            return self.reply(Reply::out_of_order("EPSV ALL was said"), turn);
        }
        match target.and_then(|target| address::check(target, self.session.peer)) {
            Ok(target) => {
                let step = self.drop_data(turn);
                self.session.data = DataPort::Active(target);
                self.reply(Reply::ok("Data port set"), turn);
                step
            }
            Err(AddressError::Syntax) => self.reply(Reply::bad_argument("Bad address"), turn),
            Err(AddressError::Protocol) => {
                self.reply(Reply::UseProtocol(protocol(self.session.peer.ip())), turn)
            }
            Err(AddressError::Foreign) => {
                warn!("{} refused: a data port that is not the client's own", self.session.peer);
                self.reply(Reply::FOREIGN_ADDRESS, turn)
            }
        }
    }

    pub(super) fn is_ascii(&self) -> bool {
        self.session.representation == Representation::Ascii
    }

    /// TYPE: A with N (the default format), I, and L 8, which is the same here.
    pub(super) fn represent(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let mut upper = [0; 8];
        let argument = argument.trim_ascii();
        let upper = upper.get_mut(..argument.len()).unwrap_or_default();
        copy(argument, upper);
        upper.make_ascii_uppercase();
        let reply = match &*upper {
            b"A" | b"A N" => {
                self.session.representation = Representation::Ascii;
                Reply::ok("TYPE is A: ASCII, lines are converted")
            }
            b"I" | b"L 8" => {
                self.session.representation = Representation::Image;
                Reply::ok("TYPE is I: bytes as they are")
            }
            b"A T" | b"A C" | b"E" | b"E N" | b"E T" | b"E C" => Reply::UNSUPPORTED_PARAMETER,
            [b'L', b' ', size @ ..] if number(size).is_some() => Reply::UNSUPPORTED_PARAMETER,
            _ => Reply::bad_argument("Unknown TYPE"),
        };
        self.reply(reply, turn)
    }

    /// MODE: S, or Z if there is a codec.
    pub(super) fn mode(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let reply = match argument.trim_ascii() {
            b"S" | b"s" => {
                self.session.release_codec(turn.codecs);
                Reply::ok("MODE is S: stream")
            }
            b"Z" | b"z" if turn.codecs.is_empty() => Reply::UNSUPPORTED_PARAMETER,
            b"Z" | b"z" if self.session.take_codec(turn.codecs) => Reply::ok("MODE is Z: deflate"),
            b"Z" | b"z" => Reply::NO_CODEC,
            b"B" | b"b" | b"C" | b"c" => Reply::UNSUPPORTED_PARAMETER,
            _ => Reply::bad_argument("Unknown mode"),
        };
        self.reply(reply, turn)
    }

    pub(super) fn features(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let (facts, algorithm) = (self.session.facts, self.session.algorithm);
        let deflate = !turn.codecs.is_empty();
        self.reply(Reply::Features { facts, algorithm, deflate }, turn)
    }

    /// OPTS (RFC 2389 section 4): a verb of the table, and options for it. UTF8 is no verb; names
    /// are UTF-8 whatever the client says (RFC 2640), and it wants to hear that it is so.
    pub(super) fn options(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let mut words = argument.trim_ascii().splitn(2, |&b| b == b' ');
        let (name, options) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let options = options.trim_ascii();
        let reply = match command::find(name).map(|row| row.verb) {
            Some(Verb::Mlst) => {
                self.session.facts = Facts::parse(options);
                Reply::Selected(self.session.facts)
            }
            Some(Verb::Hash) => self.select_algorithm(options),
            Some(Verb::Mode) if !turn.codecs.is_empty() => self.select_level(options),
            Some(_) => Reply::bad_argument("That command has no options"),
            None if name.eq_ignore_ascii_case(b"UTF8") || name.eq_ignore_ascii_case(b"UTF-8") => {
                Reply::ok("Names are UTF-8")
            }
            None => Reply::bad_argument("There is no such command"),
        };
        self.reply(reply, turn)
    }

    /// OPTS MODE Z (draft-preston-ftpext-deflate-04 section 3.4): `LEVEL` and a number; alone, all
    /// is as it was at first. There is one engine, so others are refused.
    fn select_level(&mut self, options: &[u8]) -> Reply<'static> {
        let mut words = options.split(|&b| b == b' ');
        let mode = words.next().unwrap_or_default();
        if !mode.eq_ignore_ascii_case(b"Z") {
            return Reply::bad_argument("OPTS MODE is for MODE Z");
        }
        let level = match (words.next(), words.next(), words.next()) {
            (None, ..) => Some(u64::from(deflate::LEVEL)),
            (Some(name), Some(level), None) if name.eq_ignore_ascii_case(b"LEVEL") => number(level),
            (Some(name), Some(engine), None) if name.eq_ignore_ascii_case(b"ENGINE") => {
                engine.eq_ignore_ascii_case(b"ZLIB").then_some(self.session.level.into())
            }
            _ => None,
        };
        match level.and_then(|level| u8::try_from(level).ok()).filter(|level| *level <= 9) {
            Some(level) => self.session.level = level,
            None => return Reply::bad_argument("OPTS MODE Z takes LEVEL and a number to 9"),
        }
        Reply::Level(self.session.level)
    }

    /// OPTS HASH (draft-bryan-ftpext-hash-02 section 3.2); without a name it only tells.
    fn select_algorithm(&mut self, name: &[u8]) -> Reply<'static> {
        match Algorithm::find(name) {
            Some(algorithm) => self.session.algorithm = algorithm,
            None if name.is_empty() => {}
            None => return Reply::bad_argument("Unknown algorithm, selection not changed"),
        }
        Reply::ok(self.session.algorithm.name())
    }

    pub(super) fn status(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !argument.is_empty() {
            let (options, path) = Options::parse(argument);
            return self.look_up(path, Rights::LIST, Then::Status(options), turn);
        }
        let transfer = match &self.desk.work {
            Work::Transfer(transfer) => {
                let time = turn.now.since(transfer.started);
                Some(Running {
                    verb: self.desk.verb,
                    bytes: transfer.bytes,
                    size: transfer.size,
                    time,
                })
            }
            _ => None,
        };
        let report = Report {
            peer: self.session.peer,
            user: Escaped(&self.session.user),
            representation: match self.session.representation {
                Representation::Default => "ASCII (not converted)",
                Representation::Ascii => "ASCII",
                Representation::Image => "Image",
            },
            mode: if self.session.codec.is_some() { "Deflate" } else { "Stream" },
            transfer,
        };
        report.send(turn.control);
        Step::Next
    }
}

impl<J, const N: usize> Session<'_, J, N> {
    /// Whether the session has a codec now.
    fn take_codec(&mut self, codecs: &mut [Codec]) -> bool {
        if self.codec.is_none() {
            self.codec = codecs.iter().position(|codec| !codec.is_taken);
        }
        match self.codec.and_then(|at| codecs.get_mut(at)) {
            Some(codec) => {
                codec.is_taken = true;
                true
            }
            None => false,
        }
    }

    /// MODE is S again.
    pub(super) fn release_codec(&mut self, codecs: &mut [Codec]) {
        if let Some(codec) = self.codec.take().and_then(|at| codecs.get_mut(at)) {
            codec.is_taken = false;
        }
    }
}
