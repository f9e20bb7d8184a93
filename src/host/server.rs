//! From options to a running server: the device, the services, the loop.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::Duration;

use log::info;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
use tinyftp::auth::{Accounts, Rights};
use tinyftp::ftp::{self, Ftp};
use tinyftp::net::{Address, Binding, Config, Net, Route};
use tinyftp::services::echo::Echo;
use tinyftp::services::simple::Simple;
use tinyftp::storage::quota::{Quota, Quotas};
use tinyftp::storage::{Path, Storage};
use tinyftp::time::Instant;

use super::accounts::{self, User};
use super::cli::Options;
use super::clock::Clock;
use super::memory::{self, lend};
use super::signals::Signals;
use super::tap::Tap;
use super::tree;

/// Bytes of the longest command line and of the longest path.
const LINE_MAX: usize = 512;
/// FTP sessions that can be told that there are too many.
const SPARE_SESSIONS: usize = 8;
/// Echo sessions at once.
const ECHO_SESSIONS: usize = 64;
/// How long running transfers get when the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How long the last replies get after that.
const FAREWELL: Duration = Duration::from_secs(1);

/// FTP for a storage with quotas.
type FtpService<S> = Ftp<'static, Quotas<'static, S>, Accounts<'static>, LINE_MAX>;

/// A server that is about to run.
pub struct Server<'o> {
    options: &'o Options,
    clock: Clock,
    signals: Signals,
    tap: Tap,
    net: Net<'static>,
    hardware: EthernetAddress,
    umask: u16,
}

impl<'o> Server<'o> {
    /// Opens the device and sets the network up on it.
    pub fn open(options: &'o Options, clock: Clock) -> Result<Self, String> {
        check_ports(options)?;
        raise_descriptor_limit();
        let signals = Signals::catch().map_err(|error| format!("no signals: {error}"))?;
        let mut tap = Tap::open(&options.tap)?;
        let hardware = hardware_address(&options.addresses);
        let addresses: Vec<_> = options.addresses.iter().copied().map(Address::Fixed).collect();
        let routes: Vec<_> = options.gateways.iter().map(|&router| default_route(router)).collect();
        let config = Config {
            hardware,
            addresses: &addresses,
            routes: &routes,
            passive_ports: options.passive_ports.0..=options.passive_ports.1,
            seed: random()?,
        };
        let sessions = usize::from(options.max_sessions) + SPARE_SESSIONS + ECHO_SESSIONS;
        let memory = memory::network(sessions, options.max_transfers.into());
        let net = Net::new(&config, memory, &mut tap, clock.now())
            .map_err(|error| format!("the network cannot be set up: {error}"))?;
        // From here on sessions have it, and the process masks nothing besides.
        let umask = umask(Mode::empty()).bits() as u16;
        Ok(Self { options, clock, signals, tap, net, hardware, umask })
    }

    /// The FTP service for `storage`.
    pub fn ftp<S: Storage>(&self, storage: S) -> Result<FtpService<S>, String> {
        let options = self.options;
        let config = ftp::Config {
            max_sessions: options.max_sessions.into(),
            max_per_address: options.max_per_address.map(usize::from),
            max_upload: options.max_upload.map(|size| size.0),
            rate: options.rate.map(|size| size.0),
            total_rate: options.total_rate.map(|size| size.0),
            umask: self.umask,
            idle_timeout: options.idle_timeout,
            passive_ports: options.passive_ports,
            passive_address: options.passive_address,
            data_port: options.ftp_port.wrapping_sub(1),
            start: self.clock.date,
            secret: random()?,
            ..ftp::Config::default()
        };
        let sessions = usize::from(options.max_sessions) + SPARE_SESSIONS;
        let storage = self.with_quotas(storage)?;
        let accounts = accounts::accounts(&options.users);
        let ftp = Ftp::new(storage, accounts, config, lend(sessions, Default::default));
        Ok(ftp.with_codecs(memory::codecs(options.max_compressed.into())))
    }

    /// Puts the quotas in front of the storage, and sees to it that accounts have their roots.
    fn with_quotas<S: Storage>(&self, mut storage: S) -> Result<Quotas<'static, S>, String> {
        let total = self.options.quota.map(|size| ("/", size));
        let mut limits: Vec<_> = total.into_iter().collect();
        for user in &self.options.users {
            self.prepare_root(&mut storage, user)?;
            limits.extend(user.quota.map(|size| (user.root(), size)));
        }
        let mut quotas = Vec::new();
        for (root, max) in limits {
            let path = Path::new(root.to_owned().leak().as_bytes()).unwrap_or(Path::ROOT);
            let used = tree::bytes_below(&mut storage, path)
                .map_err(|error| format!("{root} cannot be measured: {error:?}"))?;
            info!("quota of {root}: {used} of {} bytes are used", max.0);
            quotas.push(Quota::new(path, max.0, used));
        }
        Ok(Quotas::new(storage, quotas.leak()))
    }

    /// The disk in memory has no directories yet; those of the host have to be there.
    fn prepare_root(&self, storage: &mut impl Storage, user: &User) -> Result<(), String> {
        let root = Path::new(user.root().as_bytes()).unwrap_or(Path::ROOT);
        if self.options.root.is_none() {
            let made = tree::make_directory(storage, root, self.clock.date);
            return made.map_err(|error| format!("no root for {}: {error:?}", user.name));
        }
        if tree::is_directory(storage, root) {
            return Ok(());
        }
        Err(format!("the root of {}, {}, is no directory in --root", user.name, user.root()))
    }

    /// The echo service.
    pub fn echo(&self) -> Simple<'static, Echo> {
        Simple::new(Echo, lend(ECHO_SESSIONS, || None), self.options.idle_timeout)
    }

    /// Says what there is to be had.
    pub fn announce(&self) {
        // Whoever closed our standard output does not want to know.
        let _ = self.introduce(&mut io::stdout().lock());
    }

    fn introduce(&self, out: &mut impl io::Write) -> io::Result<()> {
        let options = self.options;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(out, "tinyftp {version} on {}, hardware address {}", options.tap, self.hardware)?;
        for address in &options.addresses {
            writeln!(out, "  address   {address}")?;
        }
        for (name, port) in [("ftp", options.ftp_port), ("echo", options.echo_port)] {
            if port != 0 {
                writeln!(out, "  service   {name}, port {port}")?;
            }
        }
        if options.ftp_port != 0 {
            self.introduce_ftp(out)?;
        }
        out.flush()
    }

    fn introduce_ftp(&self, out: &mut impl io::Write) -> io::Result<()> {
        match &self.options.root {
            Some(root) => writeln!(out, "  root      {}", root.display())?,
            None => writeln!(out, "  root      a disk of 16 MiB in memory")?,
        }
        writeln!(out, "  accounts  {}", self.account_line())?;
        let limits = limits(self.options);
        if !limits.is_empty() {
            writeln!(out, "  limits    {}", limits.join(", "))?;
        }
        match self.example() {
            Some(example) => writeln!(out, "  try       {example}"),
            None => Ok(()),
        }
    }

    fn account_line(&self) -> String {
        let mut parts = Vec::new();
        for user in &self.options.users {
            parts.push(format!("{} ({})", user.name, describe(user.rights())));
        }
        if parts.is_empty() { "none: nobody can log in".into() } else { parts.join(", ") }
    }

    /// A command that shows that it works, for somebody who may log in.
    fn example(&self) -> Option<String> {
        let options = self.options;
        let host = match options.addresses.first()? {
            IpCidr::Ipv6(cidr) => format!("[{}]", cidr.address()),
            cidr => cidr.address().to_string(),
        };
        let anonymous = options.users.iter().find(|user| user.is_anonymous());
        let user = anonymous.or(options.users.first())?;
        let name = if user.is_anonymous() { "" } else { &format!("{}@", user.name) };
        let port =
            if options.ftp_port == 21 { String::new() } else { format!(":{}", options.ftp_port) };
        let sees_readme = options.root.is_none() && user.root() == "/";
        let file = if sees_readme { "README.txt" } else { "" };
        Some(format!("curl ftp://{name}{host}{port}/{file}"))
    }

    /// Serves until a signal comes.
    pub fn run(mut self, services: &mut [Binding<'_>]) -> Result<(), String> {
        let result = self.serve(services);
        // However it ended: uploads that are under way leave nothing behind.
        self.net.abandon(services);
        result
    }

    fn serve(&mut self, services: &mut [Binding<'_>]) -> Result<(), String> {
        let mut stops_at = None;
        loop {
            let now = self.clock.now();
            let due = self.net.poll(&mut self.tap, services, now);
            if let Some(error) = self.tap.failure() {
                return Err(format!("{} is gone: {error}", self.options.tap));
            }
            if stops_at.is_some_and(|at| now >= at || self.net.is_idle()) {
                info!("stopped");
                return Ok(());
            }
            self.wait(now, due, stops_at)?;
            match (self.signals.count(), stops_at) {
                (0, _) => {}
                (_, None) => {
                    info!("stopping: running transfers get {} s", GRACE.as_secs());
                    let until = self.clock.now() + GRACE;
                    self.net.shutdown(services, until);
                    stops_at = Some(until + FAREWELL);
                }
                _ => return Err("stopped at once".into()),
            }
        }
    }

    /// Sleeps until a frame or a signal comes, or the next turn is due.
    fn wait(
        &self,
        now: Instant,
        due: Option<Instant>,
        stops_at: Option<Instant>,
    ) -> Result<(), String> {
        let due = due.into_iter().chain(stops_at).min();
        let timeout = due.map(|due| {
            let delay = due.since(now);
            Timespec { tv_sec: delay.as_secs() as i64, tv_nsec: delay.subsec_nanos().into() }
        });
        let [stops, hangups] = self.signals.pipes();
        let mut fds = [self.tap.as_fd(), stops, hangups]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(format!("cannot wait: {error}")),
        }
    }
}

/// The way to everywhere.
fn default_route(router: IpAddr) -> Route {
    let everywhere: IpAddress = match router {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    Route { cidr: IpCidr::new(everywhere, 0), via: router.into() }
}

/// Each port has one meaning.
fn check_ports(options: &Options) -> Result<(), String> {
    let (first, last) = options.passive_ports;
    let (ftp, echo) = (options.ftp_port, options.echo_port);
    if (ftp, echo) == (0, 0) {
        return Err("there is nothing to serve: --ftp-port and --echo-port are both 0".into());
    }
    if ftp == echo {
        return Err(format!("--ftp-port and --echo-port are both {ftp}"));
    }
    match [ftp, echo].into_iter().find(|port| (first..=last).contains(port)) {
        Some(port) => Err(format!("port {port} is also in --passive-ports {first}-{last}")),
        None => Ok(()),
    }
}

/// Each upload and download has a file open, each upload its directory too. As far as this
/// process may, it makes room for all of them.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// What all have to keep to, in few words.
fn limits(options: &Options) -> Vec<String> {
    let sessions = options.max_per_address.map(|count| format!("sessions of an address {count}"));
    let sizes = [
        ("upload", options.max_upload, ""),
        ("quota", options.quota, ""),
        ("rate of a session", options.rate, "/s"),
        ("rate of all", options.total_rate, "/s"),
    ];
    let sizes = sizes
        .into_iter()
        .filter_map(|(name, size, unit)| size.map(|size| format!("{name} {size}{unit}")));
    sessions.into_iter().chain(sizes).collect()
}

fn describe(rights: Rights) -> &'static str {
    if rights == Rights::NONE {
        return "may do nothing";
    }
    if Rights::READ_ONLY.contains(rights) { "reads" } else { "reads and writes" }
}

/// A locally administered address made of our first IP address: the same at every start, so
/// that neighbors need not learn a new one.
fn hardware_address(addresses: &[IpCidr]) -> EthernetAddress {
    let tail = match addresses.first() {
        Some(IpCidr::Ipv4(cidr)) => cidr.address().octets(),
        Some(IpCidr::Ipv6(cidr)) => {
            let octets = cidr.address().octets();
            [octets[12], octets[13], octets[14], octets[15]]
        }
        None => [0, 0, 0, 1],
    };
    let [a, b, c, d] = tail;
    EthernetAddress([0x02, 0x00, a, b, c, d])
}

fn random() -> Result<u128, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(u128::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_in_words() {
        assert_eq!(describe(Rights::NONE), "may do nothing");
        assert_eq!(describe(Rights::READ), "reads");
        assert_eq!(describe(Rights::READ_ONLY), "reads");
        assert_eq!(describe(Rights::ALL), "reads and writes");
    }
}
