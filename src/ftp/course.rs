//! The course of a transfer, from its command to the final reply: what is said of it, what the
//! data connection has to do with it, and which lines are answered meanwhile.

use super::command::{self, Row, Verb};
use super::deflate::{Codec, Zipped};
use super::desk::Work;
use super::line::Received;
use super::reply::{DataFault, Reply};
use super::session::{DataPort, Interpreter, Step, Turn};
use super::transfer::{BYTES_A_POLL, Outcome, Progress, Scene};
use crate::log::Escaped;
use crate::service::{Action, Data};
use crate::storage::Storage;
use crate::stream::Status;
use crate::time::{Duration, Instant};

/// How long it is read on after an upload was refused.
const DISCARD: Duration = Duration::from_secs(2);

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn transfer(&mut self, turn: &mut Turn<'_, S>) -> Step {
        if let Some(step) = self.command_in_transfer(turn) {
            return step;
        }
        if self.is_abandoned(turn) {
            let reply = Reply::aborted("The control connection was closed, upload aborted");
            self.end_transfer(reply, turn);
            return self.drop_data(turn);
        }
        let progress = match self.allowance(turn) {
            Ok(allowance) => self.advance(allowance, turn),
            Err(until) => return self.hold_up(until, turn),
        };
        match progress {
            Progress::Opened => self.open_data(turn),
            Progress::Announce => self.announce_transfer(turn),
            Progress::Pending => Step::Leave(Action::Pending),
            Progress::More => Step::Leave(Action::Yield),
            Progress::Wait => self.wait_for_data(turn),
            Progress::Over(outcome) => self.transfer_over(outcome, turn),
        }
    }

    /// Advances the transfer, by that many bytes at most.
    fn advance(&mut self, allowance: usize, turn: &mut Turn<'_, S>) -> Progress {
        let date = turn.server.date(turn.now);
        let Work::Transfer(transfer) = &mut self.desk.work else { return Progress::Wait };
        let scene = &mut Scene {
            directory: self.session.directory.seen(),
            path: &mut self.desk.path,
            date,
            allowance,
            max_upload: self.session.max_upload,
        };
        let before = transfer.bytes;
        transfer.has_room(turn.data.room(), turn.now);
        let mut zipped;
        let codec = self.session.codec.and_then(|at| turn.codecs.get_mut(at));
        let mut data = match (turn.data.reborrow(), codec) {
            (Data::Open(stream), Some(codec)) => {
                zipped = Zipped::new(stream, codec);
                Data::Open(&mut zipped)
            }
            (data, _) => data,
        };
        let progress = transfer.poll(&mut turn.server.storage, &mut data, scene, turn.now);
        let moved = transfer.bytes - before;
        transfer.has_left(turn.data.room());
        self.charge(moved, turn);
        progress
    }

    /// A line that came during the transfer, if it is one that does not wait for its end. None
    /// is looked at before the preliminary reply is said: the order of the replies must not hang
    /// on when the lines arrive.
    fn command_in_transfer(&mut self, turn: &mut Turn<'_, S>) -> Option<Step> {
        let Work::Transfer(transfer) = &self.desk.work else { return None };
        if transfer.is_opening() || transfer.is_decided() {
            return None;
        }
        self.command_meanwhile(turn, |row, argument| match row.verb {
            // STAT of a path is for between transfers (RFC 959 section 4.1.3).
            Verb::Stat => argument.is_empty(),
            _ => row.immediate,
        })
    }

    /// A line that came while a command is carried out, if it is one that does not wait.
    pub(super) fn command_meanwhile(
        &mut self,
        turn: &mut Turn<'_, S>,
        answered: fn(&Row, &[u8]) -> bool,
    ) -> Option<Step> {
        let answered = match self.desk.line.receive(turn.control) {
            Received::Part => return None,
            Received::TooLong => false,
            Received::Line => command::parse(self.desk.line.peek())
                .is_ok_and(|(row, argument)| answered(row, argument)),
        };
        if answered {
            self.session.active = turn.now;
            return Some(self.command(turn));
        }
        // A line that waits must not hide an ABOR whose client does not want to wait.
        self.desk.line.synch(turn.control).then_some(Step::Next)
    }

    /// Storage is ready: the data connection that the client does not open is opened.
    fn open_data(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let local_port = turn.server.config.data_port;
        match self.session.data {
            DataPort::Passive { .. } => Step::Next,
            DataPort::Active(remote) => Step::Leave(Action::Connect { remote, local_port }),
            DataPort::Default if self.session.epsv_all => {
                self.transfer_over(Outcome::NoConnection(DataFault::NoEpsv), turn)
            }
            DataPort::Default => {
                Step::Leave(Action::Connect { remote: self.session.peer, local_port })
            }
        }
    }

    /// The preliminary reply. It comes before the data connection is established, because some
    /// clients open it only then; but not if there can be none, because others would wait for
    /// it and not hear the 425 behind.
    fn announce_transfer(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let Work::Transfer(transfer) = &self.desk.work else { return Step::Next };
        let opening = match (self.desk.verb, self.desk.path.seen().parent()) {
            (Verb::Stou, Some((_, name))) => Reply::OpeningUnique(name),
            _ => Reply::Opening { what: self.desk.verb.noun(), size: transfer.size },
        };
        opening.send(turn.control);
        self.session.active = turn.now;
        Step::Next
    }

    fn wait_for_data(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let Work::Transfer(transfer) = &self.desk.work else { return Step::Next };
        let config = &turn.server.config;
        let (deadline, outcome) =
            transfer.deadline(config.connect_timeout, self.session.idle_timeout);
        if turn.now < deadline {
            return Step::Leave(Action::Wait(Some(deadline)));
        }
        self.transfer_over(outcome, turn)
    }

    pub(super) fn transfer_over(&mut self, outcome: Outcome, turn: &mut Turn<'_, S>) -> Step {
        let reply = match outcome {
            Outcome::Complete => Reply::COMPLETE,
            Outcome::CutOff => Reply::CUT_OFF,
            Outcome::Storage(error) => Reply::failed(error),
            Outcome::TooLarge => Reply::UploadTooLarge { max: self.session.max_upload },
            Outcome::NoConnection(fault) => self.not_connected(fault, turn),
            Outcome::Broken if self.is_corrupt(turn) => {
                Reply::aborted("That was no whole zlib stream, transfer aborted")
            }
            Outcome::Broken => Reply::aborted("The data connection broke, transfer aborted"),
            Outcome::Stalled => Reply::aborted("The data connection stalled, transfer aborted"),
        };
        let is_refused =
            matches!(outcome, Outcome::Storage(_) | Outcome::TooLarge) || self.is_corrupt(turn);
        // Before anything was said of an upload, nothing of it is on its way.
        let is_upload = matches!(&self.desk.work, Work::Transfer(transfer)
            if transfer.is_upload() && !transfer.is_opening());
        self.end_transfer(reply, turn);
        match turn.data {
            Data::Open(_) if is_upload && is_refused => {
                self.desk.work = Work::Discard(turn.now + DISCARD);
                Step::Next
            }
            _ => self.drop_data(turn),
        }
    }

    /// Reads on after an upload was refused: most clients read the reply only when they have
    /// sent everything, and a reset would keep it from them.
    pub(super) fn discard(&mut self, until: Instant, turn: &mut Turn<'_, S>) -> Step {
        let has_heard = self.desk.line.receive(turn.control) != Received::Part;
        let is_gone = turn.control.status() == Status::PeerFinished;
        let mut left = BYTES_A_POLL;
        if let Data::Open(stream) = &mut turn.data
            && !(has_heard || is_gone || turn.now >= until)
        {
            // Looked at before the bytes: FIN is only reported with all bytes readable.
            let status = stream.status();
            while left > 0 && !stream.readable().is_empty() {
                let taken = stream.readable().len().min(left);
                stream.consume(taken);
                left -= taken;
            }
            match status {
                Status::Open if left == 0 => return Step::Leave(Action::Yield),
                Status::Open => return Step::Leave(Action::Wait(Some(until))),
                Status::PeerFinished if left == 0 => return Step::Leave(Action::Yield),
                Status::PeerFinished => stream.finish(),
                _ => {}
            }
        }
        self.desk.work = Work::Command;
        self.drop_data(turn)
    }

    /// Whether the client has gone in the middle of an upload and has nothing more to say: that has
    /// the effect of an ABOR (RFC 959 section 4.1.1), whatever came over the data connection.
    fn is_abandoned(&mut self, turn: &mut Turn<'_, S>) -> bool {
        turn.control.status() == Status::PeerFinished
            && matches!(&self.desk.work, Work::Transfer(transfer)
                if transfer.is_upload() && !transfer.is_decided())
            && self.desk.line.receive(turn.control) == Received::Part
    }

    /// Whether MODE Z got something else than a whole zlib stream.
    fn is_corrupt(&self, turn: &Turn<'_, S>) -> bool {
        let codec = self.session.codec.and_then(|at| turn.codecs.get(at));
        codec.is_some_and(Codec::is_corrupt)
    }

    /// Why there is no data connection: who was expected to open it, or to accept it, and where.
    fn not_connected(&self, fault: DataFault, turn: &Turn<'_, S>) -> Reply<'static> {
        let ports = turn.server.config.passive_ports;
        if fault != DataFault::TimedOut {
            return Reply::NoDataConnection { fault, ports };
        }
        match (self.session.data, &turn.data) {
            (DataPort::Passive { .. }, Data::Opening(local)) => {
                Reply::NotOpened { peer: self.session.peer.ip(), port: local.port(), ports }
            }
            (DataPort::Active(target), _) => Reply::NoAnswer(target),
            (DataPort::Default, Data::Opening(_)) => Reply::NoAnswer(self.session.peer),
            _ => Reply::NoDataConnection { fault, ports },
        }
    }

    /// Answers the transfer command and lets go of the transfer; `reply` tells how it went.
    pub(super) fn end_transfer(&mut self, reply: Reply<'_>, turn: &mut Turn<'_, S>) {
        let work = core::mem::replace(&mut self.desk.work, Work::Command);
        if let Work::Transfer(transfer) = work {
            let (peer, verb, bytes) = (self.session.peer, self.desk.verb, transfer.bytes);
            // The name comes last, so that none can look like more of the line.
            let path = Escaped(self.desk.path.as_path().as_bytes());
            let time = turn.now.since(transfer.started);
            let (seconds, millis) = (time.as_secs(), time.subsec_millis());
            // In tenths of MB/s: floating point takes 10 KiB of flash on a microcontroller.
            let rate = bytes.saturating_mul(10) / (time.as_micros() as u64).max(1);
            let (rate, tenth) = (rate / 10, rate % 10);
            if reply.code() < 400 {
                info!(
                    "{peer} {verb} {bytes} bytes in {seconds}.{millis:03} s, \
                     {rate}.{tenth} MB/s: {path}"
                );
            } else {
                warn!("{peer} {verb} {reply}, after {bytes} bytes: {path}");
            }
            transfer.cancel(&mut turn.server.storage);
        }
        self.done(reply, turn);
    }

    /// ABOR (RFC 959 section 4.1.3): the transfer, or the hash, gets its 426, then ABOR its 226;
    /// without one there is only the 226.
    pub(super) fn abort(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.desk.work {
            Work::Transfer(..) => self.end_transfer(Reply::aborted("Transfer aborted"), turn),
            Work::Hash(..) => self.abort_hash(turn),
            _ => {}
        }
        self.reply(Reply::ABORT_DONE, turn);
        self.drop_data(turn)
    }
}
