//! tinyftp on Linux: the service table, in the manner of inetd.conf.

mod host;

use std::io::{self, Write};
use std::process::ExitCode;

use host::cli::Options;
use host::clock::Clock;
use host::disk::Disk;
use host::server::Server;
use host::services::{DAYTIME, DISCARD, ECHO, FTP};
use host::workers::{Bell, Workers};
use host::{logger, memory};
use tinyftp::net::Binding;
use tinyftp::services::daytime::Daytime;
use tinyftp::services::discard::Discard;
use tinyftp::services::echo::Echo;
use tinyftp::storage::Storage;

fn main() -> ExitCode {
    let options = Options::from_command_line();
    logger::start(options.log_level);
    let clock = Clock::start();
    match run(&options, clock) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The terminal may have gone.
            let _ = writeln!(io::stderr(), "tinyftp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, clock: Clock) -> Result<(), String> {
    let bell = Bell::new().map_err(|error| format!("no bell: {error}"))?;
    let Some(root) = &options.root else {
        return serve(options, clock, bell, memory::disk(clock.date));
    };
    let disk = Disk::open(root).and_then(|disk| Workers::new(disk, bell.clone()));
    let disk = disk.map_err(|error| format!("{} cannot be served: {error}", root.display()))?;
    serve(options, clock, bell, disk)
}

/// Serves a storage, which rings the bell when something is done.
fn serve(
    options: &Options,
    clock: Clock,
    bell: Bell,
    storage: impl Storage + 'static,
) -> Result<(), String> {
    let mut server = Server::open(options, clock, bell)?;
    let mut daytime = Daytime { start: clock.date };
    let services = &options.services;
    server.run(&mut [
        services.tcp(FTP, &mut server.ftp(storage)?),
        services.tcp(ECHO, &mut server.simple(Echo)).bulk(),
        services.udp(ECHO, &mut Echo),
        services.tcp(DISCARD, &mut server.simple(Discard)).bulk(),
        services.udp(DISCARD, &mut Discard),
        services.tcp(DAYTIME, &mut server.simple(daytime)).bulk(),
        services.udp(DAYTIME, &mut daytime),
        Binding::udp("mdns", options.mdns_port(), &mut server.mdns()?),
    ])
}
