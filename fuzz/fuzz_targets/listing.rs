//! Paths, patterns, lines of listings, facts, addresses and dates.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinyftp::ftp::fuzz::listing(input));
