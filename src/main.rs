//! tinyftp on Linux: the service table, in the manner of inetd.conf.

mod host;

use std::io::{self, Write};
use std::process::ExitCode;

use host::cli::Options;
use host::clock::Clock;
use host::disk::Disk;
use host::server::Server;
use host::{logger, memory};
use tinyftp::net::Binding;
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
    let server = Server::open(options, clock)?;
    let mut ftp = server.ftp(storage)?;
    let mut echo = server.echo();
    server.announce();
    server.run(&mut [
        Binding::tcp("ftp", options.ftp_port, &mut ftp),
        Binding::tcp("echo", options.echo_port, &mut echo),
    ])
}
