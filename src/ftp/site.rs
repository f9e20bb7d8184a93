//! SITE: what users of other servers know under that name, none of it in an RFC.

use core::fmt::Write;

use super::Ftp;
use super::command::number;
use super::desk::{Desk, Work};
use super::modify::{BAD_MODE, permissions, split};
use super::reply::{Reply, Text};
use super::session::{Interpreter, Session, Step, Turn};
use crate::auth::{Authenticator, Rights};
use crate::connection::HEADER;
use crate::log::Escaped;
use crate::service::{Action, SessionId};
use crate::storage::Storage;
use crate::stream::Stream;
use crate::time::{Duration, Instant};

/// What SITE does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Site {
    Chmod,
    Help,
    Idle,
    Netstat,
    Umask,
    Utime,
    Who,
}

/// What SITE knows: names, and their arguments.
pub(super) const TABLE: [(Site, &str, &str); 7] = [
    (Site::Chmod, "CHMOD", "mode path"),
    (Site::Help, "HELP", ""),
    (Site::Idle, "IDLE", "[seconds]"),
    (Site::Netstat, "NETSTAT", ""),
    (Site::Umask, "UMASK", "[mode]"),
    (Site::Utime, "UTIME", "date path"),
    (Site::Who, "WHO", ""),
];

/// Sessions that one poll looks at, at most, for SITE WHO.
const SESSIONS_A_POLL: usize = 64;

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    pub(super) fn site(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let (name, rest) = split(argument);
        let row = TABLE.iter().find(|(_, known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        let Some(&(site, name, arguments)) = row else {
            return self.reply(Reply::UNSUPPORTED_PARAMETER, turn);
        };
        match (site, rest.and_then(two), rest.and_then(dated)) {
            (Site::Chmod, Some((mode, path)), _) => self.set_mode(mode, path, turn),
            (Site::Utime, _, Some((date, path))) => self.set_date(date, path, turn),
            (Site::Help, ..) => self.reply(Reply::SiteHelp, turn),
            (Site::Idle, ..) => self.idle_for(rest, turn),
            (Site::Umask, ..) => self.mask(rest, turn),
            (Site::Netstat, ..) => self.inspect(Work::Netstat(0), Reply::NETSTAT_BEGINS, turn),
            (Site::Who, ..) => self.inspect(Work::Who(0), Reply::WHO_BEGINS, turn),
            (Site::Chmod | Site::Utime, ..) => self.reply(Reply::SiteSyntax(name, arguments), turn),
        }
    }

    /// SITE IDLE: how long the session may do nothing, at most what the owner allows.
    fn idle_for(&mut self, seconds: Option<&[u8]>, turn: &mut Turn<'_, S>) -> Step {
        let max = turn.server.config.idle_timeout;
        if let Some(seconds) = seconds {
            let wanted = number(seconds.trim_ascii()).map(Duration::from_secs);
            let Some(wanted) = wanted.filter(|wanted| !wanted.is_zero() && *wanted <= max) else {
                return self
                    .reply(Reply::bad_argument("That is no idle timeout that you may have"), turn);
            };
            self.session.idle_timeout = wanted;
        }
        let reply =
            Reply::IdleTimeout { now: self.session.idle_timeout.as_secs(), max: max.as_secs() };
        self.reply(reply, turn)
    }

    /// SITE UMASK: permission bits that what is new does not get, besides those that the storage
    /// takes away.
    fn mask(&mut self, mode: Option<&[u8]>, turn: &mut Turn<'_, S>) -> Step {
        if let Some(mode) = mode {
            let Some(mode) = permissions(mode) else {
                return self.reply(Reply::bad_argument(BAD_MODE), turn);
            };
            self.session.umask = mode;
        }
        self.reply(Reply::Umask(self.session.umask), turn)
    }

    /// Begins to tell of others, if the account may know of them.
    fn inspect(&mut self, work: Work<S::Job>, begins: Reply<'_>, turn: &mut Turn<'_, S>) -> Step {
        if !self.session.rights.is_some_and(|rights| rights.contains(Rights::INSPECT)) {
            return self.reply(Reply::NO_RIGHT, turn);
        }
        self.desk.work = work;
        self.reply(begins, turn)
    }

    /// Goes on with a reply to SITE NETSTAT: tells what the network has found, or asks for it.
    pub(super) fn tell_connections(&mut self, place: usize, turn: &mut Turn<'_, S>) -> Step {
        let Some(listed) = turn.listed.take() else {
            return Step::Leave(Action::Connections(place));
        };
        self.session.active = turn.now;
        if place == 0 {
            let _ = write!(Text(turn.control), " {HEADER}\r\n");
        }
        if let Some(connection) = &listed.connection {
            let _ = write!(Text(turn.control), " {connection}\r\n");
        }
        match listed.next {
            Some(next) => {
                self.desk.work = Work::Netstat(next);
                Step::Next
            }
            None => self.done(Reply::TABLE_ENDS, turn),
        }
    }
}

impl<S: Storage, A: Authenticator, const N: usize> Ftp<'_, S, A, N> {
    /// Goes on with a reply to SITE WHO, as far as there is room.
    pub(super) fn tell_who(
        &mut self,
        id: SessionId,
        desk: &mut Desk<'_, S::Job, N>,
        control: &mut dyn Stream,
        now: Instant,
    ) {
        let Work::Who(from) = desk.work else { return };
        let mut at = from;
        let has_room = |control: &dyn Stream| control.room() >= Self::REPLY_MAX;
        while let Some(session) = self.sessions.get(at)
            && at - from < SESSIONS_A_POLL
            && has_room(control)
        {
            if session.is_open() {
                let _ = session.tell(now, &mut Text(control));
            }
            at += 1;
        }
        let over = at == self.sessions.len() && has_room(control);
        desk.work = if over { Work::Command } else { Work::Who(at) };
        if over {
            Reply::TABLE_ENDS.send(control);
        }
        if at > from
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.active = now;
        }
    }
}

impl<J, const N: usize> Session<'_, J, N> {
    /// A line about the session, for others.
    fn tell(&self, now: Instant, text: &mut Text<'_>) -> core::fmt::Result {
        let user = if self.rights.is_some() { Escaped(&self.user) } else { Escaped(b"-") };
        write!(text, " {} {user} ", self.peer)?;
        match self.desk.as_deref() {
            Some(Desk { work: Work::Transfer(transfer), verb, .. }) => {
                write!(text, "{verb} {} bytes\r\n", transfer.bytes)
            }
            _ => write!(text, "idle {} s\r\n", now.since(self.active).as_secs()),
        }
    }
}

/// The date and the path of SITE UTIME, which clients write in two ways: `date path`, and
/// `path accessed modified created UTC`.
fn dated(argument: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut words = argument.rsplitn(5, |&b| b == b' ');
    if let (Some(zone), Some(_), Some(date), Some(_), Some(path)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
        && zone.eq_ignore_ascii_case(b"UTC")
    {
        return Some((date, path));
    }
    two(argument)
}

/// The first word, and what is behind it.
fn two(argument: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = split(argument);
    Some((first, rest?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_come_first_or_last() {
        let dated = |text: &'static str| dated(text.as_bytes());
        let expected = Some((&b"20050101000001"[..], &b"a b"[..]));
        assert_eq!(dated("20050101000001 a b"), expected);
        assert_eq!(dated("a b 20050101000000 20050101000001 20050101000002 UTC"), expected);
        assert_eq!(dated("20050101000001"), None);
        assert_eq!(dated("20050101000001 "), None);
    }
}
