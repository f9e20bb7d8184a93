//! Commands that change facts of a file: MFMT and MFF (draft-somers-ftp-mfxx).

use super::command::number;
use super::desk::Then;
use super::reply::Reply;
use super::session::{Interpreter, Step, Turn};
use crate::auth::Rights;
use crate::storage::{Op, Storage};
use crate::time::{Civil, Timestamp};

impl<S: Storage, const N: usize> Interpreter<'_, '_, S, N> {
    /// MFMT: a date, a space, and a path.
    pub(super) fn modify_date(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        match split(argument) {
            (date, Some(path)) => self.set_date(date, path, turn),
            _ => self.reply(Reply::bad_argument("MFMT takes a date and a path"), turn),
        }
    }

    /// MFF: facts, a space, and a path. One fact at a time can be changed.
    pub(super) fn modify_fact(&mut self, argument: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let (facts, Some(path)) = split(argument) else {
            return self.reply(Reply::bad_argument("MFF takes facts and a path"), turn);
        };
        let fact = facts.strip_suffix(b";").unwrap_or(facts);
        let mut parts = fact.splitn(2, |&b| b == b'=');
        match (parts.next().unwrap_or_default(), parts.next()) {
            (name, Some(date)) if name.eq_ignore_ascii_case(b"modify") => {
                self.set_date(date, path, turn)
            }
            (name, Some(mode)) if name.eq_ignore_ascii_case(b"UNIX.mode") => {
                self.set_mode(mode, path, turn)
            }
            _ => self.reply(Reply::UNSUPPORTED_PARAMETER, turn),
        }
    }

    pub(super) fn set_date(&mut self, date: &[u8], path: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let Some(modified) = time_val(date) else {
            return self.reply(Reply::bad_argument("A date is YYYYMMDDHHMMSS"), turn);
        };
        self.operate(
            path,
            Rights::WRITE,
            |path| Op::SetModified { path, modified },
            Then::Dated(modified),
            turn,
        )
    }

    pub(super) fn set_mode(&mut self, mode: &[u8], path: &[u8], turn: &mut Turn<'_, S>) -> Step {
        let Some(mode) = permissions(mode) else {
            return self.reply(Reply::bad_argument(BAD_MODE), turn);
        };
        self.operate(
            path,
            Rights::WRITE,
            |path| Op::SetMode { path, mode },
            Then::Done("Mode changed"),
            turn,
        )
    }
}

/// What is said of a mode that is none.
pub(super) const BAD_MODE: &str = "A mode is three octal digits";

/// The nine permission bits of POSIX, in octal.
pub(super) fn permissions(text: &[u8]) -> Option<u16> {
    let octal = core::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'))?;
    u16::from_str_radix(octal, 8).ok().filter(|&mode| mode <= 0o777)
}

/// The first word, and what follows the space behind it.
pub(super) fn split(argument: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut words = argument.splitn(2, |&b| b == b' ');
    let first = words.next().unwrap_or_default();
    (first, words.next().filter(|rest| !rest.is_empty()))
}

/// A date on the wire, `YYYYMMDDHHMMSS` and perhaps a fraction, in UTC (RFC 3659 section 2.3).
pub(super) fn time_val(text: &[u8]) -> Option<Timestamp> {
    let (date, fraction) = match text.split_at_checked(14)? {
        (date, []) => (date, &b"0"[..]),
        (date, [b'.', fraction @ ..]) => (date, fraction),
        _ => return None,
    };
    number(fraction)?;
    let field = |range: core::ops::Range<usize>| number(date.get(range)?);
    let small = |range| u8::try_from(field(range)?).ok();
    Civil {
        year: field(0..4)?,
        month: small(4..6)?,
        day: small(6..8)?,
        hour: small(8..10)?,
        minute: small(10..12)?,
        second: small(12..14)?,
    }
    .timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(time_val(b"20000229000000"), Some(Timestamp(951_782_400)));
        assert_eq!(time_val(b"20000229000000.123"), Some(Timestamp(951_782_400)));
        for bad in ["", "2000022900000", "200002290000000", "20000230000000", "2000022900000x"] {
            assert_eq!(time_val(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(time_val(b"20000229000000."), None);
    }
}
