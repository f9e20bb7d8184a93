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
use crate::service::ConnectError;
use crate::storage::{Entry, Error, Path};
use crate::stream::Stream;
use crate::time::Timestamp;

/// A reply to a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply<'a> {
    // A code and a text that never changes; the same as the first line of several.
    Text(u16, &'static str),
    Begins(u16, &'static str),
    // Preliminary.
    Opening { what: &'a str, size: Option<u64> },
    OpeningUnique(&'a [u8]),
    // Completion.
    Features { facts: Facts, algorithm: Algorithm, deflate: bool },
    Help,
    HelpOn(&'static Row),
    SiteHelp,
    Size(u64),
    Modified(Timestamp),
    Dated(Timestamp, Path<'a>),
    Hashed { algorithm: Algorithm, first: u64, last: u64, sum: &'a Sum, path: Path<'a> },
    Checksum(&'a Sum),
    IdleTimeout { now: u64, max: u64 },
    Umask(u16),
    Level(u8),
    Passive(Ipv4Addr, u16),
    ExtendedPassive(u16),
    LoggedIn { read_only: bool, welcome: &'a str },
    Directory(Path<'a>),
    Made(Path<'a>),
    Entry(Path<'a>, Entry<'a>, Facts, Rights),
    Selected(Facts),
    // Intermediate.
    RestartAt(u64),
    Ranged(Range),
    // Transient negative.
    NoDataConnection { fault: DataFault, ports: (u16, u16) },
    NotOpened { peer: IpAddr, port: u16, ports: (u16, u16) },
    NoAnswer(SocketAddr),
    // Permanent negative.
    SiteSyntax(&'a str, &'a str),
    UseProtocol(u64),
    UploadTooLarge { max: u64 },
}

/// Why a transfer had no data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataFault {
    /// The network says so.
    Net(ConnectError),
    /// It did not come about in time.
    TimedOut,
    /// EPSV ALL was said, and no EPSV.
    NoEpsv,
}

/// Replies whose text never changes, by their codes (RFC 959 section 4.2.1).
impl Reply<'_> {
    pub const SUPERFLUOUS: Self = Reply::Text(202, "Not needed here");
    pub const WHO_BEGINS: Self = Reply::Begins(211, "Sessions:");
    pub const NETSTAT_BEGINS: Self = Reply::Begins(211, "Connections:");
    pub const TABLE_ENDS: Self = Reply::Text(211, "End");
    pub const STATUS_BEGINS: Self = Reply::Begins(212, "Listing:");
    pub const STATUS_ENDS: Self = Reply::Text(212, "End");
    pub const SYSTEM: Self = Reply::Text(215, "UNIX Type: L8");
    pub const READY: Self = Reply::Text(220, "tinyftp ready");
    pub const HOST_KNOWN: Self = Reply::Text(220, "Host accepted");
    pub const GOODBYE: Self = Reply::Text(221, "Goodbye");
    pub const COMPLETE: Self = Reply::Text(226, "Transfer complete");
    pub const CUT_OFF: Self =
        Reply::Text(226, "The listing was cut off: too many entries, or a path too long");
    pub const ABORT_DONE: Self = Reply::Text(226, "Abort successful");
    pub const NEED_PASSWORD: Self = Reply::Text(331, "Password please");
    pub const NEED_NEW_NAME: Self = Reply::Text(350, "Now RNTO with the new name");
    pub const TOO_MANY_SESSIONS: Self = Reply::Text(421, "Too many sessions, try again later");
    pub const TOO_MANY_FROM_ADDRESS: Self =
        Reply::Text(421, "Too many sessions from your address, try again later");
    pub const IDLE: Self = Reply::Text(421, "Idle for too long, closing");
    pub const SHUTTING_DOWN: Self = Reply::Text(421, "The server is shutting down");
    pub const TOO_MANY_FAILURES: Self = Reply::Text(421, "Too many failures, closing");
    pub const USE_EPSV: Self = Reply::Text(425, "PASV is for IPv4, use EPSV");
    pub const TOO_LONG: Self = Reply::Text(500, "Line too long");
    pub const UNKNOWN: Self = Reply::Text(500, "Unknown command");
    pub const UNSUPPORTED: Self = Reply::Text(502, "Command not implemented");
    pub const UNSUPPORTED_PARAMETER: Self = Reply::Text(504, "Not implemented for that parameter");
    pub const NO_CODEC: Self =
        Reply::Text(504, "All compressors are in use, try again or use MODE S");
    // RFC 2577 section 3.
    pub const FOREIGN_ADDRESS: Self =
        Reply::Text(504, "Only your own address, and a port from 1024, may be named");
    pub const NOT_LOGGED_IN: Self = Reply::Text(530, "Log in with USER and PASS first");
    pub const LOGIN_INCORRECT: Self = Reply::Text(530, "Login incorrect");
    pub const TOO_MANY_OF_ACCOUNT: Self =
        Reply::Text(530, "Too many sessions of this account, try again later");
    pub const NO_ROOT: Self = Reply::Text(530, "The directory of this account cannot be entered");
    pub const NO_RIGHT: Self = Reply::Text(550, "Permission denied: this account may not do that");
    pub const NOT_A_FILE: Self = Reply::Text(550, "Not a plain file");
    pub const ASCII_SIZE: Self = Reply::Text(550, "SIZE is not known in TYPE A, use TYPE I");
    // RFC 3659 section 5.2.
    pub const RANGED_STORE: Self =
        Reply::Text(554, "RANG is for RETR and HASH; to store, REST says where to begin");

    pub const fn ok(text: &'static str) -> Self {
        Reply::Text(200, text)
    }

    pub const fn done(text: &'static str) -> Self {
        Reply::Text(250, text)
    }

    pub const fn aborted(text: &'static str) -> Self {
        Reply::Text(426, text)
    }

    pub const fn bad_argument(text: &'static str) -> Self {
        Reply::Text(501, text)
    }

    pub const fn out_of_order(text: &'static str) -> Self {
        Reply::Text(503, text)
    }

    /// What a storage may answer (RFC 959 section 5.4: 450, 451, 452 are worth another try, 550,
    /// 552 and 553 are not).
    pub const fn failed(error: Error) -> Self {
        match error {
            Error::Busy => Reply::Text(450, "Busy, try again"),
            Error::Io => Reply::Text(451, "Storage error"),
            Error::Full => Reply::Text(452, "No space left"),
            Error::NotFound => Reply::Text(550, "No such file or directory"),
            Error::Denied => Reply::Text(550, "Permission denied"),
            Error::Exists => Reply::Text(550, "It exists already"),
            Error::NotADirectory => Reply::Text(550, "Not a directory"),
            Error::IsADirectory => Reply::Text(550, "Is a directory"),
            Error::NotEmpty => Reply::Text(550, "Directory not empty"),
            Error::OverQuota => Reply::Text(552, "Quota exceeded"),
            Error::BadName => Reply::Text(553, "File name not allowed"),
            Error::BadOffset => Reply::Text(554, "The offset lies past the end of the file"),
        }
    }
}

impl Reply<'_> {
    /// Queues the reply. The caller has seen to it that there is room.
    pub fn send(self, control: &mut dyn Stream) {
        let text = &mut Text(control);
        // Text never fails: what does not fit is the caller's fault and cut off.
        let _ = self.write_lines_in_front(text);
        let _ = match self {
            Reply::Begins(code, line) => write!(text, "{code}-{line}\r\n"),
            Reply::Directory(path) => quoted(text, path, "is the current directory"),
            Reply::Made(path) => quoted(text, path, "created"),
            Reply::Dated(_, path) => about(text, self, ";", path),
            Reply::Hashed { path, .. } => about(text, self, "", path),
            _ => write!(text, "{} {self}\r\n", self.code()),
        };
    }

    /// The lines of a longer reply, but for the last one.
    fn write_lines_in_front(self, text: &mut Text<'_>) -> fmt::Result {
        match self {
            Reply::Features { facts, algorithm, deflate } => {
                features(text, facts, algorithm, deflate)
            }
            Reply::Help => help(text),
            Reply::LoggedIn { welcome, .. } => greet(text, self.code(), welcome),
            Reply::Entry(path, entry, facts, rights) => {
                machine_entry(text, path, &entry, facts, rights)
            }
            _ => Ok(()),
        }
    }

    /// The reply code (RFC 959 section 4.2.1).
    pub fn code(self) -> u16 {
        match self {
            Reply::Text(code, _) | Reply::Begins(code, _) => code,
            Reply::Opening { .. } | Reply::OpeningUnique(_) => 150,
            Reply::Selected(_) | Reply::Level(_) => 200,
            Reply::IdleTimeout { .. } | Reply::Umask(_) => 200,
            Reply::Features { .. } => 211,
            Reply::Size(_) | Reply::Modified(_) | Reply::Dated(..) | Reply::Hashed { .. } => 213,
            Reply::Help | Reply::HelpOn(_) | Reply::SiteHelp => 214,
            Reply::Passive(..) => 227,
            Reply::ExtendedPassive(_) => 229,
            Reply::LoggedIn { .. } => 230,
            Reply::Entry(..) | Reply::Checksum(_) => 250,
            Reply::Directory(_) | Reply::Made(_) => 257,
            Reply::RestartAt(_) | Reply::Ranged(_) => 350,
            Reply::NoDataConnection { .. } | Reply::NotOpened { .. } | Reply::NoAnswer(_) => 425,
            Reply::SiteSyntax(..) => 501,
            Reply::UseProtocol(_) => 522,
            Reply::UploadTooLarge { .. } => 552,
        }
    }
}

/// The text of a reply, but for the lines in front of the last one and the path behind it.
impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reply::Text(_, text) | Reply::Begins(_, text) => f.write_str(text),
            Reply::Opening { what, size } => opening(f, what, size),
            // RFC 1123 section 4.1.2.9.
            Reply::OpeningUnique(name) => write!(f, "FILE: {}", Escaped(name)),
            Reply::HelpOn(row) => help_on(f, row),
            Reply::SiteHelp => site_help(f),
            Reply::Size(size) => write!(f, "{size}"),
            Reply::Modified(date) => write!(f, "{}", TimeVal(date)),
            Reply::Dated(date, _) => write!(f, "Modify={}", TimeVal(date)),
            Reply::Hashed { algorithm, first, last, sum, .. } => {
                write!(f, "{} {first}-{last} {sum:x}", algorithm.name())
            }
            Reply::Checksum(sum) => write!(f, "{sum:X}"),
            Reply::IdleTimeout { now, max } => {
                write!(f, "Closed when idle for {now} s (at most {max})")
            }
            Reply::Umask(mask) => write!(f, "Umask is {mask:03o}"),
            Reply::Level(level) => write!(f, "MODE Z has LEVEL {level}"),
            Reply::Passive(ip, port) => write!(f, "Entering passive mode ({})", HostPort(ip, port)),
            Reply::ExtendedPassive(port) => {
                write!(f, "Entering extended passive mode (|||{port}|)")
            }
            Reply::LoggedIn { read_only: false, .. } => f.write_str("Logged in"),
            Reply::LoggedIn { read_only: true, .. } => f.write_str("Logged in, read only"),
            Reply::Selected(facts) => write!(f, "MLST OPTS{facts}"),
            Reply::RestartAt(offset) => write!(f, "Restarting at {offset}; now RETR, STOR or APPE"),
            Reply::Ranged(range) => write!(f, "Next RETR or HASH: {range}"),
            Reply::NoDataConnection { fault, ports } => no_data_connection(f, fault, ports),
            Reply::NotOpened { peer, port, ports: (first, last) } => {
                write!(
                    f,
                    "No connection from {peer} to port {port}, one of {first}-{last}, came in time"
                )
            }
            Reply::NoAnswer(target) => write!(f, "No answer from {target}"),
            Reply::SiteSyntax(name, arguments) => write!(f, "Syntax: SITE {name} {arguments}"),
            Reply::UseProtocol(n) => write!(f, "Network protocol not supported, use ({n})"),
            Reply::UploadTooLarge { max } => write!(f, "An upload has at most {max} bytes here"),
            Reply::Directory(_) => f.write_str("Current directory"),
            Reply::Made(_) => f.write_str("Created"),
            Reply::Features { .. } | Reply::Help | Reply::Entry(..) => f.write_str("End"),
        }
    }
}

fn opening(f: &mut fmt::Formatter<'_>, what: &str, size: Option<u64>) -> fmt::Result {
    write!(f, "Opening data connection for {what}")?;
    size.map_or(Ok(()), |size| write!(f, " ({size} bytes)"))
}

fn no_data_connection(
    f: &mut fmt::Formatter<'_>,
    fault: DataFault,
    (first, last): (u16, u16),
) -> fmt::Result {
    f.write_str(match fault {
        DataFault::Net(ConnectError::NoSlot) => "All data connections are in use, try again",
        DataFault::Net(ConnectError::NoPort) => {
            return write!(f, "All ports from {first} to {last} are in use, try again");
        }
        DataFault::Net(ConnectError::Unreachable) => "No route to your data port",
        DataFault::Net(ConnectError::Refused) => "Your data port did not accept the connection",
        DataFault::TimedOut => "There is no data connection",
        DataFault::NoEpsv => "EPSV ALL was said: EPSV first",
    })
}

fn help_on(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let name = row.name;
    match (row.verb, row.argument) {
        (Verb::Unsupported, _) => write!(f, "{name} is not implemented"),
        (_, Argument::Absent) => write!(f, "Syntax: {name}"),
        (_, Argument::Optional(what) | Argument::Required(what)) => {
            write!(f, "Syntax: {name} {what}")
        }
    }
}

fn site_help(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("SITE knows ")?;
    for (at, (_, name, arguments)) in site::TABLE.iter().enumerate() {
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
    Ok(())
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
    Ok(())
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
    text.write_str("\r\n")
}

/// A 213 reply that ends with a path: to MFMT and MFF (draft-somers-ftp-mfxx section 3), to HASH
/// (draft-bryan-ftpext-hash-02 section 3).
fn about(text: &mut Text<'_>, reply: Reply<'_>, end: &str, path: Path<'_>) -> fmt::Result {
    write!(text, "{} {reply}{end} ", reply.code())?;
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
