//! Datagrams to the mDNS responder, with the host and the reader of the ordinary tests.
#![no_main]
// What only other tests use.
#![allow(dead_code)]

#[path = "../../tests/mdns/fuzz.rs"]
mod fuzz;
#[path = "../../tests/mdns/host.rs"]
mod host;
#[path = "../../tests/mdns/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::datagrams(input));
