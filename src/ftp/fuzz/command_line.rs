//! From bytes to lines, verbs and arguments.

use core::net::SocketAddr;

use std::format;
use std::string::ToString;
use std::vec::Vec;

use crate::ftp::address::{self, HostPort, protocol};
use crate::ftp::command::{self, Argument, Malformed, Row, Verb, number};
use crate::ftp::line::{Line, Received};
use crate::ftp::range::Range;
use crate::stream::{Status, Stream};

#[path = "../../../tests/ftp/telnet.rs"]
mod telnet;

/// Short, so that short inputs find out what comes of a long line.
const LINE_MAX: usize = 48;

/// The first byte of the input says how many bytes arrive at once; the others are what a client
/// sends. The lines are the same however the bytes are cut, and they are those of the reference.
/// Each has the verb and the argument that it seems to have.
pub fn command_line(input: &[u8]) {
    let Some((&cut, sent)) = input.split_first() else { return };
    let whole = received(sent, usize::MAX);
    assert_eq!(whole, received(sent, 1), "byte by byte");
    assert_eq!(whole, received(sent, 1 + usize::from(cut % 16)), "in segments");
    let (expected, _) = telnet::lines(sent);
    let fits = |line: Vec<u8>| Some(line).filter(|line| line.len() <= LINE_MAX);
    assert_eq!(whole, expected.into_iter().map(fits).collect::<Vec<_>>());
    whole.iter().flatten().for_each(|line| parse(line));
}

/// The lines of what arrives, `segment` bytes at once; `None` for one that is too long.
fn received(sent: &[u8], segment: usize) -> Vec<Option<Vec<u8>>> {
    let mut line = Line::<LINE_MAX>::default();
    let mut arriving = Arriving { bytes: sent, segment };
    let mut lines = Vec::new();
    loop {
        let received = line.receive(&mut arriving);
        if received == Received::Part {
            assert!(arriving.bytes.is_empty(), "the rest is not looked at");
            return lines;
        }
        let taken = line.take().to_vec();
        lines.push((received == Received::Line).then_some(taken));
    }
}

/// What a client has sent, as it arrives.
struct Arriving<'a> {
    bytes: &'a [u8],
    segment: usize,
}

impl Stream for Arriving<'_> {
    fn readable(&mut self) -> &[u8] {
        &self.bytes[..self.segment.min(self.bytes.len())]
    }

    fn consume(&mut self, n: usize) {
        self.bytes = &self.bytes[n..];
    }

    fn writable(&mut self) -> &mut [u8] {
        &mut []
    }

    fn commit(&mut self, _: usize) {}

    fn room(&self) -> usize {
        0
    }

    fn finish(&mut self) {}

    fn status(&self) -> Status {
        Status::Open
    }
}

fn parse(line: &[u8]) {
    let verb = line.split(|&b| b == b' ').next().unwrap_or_default();
    let behind = line.get(verb.len() + 1..).unwrap_or_default();
    let takes = |row: &Row| match row.argument {
        Argument::Absent => behind.trim_ascii().is_empty(),
        Argument::Optional(_) => true,
        Argument::Required(_) => !behind.is_empty(),
    };
    match command::parse(line) {
        Ok((row, argument)) => {
            assert!(row.name.as_bytes().eq_ignore_ascii_case(verb), "not {}", row.name);
            assert!(takes(row), "{}", row.name);
            assert_eq!(argument, behind);
            assert!(!argument.contains(&b'\n'), "a line within a line");
            meaning(row.verb, argument);
        }
        Err(Malformed::Argument) => assert!(command::find(verb).is_some_and(|row| !takes(row))),
        Err(Malformed::Unknown) => assert!(command::find(verb).is_none()),
    }
}

/// Arguments that have a syntax of their own.
fn meaning(verb: Verb, argument: &[u8]) {
    match verb {
        Verb::Port | Verb::Eprt => addresses(argument),
        Verb::Rang => range(argument.trim_ascii()),
        _ => numbers(argument.trim_ascii()),
    }
}

/// What is taken for a number is that number.
fn numbers(digits: &[u8]) {
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let significant = &digits[zeros.min(digits.len().saturating_sub(1))..];
    match number(digits) {
        Some(value) => assert_eq!(value.to_string().as_bytes(), significant),
        None => {
            let largest = &b"18446744073709551615"[..];
            let too_large = (significant.len(), significant) > (largest.len(), largest);
            assert!(too_large || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit));
        }
    }
}

/// A range has the bytes of a file from the first up to the last.
fn range(argument: &[u8]) {
    let Some(range) = Range::parse(argument) else { return };
    let words: Vec<u64> = argument.split(|&b| b == b' ').filter_map(number).collect();
    let [first, last] = words[..] else { panic!("{argument:?}") };
    let end = if (first, last) == (1, 0) { u64::MAX } else { last.saturating_add(1) };
    let start = if last < first { 0 } else { first };
    for size in [0, 1, first, last, u64::MAX] {
        assert_eq!(range.within(size), size.min(end).saturating_sub(start));
    }
}

/// What is taken for an address comes back the same when it is printed.
pub(super) fn addresses(argument: &[u8]) {
    if let Ok(SocketAddr::V4(address)) = address::port(argument) {
        let printed = HostPort(*address.ip(), address.port()).to_string();
        assert_eq!(address::port(printed.as_bytes()), Ok(address.into()));
    }
    if let Ok(address) = address::eprt(argument) {
        let (ip, port) = (address.ip(), address.port());
        let printed = format!("|{}|{ip}|{port}|", protocol(ip));
        assert_eq!(address::eprt(printed.as_bytes()), Ok(address));
        let peer = SocketAddr::from(([192, 0, 2, 1], 40_000));
        let own = ip == peer.ip() && port >= 1024;
        assert_eq!(address::check(address, peer).is_ok(), own, "{address} for {peer}");
    }
}
