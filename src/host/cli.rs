//! The command line.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use log::LevelFilter;
use smoltcp::wire::IpCidr;
use tinyftp::auth::Rights;

use super::accounts::{self, User};
use super::size::Size;

/// An FTP and echo server with an IP address of its own, on a TAP device.
///
/// Without options it serves a disk in memory at 192.168.69.1 to anybody. Set the device up
/// with scripts/setup-tap.sh first.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// TAP device to serve on
    #[arg(long, value_name = "DEVICE", default_value = "tap0", value_parser = device)]
    pub tap: String,

    /// Own address with the prefix of its network; may be repeated, IPv4 and IPv6
    #[arg(long = "address", value_name = "CIDR", default_value = "192.168.69.1/24",
          value_parser = cidr)]
    pub addresses: Vec<IpCidr>,

    /// Router to other networks; once for IPv4, once for IPv6
    #[arg(long = "gateway", value_name = "IP")]
    pub gateways: Vec<IpAddr>,

    /// Directory to serve; without it, a disk of 16 MiB in memory
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Account, read-only with :ro; may be repeated
    // Read in a second step: clap would print a bad one, and with it a password.
    #[arg(long = "user", value_name = "NAME:PASSWORD[:ro|:rw]")]
    user: Vec<String>,

    /// File with accounts that have limits of their own, in TOML (see README)
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,

    /// The accounts, the anonymous one among them.
    #[arg(skip)]
    pub users: Vec<User>,

    /// What anonymous may do [default: rw in memory, ro with --root, off with --user]
    #[arg(long, value_name = "RIGHTS", hide_possible_values = false)]
    pub anonymous: Option<Anonymous>,

    /// Control port of FTP, 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 21, value_parser = number(0, u16::MAX))]
    pub ftp_port: u16,

    /// Port of echo, 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 7, value_parser = number(0, u16::MAX))]
    pub echo_port: u16,

    /// Ports for data connections that clients open
    #[arg(long, value_name = "FIRST-LAST", default_value = "49152-65535", value_parser = ports)]
    pub passive_ports: (u16, u16),

    /// Address to announce for them (PASV), if a router translates ours
    #[arg(long, value_name = "IP")]
    pub passive_address: Option<Ipv4Addr>,

    /// FTP sessions at once; one more gets 421
    #[arg(long, value_name = "N", default_value_t = 1024,
          value_parser = number(1, 30_000u16))]
    pub max_sessions: u16,

    /// FTP sessions of one address at once; one more gets 421
    #[arg(long, value_name = "N", value_parser = number(1, u16::MAX))]
    pub max_per_address: Option<u16>,

    /// Bytes that one upload may bring, such as 10M; K, M, G, T mean 1024, 1024^2, and so on
    #[arg(long, value_name = "BYTES")]
    pub max_upload: Option<Size>,

    /// Bytes that may be stored in all
    #[arg(long, value_name = "BYTES")]
    pub quota: Option<Size>,

    /// Bytes a second that each session may move
    #[arg(long, value_name = "BYTES")]
    pub rate: Option<Size>,

    /// Bytes a second that all sessions together may move
    #[arg(long, value_name = "BYTES")]
    pub total_rate: Option<Size>,

    /// Data connections at once
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = number(1, 1024u16))]
    pub max_transfers: u16,

    /// FTP sessions that may compress their transfers at once (MODE Z)
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = number(0, u8::MAX))]
    pub max_compressed: u8,

    /// Seconds until an idle session or a stalled transfer is closed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// What is logged
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level())]
    pub log_level: LevelFilter,
}

/// What anonymous may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Anonymous {
    /// May not log in
    Off,
    /// May read
    Ro,
    /// May read and write
    Rw,
}

impl Options {
    /// The options of this program's command line. Ends the program if they are wrong, or
    /// only help was wanted.
    pub fn from_command_line() -> Self {
        let error = match Self::try_parse() {
            Ok(options) => match options.with_users() {
                Ok(options) => return options,
                Err(error) => format!("{error} (see --help)"),
            },
            Err(error) if error.use_stderr() => one_line(&error.render().to_string()),
            Err(help) => help.exit(),
        };
        eprintln!("tinyftp: {error}");
        std::process::exit(2);
    }

    fn with_users(mut self) -> Result<Self, String> {
        let users: Result<Vec<_>, _> =
            self.user.iter().map(|text| User::from_option(text)).collect();
        self.users = users.map_err(|error| format!("--user: {error}"))?;
        if let Some(file) = &self.accounts {
            self.users
                .extend(accounts::read(file).map_err(|error| format!("--accounts: {error}"))?);
        }
        self.users.extend(self.anonymous_rights().map(User::anonymous));
        accounts::check_names(&self.users)?;
        Ok(self)
    }

    /// What anonymous may do, if it may log in, by the options alone.
    fn anonymous_rights(&self) -> Option<Rights> {
        let default = match (&self.users[..], &self.root) {
            ([], None) => Anonymous::Rw,
            ([], Some(_)) => Anonymous::Ro,
            _ => Anonymous::Off,
        };
        match self.anonymous.unwrap_or(default) {
            Anonymous::Off => None,
            Anonymous::Ro => Some(Rights::READ_ONLY),
            Anonymous::Rw => Some(Rights::ALL),
        }
    }
}

/// What is wrong and the tip that may follow, without the usage behind them.
fn one_line(message: &str) -> String {
    let words = message
        .lines()
        .map(|line| line.trim().trim_start_matches("error: "))
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty());
    format!("{} (see --help)", words.collect::<Vec<_>>().join(", "))
}

/// What a network device can be called.
fn device(text: &str) -> Result<String, String> {
    let is_of_a_name = |c: char| c != '/' && !c.is_whitespace() && !c.is_control();
    match text.len() {
        1..=15 if text.chars().all(is_of_a_name) => Ok(text.into()),
        _ => Err("expected the name of a network device, such as tap0".into()),
    }
}

fn cidr(text: &str) -> Result<IpCidr, String> {
    let expected = "expected an address and a prefix length, such as 192.168.69.1/24";
    let cidr: IpCidr = text.parse().map_err(|()| expected)?;
    if !cidr.address().is_unicast() {
        return Err("this is no address that a host can have".into());
    }
    if let IpCidr::Ipv4(cidr) = cidr
        && cidr.prefix_len() < 31
        && (cidr.network().address() == cidr.address() || cidr.broadcast() == Some(cidr.address()))
    {
        return Err("this is the address of the network itself, or its broadcast address".into());
    }
    Ok(cidr)
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let expected = "expected two ports from 1024, such as 49152-65535";
    let (first, last) = text.split_once('-').ok_or(expected)?;
    let port = |text: &str| text.parse::<u16>().map_err(|_| expected);
    match (port(first)?, port(last)?) {
        (first, last) if 1024 <= first && first <= last => Ok((first, last)),
        _ => Err(expected.into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    number(1, u32::MAX)(text).map(|seconds| Duration::from_secs(seconds.into()))
}

/// Digits that say a number within these bounds.
fn number<T>(first: T, last: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |text| match text.parse() {
        Ok(number) if first <= number && number <= last && !text.starts_with('+') => Ok(number),
        _ => Err(format!("expected a number from {first} to {last}")),
    }
}

fn level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug"])
        .try_map(|name| name.parse::<LevelFilter>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments = ["tinyftp"].iter().chain(arguments);
        let options = Options::try_parse_from(arguments).map_err(|error| error.to_string())?;
        options.with_users()
    }

    #[test]
    fn the_default_is_open_only_where_nothing_is_at_stake() {
        let rights = |arguments: &[&str]| {
            let users = parse(arguments).unwrap().users;
            users.iter().find(|user| user.is_anonymous()).map(User::rights)
        };
        assert_eq!(rights(&[]), Some(Rights::ALL));
        assert_eq!(rights(&["--root", "/tmp"]), Some(Rights::READ_ONLY));
        assert_eq!(rights(&["--user", "a:b"]), None);
        assert_eq!(rights(&["--user", "a:b", "--anonymous", "rw"]), Some(Rights::ALL));
        assert_eq!(rights(&["--anonymous", "off"]), None);
    }

    #[test]
    fn errors_take_a_line() {
        let error = |arguments: &[&str]| one_line(&parse(arguments).unwrap_err());
        assert_eq!(
            error(&["--rot", "/"]),
            "unexpected argument '--rot' found, tip: a similar argument exists: '--root' (see --help)"
        );
        assert_eq!(
            error(&["--anonymous", "x"]),
            "invalid value 'x' for '--anonymous <RIGHTS>', [possible values: off, ro, rw] (see --help)"
        );
    }

    #[test]
    fn values_that_are_wrong_are_told_what_is_right() {
        let numbers = [
            ("--max-sessions", "1 to 30000"),
            ("--max-per-address", "1 to 65535"),
            ("--max-transfers", "1 to 1024"),
            ("--max-compressed", "0 to 255"),
            ("--ftp-port", "0 to 65535"),
            ("--echo-port", "0 to 65535"),
            ("--idle-timeout", "1 to 4294967295"),
        ];
        for (option, bounds) in numbers {
            for bad in ["10x", "+1", "-1", "", "99999999999"] {
                let error = parse(&[&format!("{option}={bad}")]).unwrap_err();
                assert!(error.contains(&format!("expected a number from {bounds}")), "{error}");
            }
        }
        let error = parse(&["--log-level", "loud"]).unwrap_err();
        assert!(error.contains("[possible values: off, error, warn, info, debug]"), "{error}");
        for bad in ["", "a b", "../tap", "a-name-too-long-"] {
            let error = parse(&["--tap", bad]).unwrap_err();
            assert!(error.contains("such as tap0"), "{error}");
        }
        let options = parse(&["--ftp-port", "0", "--log-level", "debug"]).unwrap();
        assert_eq!((options.ftp_port, options.log_level), (0, LevelFilter::Debug));
    }

    #[test]
    fn what_is_no_address() {
        for good in ["10.0.0.1/8", "fd00::1/64", "192.0.2.1/31", "192.0.2.1/32"] {
            assert!(cidr(good).is_ok(), "{good}");
        }
        for bad in ["", "192.168.69.1", "192.168.69.300/24", "192.168.69.0/24", "224.0.0.1/8"] {
            assert!(cidr(bad).is_err(), "{bad}");
        }
        assert!(parse(&["--address", "192.168.69.255/24"]).is_err());
    }

    #[test]
    fn port_ranges() {
        assert_eq!(ports("50000-50003"), Ok((50_000, 50_003)));
        for bad in ["50000", "50003-50000", "20-30", "1-x", "60000-70000"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
