//! Connections as `netstat -n` shows them, with what it does not know: the service, the account,
//! the bytes and the age.
//!
//! The network makes the table (`Net::connections`); a session is told of it one connection at a
//! time ([`Action::Connections`](crate::service::Action::Connections)).

use core::fmt::{self, Write};
use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;

use heapless::{String, Vec};

use crate::log::Escaped;
use crate::time::Duration;

/// Bytes that are kept of the name of an account.
pub const ACCOUNT_MAX: usize = 32;
/// Bytes of the longest end: an IPv6 address in brackets, and a port.
const END_MAX: usize = 64;
/// The width of the column for the service.
const SERVICE_WIDTH: usize = 9;

/// What stands above a table of [`Connection`]s.
pub const HEADER: &str = "Proto Recv-Q Send-Q Local Address           Foreign Address         \
                          State       Service     Received       Sent     Age Account";

/// A connection, or a port at which connections or datagrams are expected.
///
/// It is displayed as a line without an end, in columns below [`HEADER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What it runs over.
    pub transport: Transport,
    /// Octets that have come and that the service has not taken.
    pub receive_queue: usize,
    /// Octets that the service has written and that the peer has not acknowledged.
    pub send_queue: usize,
    /// Our end; without an address it is all that we have.
    pub local: SocketAddr,
    /// The other end; without an address it is anybody, without a port any port.
    pub foreign: SocketAddr,
    /// How far it has come; UDP has no states.
    pub state: Option<State>,
    /// The name of the service.
    pub service: &'static str,
    /// Whether it is a data connection of that service.
    pub data: bool,
    /// Who is logged in; empty if nobody is.
    pub account: Account,
    /// Octets that have come, those in the receive queue included.
    pub received: u64,
    /// Octets that the peer has acknowledged.
    pub sent: u64,
    /// How long there has been something of it: since its first segment, since the port was
    /// opened.
    pub age: Duration,
}

/// What a [`Connection`] runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The state of a TCP connection (RFC 9293 section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// LISTEN.
    Listen,
    /// SYN-SENT.
    SynSent,
    /// SYN-RECEIVED.
    SynReceived,
    /// ESTABLISHED.
    Established,
    /// FIN-WAIT-1.
    FinWait1,
    /// FIN-WAIT-2.
    FinWait2,
    /// CLOSE-WAIT.
    CloseWait,
    /// CLOSING.
    Closing,
    /// LAST-ACK.
    LastAck,
    /// TIME-WAIT.
    TimeWait,
    /// CLOSED.
    Closed,
}

/// The name of an account; what does not fit is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account(Vec<u8, ACCOUNT_MAX>);

/// A place in the table, as far as it was looked at in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What was found, if anything was.
    pub connection: Option<Connection>,
    /// The place to go on from; `None` if that was all.
    pub next: Option<usize>,
}

impl From<&[u8]> for Account {
    fn from(name: &[u8]) -> Self {
        Self(name.iter().copied().take(ACCOUNT_MAX).collect())
    }
}

impl Deref for Account {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receive_queue, send_queue, service, received, sent, .. } = self;
        write!(f, "{:<5} {receive_queue:>6} {send_queue:>6} ", self.protocol())?;
        write!(f, "{:<23} {:<23} ", End(self.local), End(self.foreign))?;
        write!(f, "{:<11} ", self.state.map_or("", State::name))?;
        let (data, room) = (if self.data { "-data" } else { "" }, SERVICE_WIDTH);
        write!(f, "{service}{data:<0$} ", room.saturating_sub(service.len()))?;
        write!(f, "{received:>10} {sent:>10} {:>6}s ", self.age.as_secs())?;
        if self.account.is_empty() { f.write_char('-') } else { Escaped(&self.account).fmt(f) }
    }
}

impl Connection {
    /// As `netstat` has it: the version of IP is told where it is 6.
    fn protocol(&self) -> &'static str {
        let is_v6 = self.local.is_ipv6() && !self.local.ip().is_unspecified();
        match (self.transport, is_v6) {
            (Transport::Tcp, false) => "tcp",
            (Transport::Tcp, true) => "tcp6",
            (Transport::Udp, false) => "udp",
            (Transport::Udp, true) => "udp6",
        }
    }
}

impl State {
    /// The word of `netstat`.
    fn name(self) -> &'static str {
        match self {
            State::Listen => "LISTEN",
            State::SynSent => "SYN_SENT",
            State::SynReceived => "SYN_RECV",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT1",
            State::FinWait2 => "FIN_WAIT2",
            State::CloseWait => "CLOSE_WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST_ACK",
            State::TimeWait => "TIME_WAIT",
            State::Closed => "CLOSE",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An end of a connection, with stars for what is not known.
struct End(SocketAddr);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::<END_MAX>::new();
        match self.0.ip() {
            ip if ip.is_unspecified() => text.write_char('*')?,
            IpAddr::V4(ip) => write!(text, "{ip}")?,
            IpAddr::V6(ip) => write!(text, "[{ip}]")?,
        }
        match self.0.port() {
            0 => text.write_str(":*")?,
            port => write!(text, ":{port}")?,
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn connection() -> Connection {
        Connection {
            transport: Transport::Tcp,
            receive_queue: 0,
            send_queue: 1460,
            local: "192.168.69.1:49152".parse().unwrap(),
            foreign: "192.168.69.100:40000".parse().unwrap(),
            state: Some(State::Established),
            service: "ftp",
            data: true,
            account: Account::from(&b"anna"[..]),
            received: 0,
            sent: 104_857_600,
            age: Duration::from_millis(73_999),
        }
    }

    #[test]
    fn columns_stand_below_their_header() {
        let line = connection().to_string();
        // Words to the left, numbers to the right.
        for (name, value) in [
            ("Proto", "tcp "),
            ("Local Address", "192.168.69.1:49152 "),
            ("Foreign Address", "192.168.69.100:40000 "),
            ("State", "ESTABLISHED "),
            ("Service", "ftp-data "),
            ("Account", "anna"),
        ] {
            assert_eq!(line.find(value), HEADER.find(name), "{name}:\n{HEADER}\n{line}");
        }
        for (name, value) in [
            ("Recv-Q", " 0"),
            ("Send-Q", " 1460"),
            ("Received", " 0"),
            ("Sent", " 104857600"),
            ("Age", " 73s"),
        ] {
            let end = HEADER.find(name).unwrap() + name.len();
            assert!(line[..end].ends_with(value), "{name}:\n{HEADER}\n{line}");
            assert_eq!(&line[end..=end], " ", "{name}:\n{HEADER}\n{line}");
        }
    }

    #[test]
    fn what_is_not_known_is_a_star_or_a_line() {
        let port = Connection {
            transport: Transport::Udp,
            send_queue: 0,
            local: "0.0.0.0:7".parse().unwrap(),
            foreign: "[::]:0".parse().unwrap(),
            state: None,
            service: "echo",
            data: false,
            account: Account::default(),
            sent: 0,
            ..connection()
        };
        let line = port.to_string();
        let words: std::vec::Vec<_> = line.split_whitespace().collect();
        assert_eq!(words, ["udp", "0", "0", "*:7", "*:*", "echo", "0", "0", "73s", "-"]);
        let expected = Connection {
            local: "[fd00::1]:50000".parse().unwrap(),
            foreign: "[fd00::2]:0".parse().unwrap(),
            state: Some(State::Listen),
            ..connection()
        };
        let line = expected.to_string();
        assert!(line.starts_with("tcp6 "), "{line}");
        assert!(line.contains(" [fd00::1]:50000 "), "{line}");
        assert!(line.contains(" [fd00::2]:* "), "{line}");
    }

    #[test]
    fn the_longest_line_fits_a_reply() {
        let address = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse().unwrap();
        let worst = Connection {
            receive_queue: usize::MAX,
            send_queue: usize::MAX,
            local: address,
            foreign: address,
            account: Account::from(&[0x7f; 99][..]),
            received: u64::MAX,
            sent: u64::MAX,
            age: Duration::from_secs(u64::MAX / 1_000_000),
            ..connection()
        };
        let line = worst.to_string();
        assert!(line.len() < 500 && line.is_ascii(), "{}: {line}", line.len());
        assert!(line.ends_with(&"\\u{7f}".repeat(ACCOUNT_MAX)), "{line}");
    }
}
