//! tinyftp on Linux: the service table, in the manner of inetd.conf.

mod host;

use std::io::{self, Write};
use std::process::ExitCode;

use host::cli::Options;
use host::clock::Clock;
use host::disk::Disk;
use host::server::Server;
use host::services::{DAYTIME, DISCARD, ECHO, FTP};
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
    let result = match &options.root {
        Some(root) => Disk::open(root)
            .map_err(|error| format!("{} cannot be served: {error}", root.display()))
            .and_then(|disk| serve(&options, clock, disk)),
        None => serve(&options, clock, memory::disk(clock.date)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The terminal may have gone.
            let _ = writeln!(io::stderr(), "tinyftp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options, clock: Clock, storage: impl Storage + 'static) -> Result<(), String> {
    let mut server = Server::open(options, clock)?;
    let mut daytime = Daytime { start: clock.date };
    let services = &options.services;
    server.run(&mut [
        services.tcp(FTP, &mut server.ftp(storage)?),
        services.tcp(ECHO, &mut server.simple(Echo)),
        services.udp(ECHO, &mut Echo),
        services.tcp(DISCARD, &mut server.simple(Discard)),
        services.udp(DISCARD, &mut Discard),
        services.tcp(DAYTIME, &mut server.simple(daytime)),
        services.udp(DAYTIME, &mut daytime),
        Binding::udp("mdns", options.mdns_port(), &mut server.mdns()?),
    ])
}
