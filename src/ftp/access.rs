//! Access control commands (RFC 959 section 4.1.1), and the login that they lead to.

use core::task::Poll;

use super::command;
use super::desk::Work;
use super::facts::Facts;
use super::hash::Algorithm;
use super::path::PathBuf;
use super::reply::Reply;
use super::session::{Interpreter, LOGINS_MAX, Representation, Session, Step, Turn};
use super::{Config, deflate, rate};
use crate::auth::{Authenticator, Denied, Grant, Rights};
use crate::log::Escaped;
use crate::service::Action;
use crate::storage::Storage;
use crate::time::{Duration, Instant};

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn user(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.session.log_out(turn.accounts);
        match self.session.user.extend_from_slice(argument) {
            Ok(()) => self.reply(Reply::NEED_PASSWORD, turn),
            Err(_) => self.reply(Reply::bad_argument("User name too long"), turn),
        }
    }

    /// HOST (RFC 7151): there is one host here, by whatever name the client knows it.
    pub(super) fn host(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.session.rights {
            None => self.reply(Reply::HOST_KNOWN, turn),
            // Section 3.1: not after login.
            Some(_) => self.reply(Reply::out_of_order("HOST comes before USER"), turn),
        }
    }

    pub(super) fn pass_out_of_order(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.session.rights {
            Some(_) => self.reply(Reply::SUPERFLUOUS, turn),
            None => self.reply(Reply::out_of_order("USER first"), turn),
        }
    }

    pub(super) fn login(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let password =
            command::parse(self.desk.line.peek()).map_or(&b""[..], |(_, argument)| argument);
        let denied = match turn.accounts.poll_login(&self.session.user, password) {
            Poll::Pending => return Step::Leave(Action::Pending),
            Poll::Ready(Ok((account, grant))) => {
                self.session.account = Some(account);
                let reply = self.enter(&grant, &turn.server.config);
                reply.send(turn.control);
                None
            }
            Poll::Ready(Err(denied)) => Some(denied),
        };
        self.desk.line.take();
        self.session.active = turn.now;
        self.desk.work = Work::Command;
        if denied.is_none() && self.session.rights.is_none() {
            self.session.log_out(turn.accounts);
        }
        match denied {
            None => Step::Next,
            Some(denied) => self.turn_away(denied, turn),
        }
    }

    /// The user has what the account grants.
    fn enter<'g>(&mut self, grant: &Grant<'g>, config: &Config) -> Reply<'g> {
        let user = Escaped(&self.session.user);
        if self.session.directory.enter(grant.root).is_err() {
            warn!("{} login as {user} refused: its root is too long a path", self.session.peer);
            return Reply::NO_ROOT;
        }
        info!("{} logged in as {user}", self.session.peer);
        self.session.rights = Some(grant.rights);
        self.session.umask = config.umask;
        self.session.max_upload = grant.max_upload.or(config.max_upload).unwrap_or(u64::MAX);
        self.session.budget = grant.rate.or(config.rate).map(rate::budget);
        self.session.wrong_passwords = 0;
        let read_only = Rights::READ_ONLY.contains(grant.rights);
        Reply::LoggedIn { read_only, welcome: grant.welcome }
    }

    fn turn_away(&mut self, denied: Denied, turn: &mut Turn<'_, S>) -> Step {
        warn!("{} login as {} refused: {denied}", self.session.peer, Escaped(&self.session.user));
        self.session.user.clear();
        match denied {
            Denied::TooManySessions => self.reply(Reply::TOO_MANY_OF_ACCOUNT, turn),
            Denied::Incorrect => self.punish(turn),
        }
    }

    /// Whoever guesses waits longer each time.
    fn punish(&mut self, turn: &Turn<'_, S>) -> Step {
        self.session.wrong_passwords += 1;
        let delay = Duration::from_secs(u64::from(self.session.wrong_passwords));
        self.desk.work = Work::Penalty(turn.now + delay);
        Step::Next
    }

    pub(super) fn penalty(&mut self, until: Instant, turn: &mut Turn<'_, S>) -> Step {
        if turn.now < until {
            Step::Leave(Action::Wait(Some(until)))
        } else if self.session.wrong_passwords >= LOGINS_MAX {
            self.close_with(Reply::TOO_MANY_FAILURES, turn)
        } else {
            self.done(Reply::LOGIN_INCORRECT, turn)
        }
    }

    pub(super) fn reinitialise(&mut self, turn: &mut Turn<'_, S>) -> Step {
        self.session.log_out(turn.accounts);
        self.session.representation = Representation::Default;
        self.session.release_codec(turn.codecs);
        self.session.level = deflate::LEVEL;
        self.session.facts = Facts::ALL;
        self.session.algorithm = Algorithm::DEFAULT;
        self.session.epsv_all = false;
        self.session.idle_timeout = turn.server.config.idle_timeout;
        self.reply(Reply::READY, turn);
        self.drop_data(turn)
    }

    pub(super) fn print_directory(&mut self, turn: &mut Turn<'_, S>) -> Step {
        Reply::Directory(self.session.directory.seen()).send(turn.control);
        Step::Next
    }
}

impl<J, const N: usize> Session<'_, J, N> {
    /// Forgets the user, and all that came with the account.
    pub(super) fn log_out(&mut self, accounts: &mut dyn Authenticator) {
        if let Some(account) = self.account.take() {
            accounts.logout(account);
        }
        self.user.clear();
        self.rights = None;
        self.directory = PathBuf::default();
    }
}
