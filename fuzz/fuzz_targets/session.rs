//! Whole sessions, several at once, with the network and the storage of the ordinary tests.
#![no_main]
// What only other tests use.
#![allow(dead_code)]

#[path = "../../tests/ftp/fuzz.rs"]
mod fuzz;
#[path = "../../tests/ftp/net.rs"]
mod net;
#[path = "../../tests/ftp/observer.rs"]
mod observer;
#[path = "../../tests/ftp/random.rs"]
mod random;
#[path = "../../tests/ftp/telnet.rs"]
mod telnet;
#[path = "../../tests/ftp/watched.rs"]
mod watched;
#[path = "../../tests/ftp/wire.rs"]
mod wire;
#[path = "../../src/host/zlib.rs"]
mod zlib;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::session(input));
