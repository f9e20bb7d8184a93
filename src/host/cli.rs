//! The command line.

use std::fmt::Display;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use log::LevelFilter;
use smoltcp::wire::EthernetAddress;
use tinyftp::auth::Rights;
use tinyftp::net::{Address, HostName, Route};
use tinyftp::services::mdns;

use super::accounts::{self, User};
use super::network;
use super::services::{Listen, Services, Wanted};
use super::size::Size;

/// Microseconds that it looks for the next frame by default.
const BUSY_POLL: u16 = 100;

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

    /// Lets the kernel compute checksums and cut what is sent into frames [default: on if it can]
    #[arg(long, value_name = "on|off", value_parser = on_or_off())]
    pub offload: Option<bool>,

    /// Own address with the prefix of its network; or dhcp; or auto, from routers, DHCP or by
    /// itself; may be repeated
    #[arg(long = "address", value_name = "CIDR|dhcp|auto", default_value = "192.168.69.1/24",
          value_parser = network::address)]
    pub addresses: Vec<Address>,

    /// Router to all other networks; once for IPv4, once for IPv6
    #[arg(long = "gateway", value_name = "IP", value_parser = network::gateway)]
    gateways: Vec<Route>,

    /// Network and the router to it; may be repeated, and the longest prefix decides
    #[arg(long = "route", value_name = "CIDR=IP", value_parser = network::route)]
    pub routes: Vec<Route>,

    /// Own hardware address [default: one for this device of this machine]
    #[arg(long, value_name = "MAC", value_parser = network::hardware)]
    hardware: Option<EthernetAddress>,

    /// Own name: neighbors find the server as NAME.local
    #[arg(long, value_name = "NAME", default_value = "tinyftp", value_parser = host_name)]
    pub hostname: &'static HostName,

    /// Does not make the name known to the neighbors
    #[arg(long)]
    pub no_mdns: bool,

    /// Service, of ftp, echo, discard and daytime, at a port of its own if one is given; may be
    /// repeated [default: ftp, echo]
    #[arg(long = "service", value_name = "NAME[:PORT]", default_values = ["ftp", "echo"],
          hide_default_value = true)]
    service: Vec<Wanted>,

    /// Own address that services are at, and no other; with a port, those at that port alone; may
    /// be repeated [default: all]
    #[arg(long = "listen", value_name = "ADDRESS[:PORT]")]
    listen: Vec<Listen>,

    /// The services, each with its port and its addresses.
    #[arg(skip)]
    pub services: Services,

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

    /// Bytes that each of them may have under way, in either direction
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = data_buffer)]
    pub data_buffer: usize,

    /// FTP sessions that may compress their transfers at once (MODE Z)
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = number(0, u8::MAX))]
    pub max_compressed: u8,

    /// Seconds until an idle session or a stalled transfer is closed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// Microseconds that it looks for the next frame before it sleeps, while there is traffic;
    /// 0 is not at all [default: 100, with one processor 0]
    #[arg(long, value_name = "MICROSECONDS", value_parser = number(0, 10_000u16))]
    busy_poll: Option<u16>,

    /// File that gets every frame, for Wireshark, in place of what is in it; passwords are in it
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// Bytes that it gets at most
    #[arg(long, value_name = "BYTES", default_value = "100M", requires = "pcap")]
    pub pcap_limit: Size,

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
    /// Where mDNS is, if it is wanted.
    pub fn mdns_port(&self) -> u16 {
        if self.no_mdns { 0 } else { mdns::PORT }
    }

    /// How long it looks for the next frame before it sleeps. With a single processor the client
    /// may be waiting for that.
    pub fn busy_poll(&self) -> Duration {
        let default = if has_one_processor() { 0 } else { BUSY_POLL };
        Duration::from_micros(self.busy_poll.unwrap_or(default).into())
    }

    /// The options of this program's command line. Ends the program if they are wrong, or
    /// only help was wanted.
    pub fn from_command_line() -> Self {
        let error = match Self::try_parse() {
            Ok(options) => match options.complete() {
                Ok(options) => return options,
                Err(error) => format!("{error} (see --help)"),
            },
            Err(error) if error.use_stderr() => one_line(&error.render().to_string()),
            Err(help) => help.exit(),
        };
        eprintln!("tinyftp: {error}");
        std::process::exit(2);
    }

    /// Ours on the network.
    pub fn hardware_address(&self) -> EthernetAddress {
        self.hardware.unwrap_or_else(|| network::hardware_address(&self.tap))
    }

    /// What can be said only when all options are there.
    pub fn complete(mut self) -> Result<Self, String> {
        self.routes.append(&mut self.gateways);
        network::check(&self.addresses, &self.routes)?;
        self.services = Services::new(&self.service, &self.listen)?;
        self.services.avoid(self.passive_ports)?;
        self.services.check(&self.listen, &self.addresses, self.hardware_address())?;
        self.with_users()
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

/// Whether the machine has a single processor; to which of them this program is kept does not
/// matter. The file lists ranges, as in `0-3,8`.
fn has_one_processor() -> bool {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    online.trim().parse::<u16>().is_ok()
}

/// What is wrong and the tip that may follow, without the usage behind them.
fn one_line(message: &str) -> String {
    let words = message
        .lines()
        .map(|line| line.trim().trim_start_matches("error: "))
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty());
    let words = words.collect::<Vec<_>>().join(", ").replace(":, ", ": ");
    format!("{words} (see --help)")
}

/// What a network device can be called.
fn device(text: &str) -> Result<String, String> {
    let is_of_a_name = |c: char| c != '/' && !c.is_whitespace() && !c.is_control();
    match text.len() {
        1..=15 if text.chars().all(is_of_a_name) => Ok(text.into()),
        _ => Err("expected the name of a network device, such as tap0".into()),
    }
}

/// A label of RFC 1123, 2.1.
fn host_name(text: &str) -> Result<&'static HostName, String> {
    let expected = "expected up to 63 letters, digits and inner hyphens, such as tinyftp";
    let name = HostName::new(text.to_owned().leak()).ok_or(expected)?;
    Ok(Box::leak(Box::new(name)))
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

/// From a few lines of a listing to what the fastest path has under way.
fn data_buffer(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(Size(bytes @ 0x1000..=0x100_0000)) => Ok(bytes as usize),
        _ => Err("expected a number of bytes from 4K to 16M".into()),
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

fn on_or_off() -> impl TypedValueParser<Value = bool> {
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

fn level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["off", "error", "warn", "info", "debug"])
        .try_map(|name| name.parse::<LevelFilter>())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments = ["tinyftp"].iter().chain(arguments);
        let options = Options::try_parse_from(arguments).map_err(|error| error.to_string())?;
        options.complete()
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
        assert_eq!(
            error(&["--pcap-limit", "10M"]),
            "the following required arguments were not provided: --pcap <FILE> (see --help)"
        );
    }

    #[test]
    fn values_that_are_wrong_are_told_what_is_right() {
        let numbers = [
            ("--max-sessions", "1 to 30000"),
            ("--max-per-address", "1 to 65535"),
            ("--max-transfers", "1 to 1024"),
            ("--max-compressed", "0 to 255"),
            ("--idle-timeout", "1 to 4294967295"),
        ];
        for (option, bounds) in numbers {
            for bad in ["10x", "+1", "-1", "", "99999999999"] {
                let error = parse(&[&format!("{option}={bad}")]).unwrap_err();
                assert!(error.contains(&format!("expected a number from {bounds}")), "{error}");
            }
        }
        for bad in ["4095", "16777217", "1T", "0", "x", ""] {
            let error = parse(&[&format!("--data-buffer={bad}")]).unwrap_err();
            assert!(error.contains("expected a number of bytes from 4K to 16M"), "{error}");
        }
        for (good, bytes) in [("4K", 4096), ("16M", 16 << 20)] {
            assert_eq!(parse(&["--data-buffer", good]).unwrap().data_buffer, bytes);
        }
        let error = parse(&["--log-level", "loud"]).unwrap_err();
        assert!(error.contains("[possible values: off, error, warn, info, debug]"), "{error}");
        for bad in ["", "a b", "../tap", "a-name-too-long-"] {
            let error = parse(&["--tap", bad]).unwrap_err();
            assert!(error.contains("such as tap0"), "{error}");
        }
        assert_eq!(parse(&["--log-level", "debug"]).unwrap().log_level, LevelFilter::Debug);
    }

    #[test]
    fn host_names() {
        let longest = "a".repeat(63);
        for good in ["tinyftp", "A", "3com", "a-1", &longest] {
            assert_eq!(parse(&["--hostname", good]).unwrap().hostname.as_str(), good);
        }
        let too_long = "a".repeat(64);
        for bad in ["", "-a", "a-", "-", "a_b", "tinyftp.local", "\u{e4}", "a b", &too_long] {
            let error = parse(&[&format!("--hostname={bad}")]).unwrap_err();
            assert!(error.contains("expected up to 63 letters"), "{error}");
        }
    }

    #[test]
    fn options_of_the_network_go_together() {
        let error = |arguments: &[&str]| parse(arguments).unwrap_err();
        for (arguments, expected) in [
            (["--address", "10.0.0.1/33"], "expected an address and a prefix length"),
            (["--gateway", "x"], "expected the address of a router"),
            (["--gateway", "10.0.0.1"], "is on none of our networks: 192.168.69.1/24"),
            (["--route", "10.0.0.0/8"], "expected a network and its router"),
            (["--hardware", "ff:ff:ff:ff:ff:ff"], "expected a unicast hardware address"),
            (["--service", "telnet"], "there is no service telnet: ftp, echo, discard, daytime"),
            (["--service", "ftp:50000"], "port 50000 is also in --passive-ports 49152-65535"),
            (["--listen", "x"], "expected an own address"),
            (["--listen", "10.0.0.1"], "10.0.0.1 is none of our addresses: 192.168.69.1/24"),
            (["--listen", "192.168.69.1:9"], "no service is at port 9: ftp 21, echo 7"),
        ] {
            let error = error(&arguments);
            assert!(error.contains(expected), "{error}");
        }
        let twice = error(&["--address", "10.0.0.1/8", "--address", "10.0.0.1/8"]);
        assert_eq!(twice, "--address: 10.0.0.1 is given twice");
        let twice = error(&["--gateway", "192.168.69.2", "--route", "0.0.0.0/0=192.168.69.3"]);
        assert_eq!(twice, "--gateway: one for IPv4 is enough");
        let routes = ["--gateway", "192.168.69.2", "--route", "10.0.0.0/8=192.168.69.3"];
        assert_eq!(parse(&routes).unwrap().routes.len(), 2);
    }

    #[test]
    fn the_readme_has_every_option() {
        let readme = include_str!("../../README.md");
        let section = readme.split("## Options").nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `--"));
        let named: Vec<_> = rows.filter_map(|row| row.split([' ', '`']).next()).collect();
        let command = Options::command();
        let options: Vec<_> = command.get_arguments().filter_map(|it| it.get_long()).collect();
        assert_eq!(named, options);
        assert!(command.get_arguments().all(|it| it.get_help().is_some()));
    }

    #[test]
    fn port_ranges() {
        assert_eq!(ports("50000-50003"), Ok((50_000, 50_003)));
        for bad in ["50000", "50003-50000", "20-30", "1-x", "60000-70000"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }
}
