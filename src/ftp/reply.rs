//! Replies: every code and text, but for what STAT reports (`report`).
//!
//! Codes are those of RFC 959 section 4.2, RFC 2389, 2428 and 3659. Each reply is
//! queued as a whole, so that it leaves in one segment where it fits one.

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::address::HostPort;
use super::command::{Argument, Row, TABLE, Verb};
use super::facts::{Facts, TimeVal};
use super::hash::{Algorithm, Sum};
use super::line::IAC;
use super::range::Range;
use super::site;
use crate::auth::{Rights, WELCOME_MAX};
use crate::log::Escaped;
use crate::service::DataError;
use crate::storage::{Entry, Error, Path};
use crate::stream::Stream;
use crate::time::Timestamp;

/// A reply to a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply<'a> {
    // Preliminary.
    Opening { what: &'a str, size: Option<u64> },
    OpeningUnique(&'a [u8]),
    // Completion.
    Ok(&'a str),
    Superfluous,
    Features { facts: Facts, algorithm: Algorithm, deflate: bool },
    Help,
    HelpOn(&'static Row),
    StatusBegins,
    StatusEnds,
    Facts { size: u64 },
    Modified(Timestamp),
    Dated(Timestamp, Path<'a>),
    Hashed { algorithm: Algorithm, first: u64, last: u64, sum: &'a Sum, path: Path<'a> },
    Checksum(&'a Sum),
    SiteHelp,
    IdleTimeout { now: u64, max: u64 },
    Umask(u16),
    Level(u8),
    WhoBegins,
    WhoEnds,
    System,
    Ready,
    HostKnown,
    Goodbye,
    Complete,
    CutOff,
    AbortDone,
    Passive(Ipv4Addr, u16),
    ExtendedPassive(u16),
    LoggedIn { read_only: bool, welcome: &'a str },
    Done(&'a str),
    Directory(Path<'a>),
    Made(Path<'a>),
    Entry(Path<'a>, Entry<'a>, Facts, Rights),
    Selected(Facts),
    // Intermediate.
    NeedPassword,
    RestartAt(u64),
    Ranged(Range),
    NeedNewName,
    // Transient negative.
    TooManySessions,
    TooManyFromAddress,
    Idle,
    ShuttingDown,
    TooManyFailures,
    NoDataConnection { fault: DataFault, ports: (u16, u16) },
    NotOpened { peer: IpAddr, port: u16, ports: (u16, u16) },
    NoAnswer(SocketAddr),
    UsePassiveSix,
    Aborted(&'a str),
    // Permanent negative.
    TooLong,
    Unknown,
    BadArgument(&'a str),
    SiteSyntax(&'a str, &'a str),
    Unsupported,
    OutOfOrder(&'a str),
    UnsupportedParameter,
    NoCodec,
    ForeignAddress,
    NotLoggedIn,
    LoginIncorrect,
    TooManyOfAccount,
    NoRoot,
    UseProtocol(u64),
    NoRight,
    Failed(Error),
    NotAFile,
    AsciiSize,
    UploadTooLarge { max: u64 },
    RangedStore,
}

/// Why a transfer had no data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataFault {
    /// The network says so.
    Net(DataError),
    /// It did not come about in time.
    TimedOut,
    /// EPSV ALL was said, and no EPSV.
    NoEpsv,
}

impl Reply<'_> {
    /// Queues the reply. The caller has seen to it that there is room.
    pub fn send(self, control: &mut dyn Stream) {
        let mut text = Text(control);
        // Text never fails: what does not fit is the caller's fault and cut off.
        let _ = match self {
            Reply::Features { facts, algorithm, deflate } => {
                features(&mut text, facts, algorithm, deflate)
            }
            Reply::Entry(path, entry, facts, rights) => {
                machine_entry(&mut text, path, &entry, facts, rights)
            }
            Reply::Help => help(&mut text),
            Reply::Directory(path) => quoted(&mut text, path, "is the current directory"),
            Reply::Made(path) => quoted(&mut text, path, "created"),
            Reply::Dated(date, path) => dated(&mut text, date, path),
            Reply::LoggedIn { welcome, .. } => {
                greet(&mut text, self.code(), welcome).and_then(|()| self.line(&mut text))
            }
            Reply::StatusBegins | Reply::WhoBegins => write!(text, "{}-{self}\r\n", self.code()),
            Reply::Hashed { path, .. } => hashed(&mut text, self, path),
            _ => self.line(&mut text),
        };
    }

    /// The last line of a reply, or the only one.
    fn line(self, text: &mut Text<'_>) -> fmt::Result {
        write!(text, "{} {self}\r\n", self.code())
    }

    /// The reply code (RFC 959 section 4.2.1).
    pub fn code(self) -> u16 {
        match self {
            Reply::Opening { .. } | Reply::OpeningUnique(_) => 150,
            Reply::Ok(_) | Reply::Selected(_) => 200,
            Reply::IdleTimeout { .. } | Reply::Umask(_) | Reply::Level(_) => 200,
            Reply::Superfluous => 202,
            Reply::Features { .. } | Reply::WhoBegins | Reply::WhoEnds => 211,
            Reply::StatusBegins | Reply::StatusEnds => 212,
            Reply::Facts { .. } | Reply::Modified(_) | Reply::Dated(..) => 213,
            Reply::Hashed { .. } => 213,
            Reply::Help | Reply::HelpOn(_) | Reply::SiteHelp => 214,
            Reply::System => 215,
            Reply::Ready | Reply::HostKnown => 220,
            Reply::Goodbye => 221,
            Reply::Complete | Reply::CutOff | Reply::AbortDone => 226,
            Reply::Passive(..) => 227,
            Reply::ExtendedPassive(_) => 229,
            Reply::LoggedIn { .. } => 230,
            Reply::Done(_) | Reply::Entry(..) | Reply::Checksum(_) => 250,
            Reply::Directory(_) | Reply::Made(_) => 257,
            Reply::NeedPassword => 331,
            Reply::RestartAt(_) | Reply::Ranged(_) | Reply::NeedNewName => 350,
            Reply::TooManySessions | Reply::TooManyFromAddress | Reply::Idle => 421,
            Reply::ShuttingDown | Reply::TooManyFailures => 421,
            Reply::NoDataConnection { .. } | Reply::NotOpened { .. } => 425,
            Reply::NoAnswer(_) => 425,
            Reply::UsePassiveSix => 425,
            Reply::Aborted(_) => 426,
            Reply::TooLong | Reply::Unknown => 500,
            Reply::BadArgument(_) | Reply::SiteSyntax(..) => 501,
            Reply::Unsupported => 502,
            Reply::OutOfOrder(_) => 503,
            // RFC 2577 section 3.
            Reply::UnsupportedParameter | Reply::NoCodec | Reply::ForeignAddress => 504,
            Reply::UseProtocol(_) => 522,
            Reply::NotLoggedIn | Reply::LoginIncorrect => 530,
            Reply::TooManyOfAccount | Reply::NoRoot => 530,
            Reply::NoRight | Reply::NotAFile | Reply::AsciiSize => 550,
            Reply::UploadTooLarge { .. } => 552,
            // RFC 3659 section 5.2.
            Reply::RangedStore => 554,
            Reply::Failed(error) => storage_code(error),
        }
    }
}

/// The codes for what a storage may answer (RFC 959 section 5.4: 450, 451, 452 are worth
/// another try, 550, 552 and 553 are not).
fn storage_code(error: Error) -> u16 {
    match error {
        Error::Busy => 450,
        Error::Io => 451,
        Error::Full => 452,
        Error::OverQuota => 552,
        Error::BadName => 553,
        Error::BadOffset => 554,
        Error::NotFound
        | Error::Denied
        | Error::Exists
        | Error::NotADirectory
        | Error::IsADirectory
        | Error::NotEmpty => 550,
    }
}

/// The text of a reply of one line.
impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Reply::Opening { what, size: None } => {
                return write!(f, "Opening data connection for {what}");
            }
            Reply::Opening { what, size: Some(size) } => {
                return write!(f, "Opening data connection for {what} ({size} bytes)");
            }
            // RFC 1123 section 4.1.2.9.
            Reply::OpeningUnique(name) => return write!(f, "FILE: {}", Escaped(name)),
            Reply::Selected(facts) => return write!(f, "MLST OPTS{facts}"),
            Reply::Facts { size } => return write!(f, "{size}"),
            Reply::Dated(date, _) => return write!(f, "Modify={}", TimeVal(date)),
            Reply::Hashed { algorithm, first, last, sum, .. } => {
                return write!(f, "{} {first}-{last} {sum:x}", algorithm.name());
            }
            Reply::Checksum(sum) => return write!(f, "{sum:X}"),
            Reply::Modified(date) => return write!(f, "{}", TimeVal(date)),
            Reply::HelpOn(row) => return help_on(f, row),
            Reply::SiteHelp => return site_help(f),
            Reply::SiteSyntax(name, arguments) => {
                return write!(f, "Syntax: SITE {name} {arguments}");
            }
            Reply::Level(level) => return write!(f, "MODE Z has LEVEL {level}"),
            Reply::Umask(mask) => return write!(f, "New files do not get the bits {mask:03o}"),
            Reply::IdleTimeout { now, max } => {
                return write!(f, "Closed when idle for {now} s (at most {max})");
            }
            Reply::Passive(address, port) => {
                return write!(f, "Entering passive mode ({})", HostPort(address, port));
            }
            Reply::ExtendedPassive(port) => {
                return write!(f, "Entering extended passive mode (|||{port}|)");
            }
            Reply::RestartAt(offset) => {
                return write!(f, "Restarting at {offset}; now RETR, STOR or APPE");
            }
            Reply::Ranged(range) => return write!(f, "Next RETR or HASH: {range}"),
            Reply::UseProtocol(n) => return write!(f, "Network protocol not supported, use ({n})"),
            Reply::NotOpened { peer, port, ports: (first, last) } => {
                return write!(
                    f,
                    "No connection from {peer} to port {port}, one of {first}-{last}, came in time"
                );
            }
            Reply::NoAnswer(target) => return write!(f, "No answer from {target}"),
            Reply::UploadTooLarge { max } => {
                return write!(f, "An upload has at most {max} bytes here");
            }
            Reply::NoDataConnection {
                fault: DataFault::Net(DataError::NoPort),
                ports: (first, last),
            } => return write!(f, "All ports from {first} to {last} are in use, try again"),
            Reply::NoDataConnection { fault, .. } => data_fault(fault),
            Reply::Failed(error) => storage_text(error),
            Reply::Ok(text)
            | Reply::Done(text)
            | Reply::Aborted(text)
            | Reply::BadArgument(text)
            | Reply::OutOfOrder(text) => text,
            _ => self.fixed_text(),
        };
        f.write_str(text)
    }
}

impl Reply<'_> {
    fn fixed_text(self) -> &'static str {
        match self {
            Reply::StatusBegins => "Listing:",
            Reply::WhoBegins => "Sessions:",
            Reply::StatusEnds | Reply::WhoEnds => "End",
            Reply::Superfluous => "Not needed here",
            Reply::System => "UNIX Type: L8",
            Reply::Ready => "tinyftp ready",
            Reply::HostKnown => "Host accepted",
            Reply::Goodbye => "Goodbye",
            Reply::Complete => "Transfer complete",
            Reply::CutOff => "The listing was cut off: too many entries, or a path too long",
            Reply::AbortDone => "Abort successful",
            Reply::LoggedIn { read_only: false, .. } => "Logged in",
            Reply::LoggedIn { read_only: true, .. } => "Logged in, read only",
            Reply::NeedPassword => "Password please",
            Reply::NeedNewName => "Now RNTO with the new name",
            Reply::TooManySessions => "Too many sessions, try again later",
            Reply::TooManyFromAddress => "Too many sessions from your address, try again later",
            Reply::Idle => "Idle for too long, closing",
            Reply::ShuttingDown => "The server is shutting down",
            Reply::TooManyFailures => "Too many failures, closing",
            Reply::UsePassiveSix => "PASV is for IPv4, use EPSV",
            Reply::TooLong => "Line too long",
            Reply::Unknown => "Unknown command",
            Reply::Unsupported => "Command not implemented",
            Reply::UnsupportedParameter => "Not implemented for that parameter",
            Reply::NoCodec => "All compressors are in use, try again or use MODE S",
            Reply::ForeignAddress => "Only your own address, and a port from 1024, may be named",
            Reply::NotLoggedIn => "Log in with USER and PASS first",
            Reply::LoginIncorrect => "Login incorrect",
            Reply::TooManyOfAccount => "Too many sessions of this account, try again later",
            Reply::NoRoot => "The directory of this account cannot be entered",
            Reply::NoRight => "Permission denied: this account may not do that",
            Reply::NotAFile => "Not a plain file",
            Reply::RangedStore => "RANG is for RETR and HASH; to store, REST says where to begin",
            Reply::AsciiSize => "SIZE is not known in TYPE A, use TYPE I",
            // These are written by `send` and `fmt`.
            Reply::Opening { .. }
            | Reply::OpeningUnique(_)
            | Reply::Ok(_)
            | Reply::Features { .. }
            | Reply::Help
            | Reply::HelpOn(_)
            | Reply::SiteHelp
            | Reply::SiteSyntax(..)
            | Reply::IdleTimeout { .. }
            | Reply::Umask(_)
            | Reply::Level(_)
            | Reply::Facts { .. }
            | Reply::Modified(_)
            | Reply::Dated(..)
            | Reply::Hashed { .. }
            | Reply::Checksum(_)
            | Reply::Passive(..)
            | Reply::ExtendedPassive(_)
            | Reply::Done(_)
            | Reply::Directory(_)
            | Reply::Made(_)
            | Reply::Entry(..)
            | Reply::Selected(_)
            | Reply::RestartAt(_)
            | Reply::Ranged(_)
            | Reply::NoDataConnection { .. }
            | Reply::NotOpened { .. }
            | Reply::NoAnswer(_)
            | Reply::Aborted(_)
            | Reply::BadArgument(_)
            | Reply::OutOfOrder(_)
            | Reply::UseProtocol(_)
            | Reply::UploadTooLarge { .. }
            | Reply::Failed(_) => "",
        }
    }
}

fn storage_text(error: Error) -> &'static str {
    match error {
        Error::NotFound => "No such file or directory",
        Error::Denied => "Permission denied",
        Error::Exists => "It exists already",
        Error::NotADirectory => "Not a directory",
        Error::IsADirectory => "Is a directory",
        Error::NotEmpty => "Directory not empty",
        Error::BadName => "File name not allowed",
        Error::BadOffset => "The offset lies past the end of the file",
        Error::Full => "No space left",
        Error::OverQuota => "Quota exceeded",
        Error::Busy => "Busy, try again",
        Error::Io => "Storage error",
    }
}

fn data_fault(fault: DataFault) -> &'static str {
    match fault {
        DataFault::Net(DataError::NoSlot) => "All data connections are in use, try again",
        DataFault::Net(DataError::NoPort) => "All ports are in use, try again",
        DataFault::Net(DataError::Unreachable) => "No route to your data port",
        DataFault::Net(DataError::Refused) => "Your data port did not accept the connection",
        DataFault::TimedOut => "There is no data connection",
        DataFault::NoEpsv => "EPSV ALL was said: EPSV first",
    }
}

fn help_on(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let name = row.name;
    match (row.verb, row.argument) {
        (Verb::Unsupported, _) => write!(f, "{name} is not implemented"),
        (_, Argument::Absent) => write!(f, "Syntax: {name}"),
        (_, Argument::Optional(what)) => write!(f, "Syntax: {name} [{what}]"),
        (_, Argument::Required(what)) => write!(f, "Syntax: {name} {what}"),
    }
}

fn site_help(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("SITE knows ")?;
    for (at, (name, arguments)) in site::SYNTAX.iter().enumerate() {
        let (comma, space) =
            (if at == 0 { "" } else { ", " }, if arguments.is_empty() { "" } else { " " });
        write!(f, "{comma}{name}{space}{arguments}")?;
    }
    Ok(())
}

/// RFC 2389 section 3.2: a line for each feature, indented by one space.
fn features(text: &mut Text<'_>, facts: Facts, algorithm: Algorithm, deflate: bool) -> fmt::Result {
    text.write_str("211-Features:\r\n")?;
    for row in TABLE {
        let Some(line) = row.feature.filter(|_| row.verb != Verb::Mode || deflate) else {
            continue;
        };
        write!(text, " {line}")?;
        match row.verb {
            Verb::Mlst => {
                text.write_char(' ')?;
                facts.write_feature(text)?;
            }
            Verb::Hash => {
                text.write_char(' ')?;
                algorithm.write_feature(text)?;
            }
            _ => {}
        }
        text.write_str("\r\n")?;
    }
    text.write_str("211 End\r\n")
}

/// RFC 959 section 4.1.3: all verbs; those that are not implemented have a star.
fn help(text: &mut Text<'_>) -> fmt::Result {
    text.write_str("214-Commands (* are not implemented):\r\n")?;
    for row in TABLE.chunks(12) {
        for command in row {
            let star = if command.verb == Verb::Unsupported { "*" } else { "" };
            write!(text, " {}{star}", command.name)?;
        }
        text.write_str("\r\n")?;
    }
    text.write_str("214 End\r\n")
}

/// Lines in front of the last one (RFC 959 section 4.2), each with the code, so that none can
/// be taken for the last.
fn greet(text: &mut Text<'_>, code: u16, lines: &str) -> fmt::Result {
    let mut told = 0;
    for line in lines.lines() {
        told += line.len() + "230-\r\n".len();
        if told > WELCOME_MAX {
            break;
        }
        write!(text, "{code}-{line}\r\n")?;
    }
    Ok(())
}

/// The reply to MLST (RFC 3659 section 7.2): a line of facts and the path.
fn machine_entry(
    text: &mut Text<'_>,
    path: Path<'_>,
    entry: &Entry<'_>,
    facts: Facts,
    rights: Rights,
) -> fmt::Result {
    text.write_str("250-Facts:\r\n ")?;
    facts.write(entry, rights, text)?;
    text.write_doubling(path.as_bytes(), &[IAC]);
    text.write_str("\r\n250 End\r\n")
}

/// The reply to MFMT and MFF (draft-somers-ftp-mfxx section 3).
fn dated(text: &mut Text<'_>, date: Timestamp, path: Path<'_>) -> fmt::Result {
    write!(text, "213 Modify={}; ", TimeVal(date))?;
    text.write_doubling(path.as_bytes(), &[IAC]);
    text.write_str("\r\n")
}

/// The reply to HASH (draft-bryan-ftpext-hash-02 section 3).
fn hashed(text: &mut Text<'_>, reply: Reply<'_>, path: Path<'_>) -> fmt::Result {
    write!(text, "{} {reply} ", reply.code())?;
    text.write_doubling(path.as_bytes(), &[IAC]);
    text.write_str("\r\n")
}

/// A 257 reply: quotes in the path are doubled (RFC 959 appendix II), and so is the byte that
/// begins a Telnet command (RFC 854).
fn quoted(text: &mut Text<'_>, path: Path<'_>, remark: &str) -> fmt::Result {
    text.write_str("257 \"")?;
    text.write_doubling(path.as_bytes(), &[b'"', IAC]);
    write!(text, "\" {remark}\r\n")
}

/// Formats straight into a stream.
pub(super) struct Text<'s>(pub &'s mut dyn Stream);

impl Text<'_> {
    /// Writes `bytes` with each of those in `doubled` twice.
    fn write_doubling(&mut self, bytes: &[u8], doubled: &[u8]) {
        for piece in bytes.split_inclusive(|byte| doubled.contains(byte)) {
            self.0.write(piece);
            if let Some(last) = piece.last().filter(|last| doubled.contains(last)) {
                self.0.write(&[*last]);
            }
        }
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.write(s.as_bytes());
        Ok(())
    }
}
