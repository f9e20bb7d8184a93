//! Echo (RFC 862) over sockets of the kernel: what the echo service of tinyftp is compared to.
//!
//! ```text
//! kernel_echo ADDRESS:PORT
//! ```
//!
//! One thread waits for all connections, as tinyftp's does, so that idle ones cost it little.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// What epoll calls the listening socket: no connection has this descriptor.
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("an address with a port");
    let listener = TcpListener::bind(address)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = HashMap::new();
    let mut events = Vec::with_capacity(64);
    loop {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let key = event.data.u64();
            if key == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let key = stream.as_raw_fd() as u64;
                epoll::add(&epoll, &stream, EventData::new_u64(key), EventFlags::IN)?;
                connections.insert(key, stream);
            } else if !connections.get_mut(&key).is_some_and(echo) {
                // Closing its descriptor takes it out of the epoll, too.
                connections.remove(&key);
            }
        }
    }
}

/// Sends back what has come; whether the connection goes on. A peer that sends and does not read
/// stops the server: this one is for measuring only.
fn echo(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 65536];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(len) => stream.write_all(&buffer[..len]).is_ok(),
        Err(error) => error.kind() == ErrorKind::Interrupted,
    }
}
