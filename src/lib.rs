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
//! - `host` (default): the Linux program.
//!
//! # A server of one's own
//!
//! ```
//! # #[cfg(feature = "ipv4")]
//! # mod example {
//! use core::mem::MaybeUninit;
//!
//! use tinyftp::auth::{Account, Accounts, Grant, Rights};
//! use tinyftp::ftp::{self, Desk, Ftp, Session};
//! use tinyftp::net::smoltcp::iface::SocketStorage;
//! use tinyftp::net::smoltcp::phy::Device;
//! use tinyftp::net::smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};
//! use tinyftp::net::{self, Address, Binding, Bucket, Buffers, Memory, Net, Outbox, Slot, Timer};
//! use tinyftp::storage::ram::{Block, Node, RamDisk};
//! use tinyftp::time::Instant;
//!
//! fn serve(
//!     device: &mut impl Device,
//!     seed: u128, // random
//!     now: impl Fn() -> Instant,
//!     wait_for_frame_or: impl Fn(Option<Instant>),
//! ) -> Result<(), net::ConfigError> {
//!     // Memory for two connections to services and one data connection.
//!     let mut slots: [Slot; 3] = Default::default();
//!     let mut sockets = [SocketStorage::EMPTY; 3];
//!     let (mut timers, mut buckets) = ([Timer::NONE; 3], [Bucket::EMPTY; 6]);
//!     let (mut control_in, mut control_out) = ([0; 2 * 512], [0; 2 * 768]);
//!     let (mut data_in, mut data_out) = ([0; 2048], [0; 2048]);
//!     let memory = Memory {
//!         control: 2,
//!         bulk: 0,
//!         slots: &mut slots,
//!         sockets: &mut sockets,
//!         timers: &mut timers,
//!         buckets: &mut buckets,
//!         control_buffers: Buffers { receive: &mut control_in, transmit: &mut control_out },
//!         bulk_buffers: Buffers::default(),
//!         data_buffers: Buffers { receive: &mut data_in, transmit: &mut data_out },
//!         message: &mut [], // no service over UDP
//!         outbox: Outbox::default(),
//!     };
//!     let addresses = [Address::Fixed(IpCidr::new(IpAddress::v4(192, 168, 69, 1), 24))];
//!     let hardware = EthernetAddress([2, 0, 192, 168, 69, 1]);
//!     let passive_ports = 49_152..=65_535;
//!     let config = net::Config {
//!         hardware,
//!         addresses: &addresses,
//!         routes: &[],
//!         host_name: None,
//!         passive_ports,
//!         seed,
//!     };
//!     let mut net = Net::new(&config, memory, device, now())?;
//!
//!     // A disk of 8 KiB, who may use it, and the service.
//!     let (mut nodes, mut blocks) = ([Node::EMPTY; 8], [Block::EMPTY; 16]);
//!     let disk = RamDisk::new(&mut nodes, &mut blocks);
//!     let anonymous = Some(Account::anonymous(Grant::new(Rights::ALL)));
//!     let accounts = Accounts { accounts: &mut [], anonymous };
//!     let mut sessions: [Session<_, 256>; 2] = Default::default();
//!     let mut desks: [MaybeUninit<Desk<_, 256>>; 2] = [const { MaybeUninit::uninit() }; 2];
//!     let mut ftp = Ftp::new(disk, accounts, ftp::Config::default(), &mut sessions, &mut desks);
//!
//!     let mut services = [Binding::tcp("ftp", 21, &mut ftp)];
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
pub mod connection;
pub mod ftp;
#[cfg(any(feature = "net", feature = "mdns"))]
mod label;
#[cfg(feature = "net")]
pub mod net;
pub mod service;
pub mod services;
pub mod storage;
pub mod stream;
pub mod time;
