//! Commands that ask storage for something that takes a single reply.

use core::task::Poll;

use super::desk::{Then, Work};
use super::list::Format;
use super::path::{PathBuf, PathError};
use super::reply::Reply;
use super::session::{Interpreter, Representation, Step, Turn};
use crate::auth::Rights;
use crate::log::Escaped;
use crate::service::Action;
use crate::storage::{Entry, Error, Kind, Op, Path, Storage};

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    /// Makes `argument` the path of the command under way, if the account may do what the
    /// command needs; if not, that is said.
    pub(super) fn admit(
        &mut self,
        argument: &[u8],
        needed: Rights,
        turn: &mut Turn<'_, S>,
    ) -> Result<(), Step> {
        if !self.session.rights.is_some_and(|rights| rights.contains(needed)) {
            let user = Escaped(&self.session.user);
            warn!(
                "{} {} refused: {user} has no right to do that",
                self.session.peer, self.desk.verb
            );
            return Err(self.reject(Reply::NO_RIGHT, turn));
        }
        let reply = match self.desk.path.resolve(&self.session.directory, argument) {
            // The root is the owner's, also that of an account.
            Ok(()) if self.desk.path.seen().is_root() && self.desk.verb.changes_entry() => {
                return Err(self.refuse(Error::Denied, turn));
            }
            Ok(()) => return Ok(()),
            Err(PathError::Character) => Reply::bad_argument("Control character in a path"),
            Err(PathError::TooLong) => Reply::bad_argument("Path too long"),
        };
        Err(self.reject(reply, turn))
    }

    /// Answers a command that is not carried out. One that wanted the data connection has used
    /// it up all the same.
    pub(super) fn reject(&mut self, reply: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        self.done(reply, turn);
        if self.desk.verb.uses_data() { self.drop_data(turn) } else { Step::Next }
    }

    /// What the command does hangs on what is at the path.
    pub(super) fn look_up(
        &mut self,
        argument: &[u8],
        needed: Rights,
        then: Then,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        self.operate(argument, needed, |path| Op::Stat { path }, then, turn)
    }

    /// Begins a storage operation on a path.
    pub(super) fn operate(
        &mut self,
        argument: &[u8],
        needed: Rights,
        op: impl for<'p> FnOnce(Path<'p>) -> Op<'p>,
        then: Then,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        if let Err(step) = self.admit(argument, needed, turn) {
            return step;
        }
        let job = turn.start(op(self.desk.path.as_path()));
        self.begin(job, then, turn)
    }

    pub(super) fn begin(
        &mut self,
        job: Result<S::Job, Error>,
        then: Then,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match job {
            Ok(job) => self.desk.work = Work::Single(job, then),
            Err(error) => return self.fail(error, then, turn),
        }
        Step::Next
    }

    /// Storage cannot do what the command asked for first.
    fn fail(&mut self, error: Error, then: Then, turn: &mut Turn<'_, S>) -> Step {
        // Only what is not there by that very name is looked at as a pattern.
        if error == Error::NotFound && self.is_pattern(then) {
            return self.list_matching(then, turn);
        }
        self.refuse(error, turn)
    }

    /// Storage refused what the command asked for.
    pub(super) fn refuse(&mut self, error: Error, turn: &mut Turn<'_, S>) -> Step {
        let reply = Reply::failed(error);
        let path = Escaped(self.desk.path.as_path().as_bytes());
        info!("{} {} refused, {reply}: {path}", self.session.peer, self.desk.verb);
        self.reject(reply, turn)
    }

    /// Advances a storage operation that takes a single reply.
    pub(super) fn single(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let Work::Single(job, then) = &mut self.desk.work else { return Step::Next };
        let (then, storage) = (*then, &mut turn.server.storage);
        if let Then::Done(_) | Then::Made | Then::Dated(_) = then {
            let Poll::Ready(result) = storage.poll_finish(job) else {
                return Step::Leave(Action::Pending);
            };
            self.desk.work = Work::Command;
            return match result {
                Ok(_) => self.changed(then, turn),
                Err(error) => self.refuse(error, turn),
            };
        }
        if let Then::Available | Then::ListStatus(_) = then {
            let Poll::Ready(opened) = storage.poll_open(job) else {
                return Step::Leave(Action::Pending);
            };
            return self.opened(opened, then, turn);
        }
        let entry = match storage.poll_entry(job) {
            Poll::Pending => return Step::Leave(Action::Pending),
            Poll::Ready(Ok(Some(entry))) => Ok(Entry { name: b"", ..entry }),
            Poll::Ready(Ok(None)) => Err(Error::NotFound),
            Poll::Ready(Err(error)) => Err(error),
        };
        self.end_single(turn);
        match entry {
            Ok(entry) => self.looked_up(entry, then, turn),
            Err(error) => self.fail(error, then, turn),
        }
    }

    /// A storage operation was found to be possible, or not.
    fn opened(
        &mut self,
        opened: Result<Option<u64>, Error>,
        then: Then,
        turn: &mut Turn<'_, S>,
    ) -> Step {
        match (opened, then) {
            (Ok(_), Then::ListStatus(options)) => return self.open_status(options, turn),
            _ => self.end_single(turn),
        }
        match opened {
            Ok(bytes) => self.done(Reply::Size(bytes.unwrap_or(0)), turn),
            Err(error) => self.refuse(error, turn),
        }
    }

    /// All that was wanted of a storage operation is known.
    fn end_single(&mut self, turn: &mut Turn<'_, S>) {
        if let Work::Single(job, _) = core::mem::replace(&mut self.desk.work, Work::Command) {
            turn.server.storage.cancel(job);
        }
    }

    /// AVBL (draft-peterson-streamlined-ftp-command-extensions): how much may still be stored.
    pub(super) fn available(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.operate(argument, Rights::WRITE, |path| Op::Available { path }, Then::Available, turn)
    }

    /// Storage has changed something.
    fn changed(&mut self, then: Then, turn: &mut Turn<'_, S>) -> Step {
        let path = self.desk.path.seen();
        let reply = match then {
            Then::Done(what) => Reply::done(what),
            Then::Dated(date) => Reply::Dated(date, path),
            _ => Reply::Made(path),
        };
        let path = Escaped(self.desk.path.as_path().as_bytes());
        info!("{} {} {reply}: {path}", self.session.peer, self.desk.verb);
        reply.send(turn.control);
        self.session.active = turn.now;
        Step::Next
    }

    /// What a path is has become known.
    fn looked_up(&mut self, entry: Entry<'_>, then: Then, turn: &mut Turn<'_, S>) -> Step {
        match (then, entry.kind) {
            (Then::ChangeDirectory, Kind::Directory) => {
                self.session.directory.clone_from(&self.desk.path);
                self.done(Reply::done("Directory changed"), turn)
            }
            (Then::ChangeDirectory, _) => self.refuse(Error::NotADirectory, turn),
            (Then::RenameFrom, _) => {
                self.desk.renaming = true;
                self.done(Reply::NEED_NEW_NAME, turn)
            }
            (Then::Size, Kind::File) => self.done(Reply::Size(entry.size), turn),
            (Then::Size, _) => self.done(Reply::NOT_A_FILE, turn),
            (Then::Status(options), kind) => self.begin_status(options, kind, turn),
            (Then::Tell, _) => {
                let rights = self.session.rights.unwrap_or_default();
                let (path, facts) = (self.desk.path.seen(), self.session.facts);
                Reply::Entry(path, entry, facts, rights).send(turn.control);
                self.session.active = turn.now;
                Step::Next
            }
            // RFC 3659 section 7.2.1.
            (Then::List(Format::Machine(..), _), Kind::File | Kind::Link | Kind::Other) => {
                self.reject(Reply::bad_argument("MLSD lists directories only"), turn)
            }
            (Then::List(format, options), kind) => self.start_list(format, options, kind, turn),
            _ => self.done(Reply::Modified(entry.modified), turn),
        }
    }

    pub(super) fn make_directory(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let mode = 0o777 & !self.session.umask;
        self.operate(
            argument,
            Rights::MAKE_DIRECTORY,
            |path| Op::MakeDirectory { path, mode },
            Then::Made,
            turn,
        )
    }

    pub(super) fn remove_directory(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.operate(
            argument,
            Rights::DELETE,
            |path| Op::RemoveDirectory { path },
            Then::Done("Directory removed"),
            turn,
        )
    }

    pub(super) fn delete(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.operate(
            argument,
            Rights::DELETE,
            |path| Op::Delete { path },
            Then::Done("Deleted"),
            turn,
        )
    }

    pub(super) fn size(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        // The size on the wire is meant (RFC 3659 section 4), which nobody knows before
        // the lines are counted.
        if self.session.representation == Representation::Ascii {
            return self.reply(Reply::ASCII_SIZE, turn);
        }
        self.look_up(argument, Rights::LIST, Then::Size, turn)
    }

    pub(super) fn rename_to(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        if !core::mem::take(&mut self.desk.renaming) {
            return self.reply(Reply::out_of_order("RNFR first"), turn);
        }
        let from: PathBuf<N> = self.desk.path.clone();
        if let Err(step) = self.admit(argument, Rights::RENAME, turn) {
            return step;
        }
        info!("{} RNFR: {}", self.session.peer, Escaped(from.as_path().as_bytes()));
        // To replace a file is to store one in its place, or to delete it first.
        let replace = self.session.rights.is_some_and(|rights| {
            rights.contains(Rights::WRITE) || rights.contains(Rights::DELETE)
        });
        let op = Op::Rename { from: from.as_path(), to: self.desk.path.as_path(), replace };
        let job = turn.start(op);
        self.begin(job, Then::Done("Renamed"), turn)
    }
}
