//! Facts of files, for MLST and MLSD (RFC 3659 section 7).

use core::fmt::{self, Write};

use crate::auth::Rights;
use crate::storage::{Entry, Kind};
use crate::time::Timestamp;

/// A set of facts: those that a client wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts(u8);

/// The facts that are known, in the order in which they are told.
const NAMES: [&str; 6] = ["type", "size", "modify", "perm", "unique", "UNIX.mode"];

impl Facts {
    /// All that are known: what a client gets that has not chosen.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The facts of an OPTS MLST argument, `size;type;`; those that are not known are passed
    /// over (RFC 3659 section 7.9).
    pub fn parse(argument: &[u8]) -> Self {
        let mut chosen = 0;
        for wanted in argument.split(|&b| b == b';') {
            let known = NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(wanted));
            chosen |= known.map_or(0, |at| 1 << at);
        }
        Self(chosen)
    }

    /// The names of the facts in the set.
    fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |&(at, _)| self.0 >> at & 1 == 1).map(|(_, n)| n)
    }

    /// The set as FEAT tells it: all that are known, with a star at those that are chosen.
    pub fn write_feature(self, out: &mut impl Write) -> fmt::Result {
        for (at, name) in NAMES.iter().enumerate() {
            let star = if self.0 >> at & 1 == 1 { "*" } else { "" };
            write!(out, "{name}{star};")?;
        }
        Ok(())
    }

    /// The facts of an entry, with the space that divides them from the name.
    pub fn write(self, entry: &Entry<'_>, rights: Rights, out: &mut impl Write) -> fmt::Result {
        for name in self.names() {
            match name {
                "type" => write!(out, "type={};", kind(entry.kind))?,
                "size" if entry.kind == Kind::File => write!(out, "size={};", entry.size)?,
                "modify" => write!(out, "modify={};", TimeVal(entry.modified))?,
                "perm" => write_permissions(entry.kind, rights, out)?,
                "unique" => write!(out, "unique={:x};", entry.id)?,
                "UNIX.mode" => {
                    if let Some(mode) = entry.mode {
                        write!(out, "UNIX.mode=0{mode:03o};")?;
                    }
                }
                _ => {}
            }
        }
        out.write_char(' ')
    }
}

/// The names of the chosen facts, as the reply to OPTS MLST tells them: with a space in front
/// unless there is none (RFC 3659 section 7.9).
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self != Self(0) {
            f.write_char(' ')?;
        }
        self.names().try_for_each(|name| write!(f, "{name};"))
    }
}

/// RFC 3659 section 7.5.1. What is neither file nor directory has no type there; it is given
/// one of this system's own, as section 7.5.1.5 has it.
fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "dir",
        Kind::Link => "OS.unix=slink",
        Kind::Other => "OS.unix=other",
    }
}

/// RFC 3659 section 7.5.5: what the account may do with an entry, a letter for each.
fn write_permissions(kind: Kind, rights: Rights, out: &mut impl Write) -> fmt::Result {
    let letters: &[(char, Rights)] = match kind {
        Kind::File => &[
            ('a', Rights::APPEND),
            ('d', Rights::DELETE),
            ('f', Rights::RENAME),
            ('r', Rights::READ),
            ('w', Rights::WRITE),
        ],
        Kind::Directory => &[
            ('c', Rights::WRITE),
            ('d', Rights::DELETE),
            ('e', Rights::NONE),
            ('f', Rights::RENAME),
            ('l', Rights::LIST),
            ('m', Rights::MAKE_DIRECTORY),
            ('p', Rights::DELETE),
        ],
        Kind::Link | Kind::Other => &[('d', Rights::DELETE), ('f', Rights::RENAME)],
    };
    out.write_str("perm=")?;
    for &(letter, needed) in letters {
        if rights.contains(needed) {
            out.write_char(letter)?;
        }
    }
    out.write_char(';')
}

/// A date on the wire, `YYYYMMDDHHMMSS` in UTC (RFC 3659 section 2.3).
pub(super) struct TimeVal(pub Timestamp);

impl fmt::Display for TimeVal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.0.civil();
        let (year, month, day) = (d.year, d.month, d.day);
        write!(f, "{year:04}{month:02}{day:02}{:02}{:02}{:02}", d.hour, d.minute, d.second)
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    fn told(facts: Facts, entry: &Entry<'_>, rights: Rights) -> String {
        let mut out = String::new();
        facts.write(entry, rights, &mut out).unwrap();
        out
    }

    #[test]
    fn facts_of_entries() {
        let file = Entry {
            name: b"a",
            kind: Kind::File,
            size: 42,
            modified: Timestamp(951_782_400),
            mode: Some(0o640),
            id: 0x1f,
        };
        assert_eq!(
            told(Facts::ALL, &file, Rights::ALL),
            "type=file;size=42;modify=20000229000000;perm=adfrw;unique=1f;UNIX.mode=0640; "
        );
        assert_eq!(told(Facts::parse(b"perm;SIZE"), &file, Rights::READ_ONLY), "size=42;perm=r; ");
        let directory = Entry { kind: Kind::Directory, size: 0, mode: None, ..file };
        assert_eq!(
            told(Facts::ALL, &directory, Rights::READ_ONLY),
            "type=dir;modify=20000229000000;perm=el;unique=1f; "
        );
        assert_eq!(told(Facts::parse(b""), &file, Rights::ALL), " ");
    }

    #[test]
    fn chosen_facts() {
        assert_eq!(std::format!("{}", Facts::parse(b"Unix.Mode;bogus;type")), " type;UNIX.mode;");
        let mut out = String::new();
        Facts::parse(b"size;").write_feature(&mut out).unwrap();
        assert_eq!(out, "type;size*;modify;perm;unique;UNIX.mode;");
    }
}
