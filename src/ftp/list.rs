//! The lines of LIST, NLST and MLSD, and the options of `ls` that clients send with them.

use core::fmt::{self, Write};

use heapless::Vec;

use super::facts::Facts;
use crate::auth::Rights;
use crate::storage::{By, Entry, Kind, Order};
use crate::time::Timestamp;

/// Bytes of the longest line, but for the directory in front of a name: the columns of LIST
/// or the facts of MLSD, and a name of 255 bytes.
pub(super) const ENTRY_MAX: usize = 400;

/// Bytes that a heading has besides the directory.
pub(super) const HEADING_MAX: usize = b"\r\n./:\r\n".len();

/// Bytes of the longest line, a directory in front of the name included.
const LINE_MAX: usize = 1024;

/// A line of a listing, CRLF included.
pub(super) type Line = Vec<u8, LINE_MAX>;

/// How a listing shows an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// LIST: as `ls -l` does, which is what clients parse.
    Long,
    /// NLST: the name alone.
    Names,
    /// MLSD: these facts, for an account with these rights.
    Machine(Facts, Rights),
}

impl Format {
    /// The line of an entry; `prefix` is its directory as seen from the working directory. `None`
    /// if it is too long.
    pub fn line(self, prefix: &[u8], entry: &Entry<'_>, now: Timestamp) -> Option<Line> {
        match self {
            Format::Long => long(entry, now),
            Format::Names => short(prefix, entry),
            Format::Machine(facts, rights) => machine(facts, rights, entry),
        }
    }
}

/// Half a year: `ls -l` shows the time of day for what is newer, the year for what is older.
const RECENT: u64 = 182 * 24 * 60 * 60;

/// `-rw-r--r-- 1 owner group size Mon DD HH:MM name`. `None` if it is too long for a line.
pub(super) fn long(entry: &Entry<'_>, now: Timestamp) -> Option<Line> {
    let mut line = Line::new();
    columns(&mut line, entry, now).ok()?;
    name(&mut line, entry.name)?;
    end(line)
}

/// The path by which RETR finds the entry: `prefix` is the directory as seen from the working
/// directory. `None` if it is too long for a line.
fn short(prefix: &[u8], entry: &Entry<'_>) -> Option<Line> {
    let mut line = Line::new();
    if !prefix.is_empty() && !entry.name.is_empty() {
        name(&mut line, prefix)?;
        if !prefix.ends_with(b"/") {
            line.push(b'/').ok()?;
        }
    }
    name(&mut line, entry.name)?;
    end(line)
}

/// A line of MLSD (RFC 3659 section 7.2). `None` if it is too long for a line.
fn machine(facts: Facts, rights: Rights, entry: &Entry<'_>) -> Option<Line> {
    let mut line = Line::new();
    facts.write(entry, rights, &mut line).ok()?;
    name(&mut line, entry.name)?;
    end(line)
}

fn columns(line: &mut Line, entry: &Entry<'_>, now: Timestamp) -> fmt::Result {
    let (kind, mode) = match entry.kind {
        Kind::File => ('-', entry.mode.unwrap_or(0o644)),
        Kind::Directory => ('d', entry.mode.unwrap_or(0o755)),
        Kind::Link => ('l', 0o777),
        Kind::Other => ('s', entry.mode.unwrap_or(0)),
    };
    line.write_char(kind)?;
    for (shift, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
        line.write_char(if mode >> shift & 1 == 1 { letter } else { '-' })?;
    }
    write!(line, " 1 owner group {:>12} ", entry.size)?;
    date(line, entry.modified, now)
}

fn date(line: &mut Line, modified: Timestamp, now: Timestamp) -> fmt::Result {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = modified.civil();
    let month = MONTHS.get(usize::from(date.month).wrapping_sub(1)).unwrap_or(&"Jan");
    write!(line, "{month} {:2} ", date.day)?;
    let age = now.0.saturating_sub(modified.0);
    // A minute into the future is a clock that is a little off, as `ls` has it.
    if age < RECENT && modified.0 <= now.0.saturating_add(60) {
        write!(line, "{:02}:{:02} ", date.hour, date.minute)
    } else {
        write!(line, "{:5} ", date.year)
    }
}

/// The two lines in front of the entries of a directory below the one that `LIST -R` was given.
/// `directory` is the path as seen from the working directory; as `ls -R` has it, it begins with
/// `./` or `/`, so that no directory's name can look like an entry. `None` if it is too long.
pub(super) fn heading(directory: &[u8]) -> Option<Line> {
    let mut line = Line::new();
    line.extend_from_slice(b"\r\n").ok()?;
    if !directory.starts_with(b"/") {
        line.extend_from_slice(b"./").ok()?;
    }
    name(&mut line, directory)?;
    line.push(b':').ok()?;
    end(line)
}

/// A name, `/` for the root; control characters, which could forge a line, become `?`.
fn name(line: &mut Line, name: &[u8]) -> Option<()> {
    let name = if name.is_empty() { b"/" } else { name };
    let start = line.len();
    line.extend_from_slice(name).ok()?;
    for byte in line.get_mut(start..)? {
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
    Some(())
}

fn end(mut line: Line) -> Option<Line> {
    line.extend_from_slice(b"\r\n").ok()?;
    Some(line)
}

/// What the options of `ls` in front of a path ask for. The others mean nothing here: `-a`
/// because names with a leading dot are always shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// `-t`: newest first; `-S`: largest first; `-r`: the other way round.
    pub order: Order,
    /// `-R`: the directories below as well.
    pub recursive: bool,
    /// `-d`: a directory itself, not what is in it.
    pub itself: bool,
    /// `-l`: in columns, for NLST.
    pub long: bool,
}

impl Options {
    /// None at all.
    pub const NONE: Self =
        Self { order: Order::NAME, recursive: false, itself: false, long: false };

    /// The options that an argument begins with, and the path that follows them. `--` ends them;
    /// a `-` alone is a path.
    pub fn parse(argument: &[u8]) -> (Self, &[u8]) {
        let mut options = Self::NONE;
        let mut rest = argument.trim_ascii_start();
        while let [b'-', _, ..] = rest {
            let end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
            let (word, behind) = rest.split_at_checked(end).unwrap_or_default();
            match word {
                b"-" => break,
                b"--" => return (options, behind.trim_ascii_start()),
                // Those in whole words, `--color`, ask for nothing that is done here.
                [b'-', b'-', ..] => {}
                letters => letters.iter().for_each(|&letter| options.add(letter)),
            }
            rest = behind.trim_ascii_start();
        }
        (options, rest)
    }

    fn add(&mut self, letter: u8) {
        match letter {
            b't' => self.order.by = By::Date,
            b'S' => self.order.by = By::Size,
            b'r' => self.order.reverse = true,
            b'R' => self.recursive = true,
            b'd' => self.itself = true,
            b'l' => self.long = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_219_200); // 2026-11-21 00:00:00

    fn entry(name: &[u8]) -> Entry<'_> {
        Entry { name, kind: Kind::File, size: 123, modified: NOW, mode: None, id: 0 }
    }

    fn text(line: Option<Line>) -> std::string::String {
        std::string::String::from_utf8(line.unwrap().to_vec()).unwrap()
    }

    #[test]
    fn long_lines() {
        let line = |entry: Entry<'_>| text(long(&entry, NOW));
        assert_eq!(
            line(entry(b"a b")),
            "-rw-r--r-- 1 owner group          123 Nov 21 00:00 a b\r\n"
        );
        assert_eq!(
            line(Entry { kind: Kind::Directory, size: 0, ..entry(b"d") }),
            "drwxr-xr-x 1 owner group            0 Nov 21 00:00 d\r\n"
        );
        assert_eq!(
            line(Entry { modified: Timestamp(0), mode: Some(0o600), ..entry(b"old") }),
            "-rw------- 1 owner group          123 Jan  1  1970 old\r\n"
        );
        assert_eq!(
            line(Entry { modified: Timestamp(NOW.0 + 3600), ..entry(b"soon") }),
            "-rw-r--r-- 1 owner group          123 Nov 21  2026 soon\r\n"
        );
    }

    #[test]
    fn no_name_forges_a_line() {
        assert_eq!(text(heading(b"-rw-r--r-- a\r\n")), "\r\n./-rw-r--r-- a??:\r\n");
        assert_eq!(text(short(b"dir", &entry(b"a\r\n226 b\x1b"))), "dir/a??226 b?\r\n");
        assert!(long(&entry(&[b'a'; LINE_MAX]), NOW).is_none());
    }

    #[test]
    fn headings() {
        assert_eq!(text(heading(b"a/b")), "\r\n./a/b:\r\n");
        assert_eq!(text(heading(b"/a/b")), "\r\n/a/b:\r\n");
        assert!(heading(&[b'a'; LINE_MAX]).is_none());
    }

    #[test]
    fn the_root_has_a_name() {
        assert_eq!(text(short(b"/", &entry(b""))), "/\r\n");
        assert_eq!(text(short(b"", &entry(b""))), "/\r\n");
    }

    #[test]
    fn options() {
        let none = Options::NONE;
        let by = |by, reverse| Options { order: Order { by, reverse }, ..none };
        for (argument, options, path) in [
            ("", none, ""),
            ("a b", none, "a b"),
            (" a -R", none, "a -R"),
            ("-a", none, ""),
            ("-a  a", none, "a"),
            ("-1AFhQ a", none, "a"),
            ("-l", Options { long: true, ..none }, ""),
            ("-l -d a", Options { long: true, itself: true, ..none }, "a"),
            ("-laR a", Options { long: true, recursive: true, ..none }, "a"),
            ("-t a", by(By::Date, false), "a"),
            ("-rt", by(By::Date, true), ""),
            ("-r -S", by(By::Size, true), ""),
            ("-St", by(By::Date, false), ""),
            ("-r", by(By::Name, true), ""),
            ("--recursive --sort=size a", none, "a"),
            ("-- -R", none, "-R"),
            ("-r -- -R", by(By::Name, true), "-R"),
            ("--", none, ""),
            ("-", none, "-"),
            ("-r - a", by(By::Name, true), "- a"),
            ("./-R", none, "./-R"),
        ] {
            assert_eq!(
                Options::parse(argument.as_bytes()),
                (options, path.as_bytes()),
                "{argument}"
            );
        }
    }
}
