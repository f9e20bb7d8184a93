//! Access control commands (RFC 959 section 4.1.1), and the login that they lead to.

use core::task::Poll;

use super::command;
use super::facts::Facts;
use super::reply::Reply;
use super::session::{LOGINS_MAX, Representation, Session, Step, Turn, Work};
use crate::auth::Rights;
use crate::log::Escaped;
use crate::service::Action;
use crate::storage::Storage;
use crate::time::{Duration, Instant};

impl<S: Storage, const N: usize> Session<S, N> {
    pub(super) fn user(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        self.rights = None;
        self.directory.reset();
        self.user.clear();
        match self.user.extend_from_slice(argument) {
            Ok(()) => self.reply(Reply::NeedPassword, turn),
            Err(_) => self.reply(Reply::BadArgument("User name too long"), turn),
        }
    }

    /// HOST (RFC 7151): there is one host here, by whatever name the client knows it.
    pub(super) fn host(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.rights {
            None => self.reply(Reply::HostKnown, turn),
            // Section 3.1: not after login.
            Some(_) => self.reply(Reply::OutOfOrder("HOST comes before USER"), turn),
        }
    }

    pub(super) fn pass_out_of_order(&mut self, turn: &mut Turn<'_, S>) -> Step {
        match self.rights {
            Some(_) => self.reply(Reply::Superfluous, turn),
            None => self.reply(Reply::OutOfOrder("USER first"), turn),
        }
    }

    pub(super) fn login(&mut self, turn: &mut Turn<'_, S>) -> Step {
        let password = command::parse(self.line.peek()).map_or(&b""[..], |(_, argument)| argument);
        match turn.accounts.poll_login(&self.user, password) {
            Poll::Pending => Step::Leave(Action::Pending),
            Poll::Ready(Ok(rights)) => {
                self.line.take();
                self.rights = Some(rights);
                self.wrong_passwords = 0;
                info!("{} logged in as {}", self.peer, Escaped(&self.user));
                let read_only = !rights.contains(Rights::WRITE);
                self.done(Reply::LoggedIn { read_only }, turn)
            }
            Poll::Ready(Err(_)) => {
                self.line.take();
                warn!("{} login as {} refused", self.peer, Escaped(&self.user));
                self.user.clear();
                self.wrong_passwords += 1;
                let delay = Duration::from_secs(u64::from(self.wrong_passwords));
                self.work = Work::Penalty(turn.now + delay);
                Step::Next
            }
        }
    }

    pub(super) fn penalty(&mut self, until: Instant, turn: &mut Turn<'_, S>) -> Step {
        if turn.now < until {
            Step::Leave(Action::Wait(Some(until)))
        } else if self.wrong_passwords >= LOGINS_MAX {
            self.close_with(Reply::TooManyFailures, turn)
        } else {
            self.done(Reply::LoginIncorrect, turn)
        }
    }

    pub(super) fn reinitialise(&mut self, turn: &mut Turn<'_, S>) -> Step {
        self.rights = None;
        self.user.clear();
        self.directory.reset();
        self.representation = Representation::Default;
        self.facts = Facts::ALL;
        self.epsv_all = false;
        self.reply(Reply::Ready, turn);
        self.drop_data(turn)
    }

    pub(super) fn print_directory(&mut self, turn: &mut Turn<'_, S>) -> Step {
        Reply::Directory(self.directory.as_path()).send(turn.control);
        Step::Next
    }
}
