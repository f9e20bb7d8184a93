//! The bytes of a control connection: lines, verbs, arguments.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tinyftp::ftp::fuzz::command_line(input));
