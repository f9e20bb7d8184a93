//! From options to a running server: the device, the services, the loop.

use std::os::fd::AsFd;
use std::time::Duration;

use log::info;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use smoltcp::phy::{PcapMode, PcapWriter};
use tinyftp::auth::Accounts;
use tinyftp::ftp::{self, Ftp};
use tinyftp::net::{Binding, Config, Net};
use tinyftp::services::mdns::{self, Advertised, Mdns};
use tinyftp::services::simple::{Exchange, Simple};
use tinyftp::storage::quota::{Quota, Quotas};
use tinyftp::storage::{Path, Storage};
use tinyftp::time::Instant;

use super::accounts::{self, User};
use super::announce::announce;
use super::capture::Capture;
use super::cli::Options;
use super::clock::Clock;
use super::memory::{self, lend};
use super::services::FTP;
use super::signals::Signals;
use super::table::Table;
use super::tap::Tap;
use super::tree;
use super::wait::Waiter;
use super::workers::Bell;

/// Bytes of the longest command line and of the longest path.
const LINE_MAX: usize = 512;
/// FTP sessions that can be told that there are too many.
const SPARE_SESSIONS: usize = 8;
/// Small services over TCP: echo, discard and daytime.
const SIMPLE_SERVICES: usize = 3;
/// Sessions at once of each of them.
const SIMPLE_SESSIONS: usize = 64;
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
    bell: Bell,
    device: PcapWriter<Tap, Capture>,
    net: Net<'static>,
    umask: u16,
}

impl<'o> Server<'o> {
    /// Opens the device and sets the network up on it.
    pub fn open(options: &'o Options, clock: Clock, bell: Bell) -> Result<Self, String> {
        raise_descriptor_limit();
        let signals = Signals::catch().map_err(|error| format!("no signals: {error}"))?;
        let tap = Tap::open(&options.tap, options.offload)?;
        let capture = Capture::wanted(options, clock)?;
        let mut device = PcapWriter::new(tap, capture, PcapMode::Both);
        let config = Config {
            hardware: options.hardware_address(),
            addresses: &options.addresses,
            routes: &options.routes,
            host_name: Some(options.hostname),
            passive_ports: options.passive_ports.0..=options.passive_ports.1,
            seed: random()?,
        };
        let sessions = usize::from(options.max_sessions) + SPARE_SESSIONS;
        let slots = (sessions, SIMPLE_SERVICES * SIMPLE_SESSIONS, options.max_transfers.into());
        let memory = memory::network(slots, options.data_buffer)?;
        let net = Net::new(&config, memory, &mut device, clock.now())
            .map_err(|error| format!("the network cannot be set up: {error}"))?;
        // From here on sessions have it, and the process masks nothing besides.
        let umask = umask(Mode::empty()).bits() as u16;
        Ok(Self { options, clock, signals, bell, device, net, umask })
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
            data_port: options.services.port(FTP).map_or(0, |port| port - 1),
            start: self.clock.date,
            secret: random()?,
            ..ftp::Config::default()
        };
        let sessions = usize::from(options.max_sessions) + SPARE_SESSIONS;
        let storage = self.with_quotas(storage)?;
        let accounts = accounts::accounts(&options.users);
        let (sessions, desks) = (lend(sessions, Default::default), memory::room(sessions));
        let ftp = Ftp::new(storage, accounts, config, sessions, desks);
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

    /// What makes our name and our services known.
    pub fn mdns(&self) -> Result<Mdns<'static>, String> {
        let ftp = self.options.services.port(FTP).map(|port| Advertised {
            kind: "_ftp._tcp",
            port,
            txt: &["path=/"],
        });
        let config = mdns::Config {
            hostname: self.options.hostname.as_str(),
            services: ftp.into_iter().collect::<Vec<_>>().leak(),
            seed: random()? as u64,
        };
        Mdns::new(config).map_err(|error| format!("no name: {error}"))
    }

    /// A small service over TCP.
    pub fn simple<E: Exchange>(&self, exchange: E) -> Simple<'static, E> {
        Simple::new(exchange, lend(SIMPLE_SESSIONS, || None), self.options.idle_timeout)
    }

    /// Says what there is to be had, and serves until a signal comes.
    pub fn run(&mut self, services: &mut [Binding<'_>]) -> Result<(), String> {
        announce(self.options, self.device.get_ref().offloads(), services);
        let result = self.serve(services);
        // However it ended: uploads that are under way leave nothing behind.
        self.net.abandon(services);
        result
    }

    fn serve(&mut self, services: &mut [Binding<'_>]) -> Result<(), String> {
        let (mut stops_at, mut table) = (None, Table::default());
        let mut waiter = Waiter::new(self.clock, self.options.busy_poll());
        loop {
            let now = self.clock.now();
            let due = self.net.poll(&mut self.device, services, now);
            let table_due = table.go_on(&self.net, services, now);
            if let Some(error) = self.device.get_mut().failure() {
                return Err(format!("{} is gone: {error}", self.options.tap));
            }
            if stops_at.is_some_and(|at| now >= at || self.net.is_idle()) {
                info!("stopped");
                return Ok(());
            }
            let due = due.into_iter().chain(table_due).chain(stops_at).min();
            if !self.wait(&mut waiter, due)? {
                continue;
            }
            if self.signals.asked() {
                table.ask();
            }
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

    /// Waits for a frame, the workers or a signal, or until the next turn is due; says whether it
    /// is a signal.
    fn wait(&mut self, waiter: &mut Waiter, due: Option<Instant>) -> Result<bool, String> {
        let [stops, hangups, questions] = self.signals.pipes();
        let (device, bell) = (self.device.get_ref().as_fd(), self.bell.as_fd());
        let sources = [device, bell, stops, hangups, questions];
        let ready = waiter.wait(sources, due).map_err(|error| format!("cannot wait: {error}"))?;
        let [_, rings, signals @ ..] = ready;
        if rings && self.bell.hear() {
            self.net.wake();
        }
        Ok(signals.contains(&true))
    }
}

/// Each upload and download has a file open, each upload its directory too. As far as this
/// process may, it makes room for all of them.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn random() -> Result<u128, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(u128::from_ne_bytes(bytes))
}
