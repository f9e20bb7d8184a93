//! An FTP and echo server with a network stack of its own: for devices, and for Linux on a TAP
//! device.
//!
//! The crate is `no_std` and never allocates: whoever uses it lends it memory once, calls
//! [`net::Net::poll`] in a loop, and sleeps until the instant that it returns or the next
//! frame. Nothing in it waits and nothing reads a clock.
//!
//! ```text
//!        a frame                                            a frame
//!           |                                                  ^
//!  net   demultiplexer -- 4-tuple --> slot: a smoltcp socket --+
//!           |                          |  ^
//!           | port                     v  |  Stream: bytes in place
//!  service  +------------------->   Service (ftp, echo)
//!                                      |  ^
//!                                      v  |  Op, polled
//!  storage                          Storage (RAM disk, a directory, yours)
//! ```
//!
//! - A [`service::Service`] is what runs behind a port. It sees connections as
//!   [`stream::Stream`]s and answers with what it wants next; a [`service::DatagramService`]
//!   sees datagrams. [`ftp`] and those in [`services`] know nothing of smoltcp, and compile
//!   without it.
//! - A [`storage::Storage`] is where the files are; [`storage::ram::RamDisk`] is one.
//! - An [`auth::Authenticator`] decides who may do what.
//! - `net`, with the feature of that name, is the network: a demultiplexer in front of smoltcp
//!   that gives each connection a slot, and each slot its turn when something happened to it.
//!
//! # Features
//!
//! All are additive; sizes are never features, but values that the caller chooses.
//!
//! - `ipv4`, `ipv6`: the network, with one version of IP or both. Without them, the crate is the
//!   protocols alone.
//! - `dhcp`: addresses from a DHCP server.
//! - `mdns`: a name on the local network, `services::mdns`.
//! - `hash`: SHA-256, SHA-1 and MD5 for `HASH` and the like; CRC-32 is always there.
//! - `log`: log lines through the `log` crate.
//! - `defmt`: log lines through defmt, on a target without an operating system. They come with
//!   their level and as text, for which `DEFMT_LOG` is to be set, such as to `info`.
//! - `host` (default): the Linux program.
//!
//! # A server of one's own
//!
//! ```
//! # #[cfg(feature = "ipv4")]
//! # mod example {
//! use tinyftp::auth::{Account, Accounts, Grant, Rights};
//! use tinyftp::ftp::{self, Ftp};
//! use tinyftp::net::smoltcp::phy::Device;
//! use tinyftp::net::smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
//! use tinyftp::net::{self, Address, Binding, Net};
//! use tinyftp::resources::Parts;
//! use tinyftp::services::echo::Echo;
//! use tinyftp::services::simple::Simple;
//! use tinyftp::storage::ram::RamDisk;
//! use tinyftp::time::{Duration, Instant};
//!
//! tinyftp::resources! {
//!     /// What the core works in: 14 KiB with pointers of 32 bits.
//!     type Resources = {
//!         storage: RamDisk<'static>,
//!         sessions: 2,
//!         desks: 3,
//!         transfers: 1,
//!         others: 1, // echo
//!         line: 128,
//!         control: (256, 768),
//!         data: (2048, 2048),
//!     };
//! }
//!
//! fn serve(
//!     resources: &'static mut Resources, // a static of `Resources::EMPTY`, borrowed once
//!     disk: RamDisk<'static>,            // of two more statics: `RamDisk::new(nodes, blocks)`
//!     device: &mut impl Device,
//!     seed: u128, // random
//!     now: impl Fn() -> Instant,
//!     wait_for_frame_or: impl Fn(Option<Instant>),
//! ) -> Result<(), net::ConfigError> {
//!     let Parts { memory, sessions, desks } = resources.lend();
//!     let config = net::Config {
//!         hardware: EthernetAddress([2, 0, 192, 168, 69, 1]),
//!         addresses: &[Address::Fixed(IpCidr::new(IpAddress::v4(192, 168, 69, 1), 24))],
//!         routes: &[],
//!         host_name: None,
//!         passive_ports: 49_152..=65_535,
//!         seed,
//!     };
//!     let mut net = Net::new(&config, memory, device, now())?;
//!
//!     // Anybody may do anything.
//!     let anonymous = Some(Account::anonymous(Grant::new(Rights::ALL)));
//!     let accounts = Accounts { accounts: &mut [], anonymous };
//!     let config = ftp::Config { max_sessions: Resources::SESSIONS, ..ftp::Config::default() };
//!     let mut ftp = Ftp::new(disk, accounts, config, sessions, desks);
//!     let mut echo_sessions = [None];
//!     let mut echo = Simple::new(Echo, &mut echo_sessions, Duration::from_secs(60));
//!
//!     let mut services = [Binding::tcp("ftp", 21, &mut ftp), Binding::tcp("echo", 7, &mut echo)];
//!     loop {
//!         wait_for_frame_or(net.poll(device, &mut services, now()));
//!     }
//! }
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
extern crate std;

#[macro_use]
mod log;

pub mod auth;
mod budget;
mod bytes;
pub mod connection;
pub mod ftp;
#[cfg(any(feature = "net", feature = "mdns"))]
mod label;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod resources;
pub mod service;
pub mod services;
pub mod storage;
pub mod stream;
pub mod time;
