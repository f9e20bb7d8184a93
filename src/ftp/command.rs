//! The verb table, and how a line becomes a command.
//!
//! What the server knows of a verb is in its row: HELP, FEAT, the login check and the
//! argument check are derived from it.

use core::fmt;

use super::hash::Algorithm;
use Argument::{Absent, Optional, Required};

/// What a command does. Several verbs may mean the same (`XPWD` is `PWD`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Abor,
    Acct,
    Allo,
    Appe,
    Avbl,
    Cdup,
    /// XCRC and the like.
    Checksum(Algorithm),
    Clnt,
    Csid,
    Cwd,
    Dele,
    Eprt,
    Epsv,
    Feat,
    Hash,
    Help,
    Host,
    Lang,
    List,
    Mdtm,
    Mff,
    Mfmt,
    Mkd,
    Mlsd,
    Mlst,
    Mode,
    Nlst,
    Noop,
    Opts,
    Pass,
    Pasv,
    Port,
    Pwd,
    Quit,
    Rang,
    Rein,
    Rest,
    Retr,
    Rmd,
    Rnfr,
    Rnto,
    Site,
    Size,
    Stat,
    Stor,
    Stou,
    Stru,
    Syst,
    Type,
    User,
    /// Known from an RFC, not implemented: 502.
    Unsupported,
}

impl Verb {
    /// The verb on the wire, or the one that all with its meaning share.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.verb == self).map_or("?", |row| row.name)
    }

    /// What the verb transfers, for the preliminary reply.
    pub fn noun(self) -> &'static str {
        match self {
            Verb::List | Verb::Mlsd | Verb::Nlst => "the listing",
            _ => "the file",
        }
    }

    /// Whether the verb moves data over the data connection.
    pub fn uses_data(self) -> bool {
        use Verb::{Appe, List, Mlsd, Nlst, Retr, Stor, Stou};
        matches!(self, Appe | List | Mlsd | Nlst | Retr | Stor | Stou)
    }

    /// Whether the verb changes the name, the date or the mode of what is at a path.
    pub fn changes_entry(self) -> bool {
        use Verb::{Dele, Mff, Mfmt, Rmd, Rnfr, Rnto, Site};
        matches!(self, Dele | Rmd | Rnfr | Rnto | Mfmt | Mff | Site)
    }

    /// Whether the verb is for the bytes that REST or RANG said.
    pub fn uses_restart(self) -> bool {
        matches!(self, Verb::Retr | Verb::Stor | Verb::Appe | Verb::Hash)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether a verb takes an argument, and how HELP writes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument {
    Absent,
    Optional(&'static str),
    Required(&'static str),
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    /// The verb, in upper case.
    pub name: &'static str,
    /// What it does.
    pub verb: Verb,
    /// Whether it takes an argument.
    pub argument: Argument,
    /// Whether it needs a login.
    pub login: bool,
    /// Whether it is answered while a transfer runs; the others wait until it is over.
    pub immediate: bool,
    /// Whether a REST or RANG before it stays valid for the command after it. RFC 959 wants the
    /// transfer command next; clients set up the data connection in between.
    pub keeps_restart: bool,
    /// Its line in the reply to FEAT (RFC 2389).
    pub feature: Option<&'static str>,
}

const fn row(name: &'static str, verb: Verb, argument: Argument) -> Row {
    let (login, immediate, keeps_restart, feature) = (true, false, false, None);
    Row { name, verb, argument, login, immediate, keeps_restart, feature }
}

impl Row {
    const fn before_login(self) -> Self {
        Self { login: false, ..self }
    }

    const fn immediate(self) -> Self {
        Self { immediate: true, ..self }
    }

    const fn keeps_restart(self) -> Self {
        Self { keeps_restart: true, ..self }
    }

    const fn feature(self, line: &'static str) -> Self {
        Self { feature: Some(line), ..self }
    }
}

/// Every verb that is known, in alphabetical order.
pub(super) static TABLE: &[Row] = &[
    row("ABOR", Verb::Abor, Absent).immediate(),
    row("ACCT", Verb::Acct, Required("account")).before_login(),
    row("ALLO", Verb::Allo, Required("bytes")),
    row("APPE", Verb::Appe, Required("path")),
    row("AUTH", Verb::Unsupported, Optional("[mechanism]")).before_login(),
    row("AVBL", Verb::Avbl, Optional("[path]")).feature("AVBL"),
    row("CDUP", Verb::Cdup, Absent),
    row("CLNT", Verb::Clnt, Required("name")).before_login().feature("CLNT"),
    row("CSID", Verb::Csid, Required("facts")).before_login().feature("CSID"),
    row("CWD", Verb::Cwd, Required("path")).feature("TVFS"),
    row("DELE", Verb::Dele, Required("path")),
    row("EPRT", Verb::Eprt, Required("|protocol|address|port|")).keeps_restart().feature("EPRT"),
    row("EPSV", Verb::Epsv, Optional("[protocol or ALL]")).keeps_restart().feature("EPSV"),
    row("FEAT", Verb::Feat, Absent).before_login(),
    row("HASH", Verb::Hash, Required("path")).feature("HASH"),
    row("HELP", Verb::Help, Optional("[verb]")).before_login(),
    row("HOST", Verb::Host, Required("name")).before_login().feature("HOST"),
    row("LANG", Verb::Lang, Optional("[tag]")).before_login().feature("LANG EN*"),
    row("LIST", Verb::List, Optional("[options] [path]")),
    row("MDTM", Verb::Mdtm, Required("path")).feature("MDTM"),
    row("MFF", Verb::Mff, Required("fact=value; path")).feature("MFF modify;UNIX.mode;"),
    row("MFMT", Verb::Mfmt, Required("date path")).feature("MFMT"),
    row("MKD", Verb::Mkd, Required("path")),
    row("MLSD", Verb::Mlsd, Optional("[path]")),
    row("MLST", Verb::Mlst, Optional("[path]")).feature("MLST"),
    row("MODE", Verb::Mode, Required("S or Z")).keeps_restart().feature("MODE Z"),
    row("NLST", Verb::Nlst, Optional("[options] [path]")),
    row("NOOP", Verb::Noop, Optional("[anything]")).before_login().immediate().keeps_restart(),
    row("OPTS", Verb::Opts, Required("option value")).before_login().feature("UTF8"),
    row("PASS", Verb::Pass, Optional("[password]")).before_login(),
    row("PASV", Verb::Pasv, Absent).keeps_restart(),
    row("PBSZ", Verb::Unsupported, Optional("[bytes]")).before_login(),
    row("PORT", Verb::Port, Required("h1,h2,h3,h4,p1,p2")).keeps_restart(),
    row("PROT", Verb::Unsupported, Optional("[level]")).before_login(),
    row("PWD", Verb::Pwd, Absent),
    row("QUIT", Verb::Quit, Absent).before_login(),
    row("RANG", Verb::Rang, Required("first last")).keeps_restart().feature("RANG STREAM"),
    row("REIN", Verb::Rein, Absent).before_login(),
    row("REST", Verb::Rest, Required("offset")).keeps_restart().feature("REST STREAM"),
    row("RETR", Verb::Retr, Required("path")),
    row("RMD", Verb::Rmd, Required("path")),
    row("RNFR", Verb::Rnfr, Required("path")),
    row("RNTO", Verb::Rnto, Required("path")),
    row("SITE", Verb::Site, Required("command")),
    row("SIZE", Verb::Size, Required("path")).keeps_restart().feature("SIZE"),
    row("SMNT", Verb::Unsupported, Optional("[path]")),
    row("STAT", Verb::Stat, Optional("[path]")).immediate(),
    row("STOR", Verb::Stor, Required("path")),
    row("STOU", Verb::Stou, Optional("[path]")),
    row("STRU", Verb::Stru, Required("F")).keeps_restart(),
    row("SYST", Verb::Syst, Absent).before_login(),
    row("TYPE", Verb::Type, Required("A, I or L 8")),
    row("USER", Verb::User, Required("name")).before_login(),
    row("XCRC", Verb::Checksum(Algorithm::Crc32), Required("path [start end]")).feature("XCRC"),
    row("XCUP", Verb::Cdup, Absent),
    row("XCWD", Verb::Cwd, Required("path")),
    #[cfg(feature = "hash")]
    row("XMD5", Verb::Checksum(Algorithm::Md5), Required("path [start end]")).feature("XMD5"),
    row("XMKD", Verb::Mkd, Required("path")),
    row("XPWD", Verb::Pwd, Absent),
    row("XRMD", Verb::Rmd, Required("path")),
    #[cfg(feature = "hash")]
    row("XSHA1", Verb::Checksum(Algorithm::Sha1), Required("path [start end]")).feature("XSHA1"),
    #[cfg(feature = "hash")]
    row("XSHA256", Verb::Checksum(Algorithm::Sha256), Required("path [start end]"))
        .feature("XSHA256"),
];

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// There is no such verb.
    Unknown,
    /// The verb wants an argument and has none, or has one that it does not take.
    Argument,
}

/// Looks a verb up, in whatever case (RFC 959 section 5.3).
pub(super) fn find(name: &[u8]) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name))
}

/// A line, without its end, as the row of its verb and the argument. One space divides them;
/// any further one belongs to the argument, as a name may begin with it.
pub(super) fn parse(line: &[u8]) -> Result<(&'static Row, &[u8]), Malformed> {
    let mut parts = line.splitn(2, |&b| b == b' ');
    let name = parts.next().unwrap_or_default();
    let argument = parts.next().unwrap_or_default();
    let row = find(name).ok_or(Malformed::Unknown)?;
    match (row.argument, argument) {
        (Required(_), []) => Err(Malformed::Argument),
        (Absent, argument) if !argument.trim_ascii().is_empty() => Err(Malformed::Argument),
        _ => Ok((row, argument)),
    }
}

/// A non-negative decimal number; `None` if it is none or does not fit.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(line: &[u8]) -> Result<(Verb, &[u8]), Malformed> {
        parse(line).map(|(row, argument)| (row.verb, argument))
    }

    #[test]
    fn lines() {
        assert_eq!(verb(b"NOOP"), Ok((Verb::Noop, &b""[..])));
        assert_eq!(verb(b"retr  two  spaces "), Ok((Verb::Retr, &b" two  spaces "[..])));
        assert_eq!(verb(b"xPwD"), Ok((Verb::Pwd, &b""[..])));
        assert_eq!(verb(b"PWD "), Ok((Verb::Pwd, &b""[..])));
        assert_eq!(verb(b"PWD x"), Err(Malformed::Argument));
        assert_eq!(verb(b"RETR"), Err(Malformed::Argument));
        assert_eq!(verb(b""), Err(Malformed::Unknown));
        assert_eq!(verb(b" PWD"), Err(Malformed::Unknown));
        assert_eq!(verb(b"RETRIEVE x"), Err(Malformed::Unknown));
        assert_eq!(verb(b"\xff\xfe"), Err(Malformed::Unknown));
    }

    #[cfg(feature = "hash")]
    #[test]
    fn the_readme_names_every_verb() {
        let is_of_a_verb = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        let readme = include_str!("../../README.md");
        let section = readme.split("## Commands").nth(1).unwrap().split("\n## ").next().unwrap();
        let mut named: std::vec::Vec<_> = section
            .split('`')
            .filter(|word| !word.is_empty() && word.bytes().all(is_of_a_verb))
            .collect();
        named.sort_unstable();
        let verbs: std::vec::Vec<_> = TABLE.iter().map(|row| row.name).collect();
        assert_eq!(named, verbs);
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for bad in ["18446744073709551616", "", "-1", "+1", " 1", "1 ", "0x1"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }
}
