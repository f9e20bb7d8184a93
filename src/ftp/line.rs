//! From the bytes of the control connection to lines.
//!
//! The control connection is a Telnet connection (RFC 959 section 2.3). Telnet commands are
//! taken out; so "IP, Synch, ABOR" (RFC 959 section 4.1.3) is an ABOR like any other, since the
//! urgent mark has no meaning here: every byte is looked at as soon as it is there.

use heapless::Vec;

use crate::stream::Stream;

/// "Interpret as command" (RFC 854).
pub(super) const IAC: u8 = 255;
/// The Telnet commands that take an option: WILL, WONT, DO, DONT.
const NEGOTIATION: core::ops::RangeInclusive<u8> = 251..=254;
/// The data mark of a Synch.
const DM: u8 = 242;
/// Begins a subnegotiation, which SE ends.
const SB: u8 = 250;
/// The end of a subnegotiation, and the first of the Telnet commands: below are data bytes.
const SE: u8 = 240;

/// Where in the Telnet stream the next byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telnet {
    #[default]
    Data,
    Command,
    Option,
    Subnegotiation,
    SubnegotiationCommand,
}

/// A line being received: at most `N` bytes without its end.
#[derive(Debug, Default)]
pub(super) struct Line<const N: usize> {
    bytes: Vec<u8, N>,
    telnet: Telnet,
    /// A CR came, which is part of the line unless an LF follows.
    after_cr: bool,
    too_long: bool,
    complete: bool,
}

/// What [`Line::receive`] has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// The end of the line is not there yet.
    Part,
    /// A whole line is there.
    Line,
    /// A whole line went by that was longer than the buffer.
    TooLong,
}

impl<const N: usize> Line<N> {
    /// Takes bytes from `control` up to the end of a line. Once a line is complete nothing
    /// more is taken until [`take`](Self::take).
    pub fn receive(&mut self, control: &mut dyn Stream) -> Received {
        while !self.complete {
            let bytes = control.readable();
            if bytes.is_empty() {
                return Received::Part;
            }
            let mut taken = 0;
            for &byte in bytes {
                taken += 1;
                self.push(byte);
                if self.complete {
                    break;
                }
            }
            control.consume(taken);
        }
        if self.too_long { Received::TooLong } else { Received::Line }
    }

    /// The line that is complete, without its end; the next one may then be received.
    pub fn take(&mut self) -> Vec<u8, N> {
        self.complete = false;
        self.too_long = false;
        core::mem::take(&mut self.bytes)
    }

    /// The Telnet Synch (RFC 854): if a data mark has come behind the line that is complete,
    /// everything in front of it is thrown away, that line too.
    pub fn synch(&mut self, control: &mut dyn Stream) -> bool {
        let Some(behind) = behind_data_mark(control.readable()) else { return false };
        control.consume(behind);
        self.take();
        true
    }

    /// Puts a line back, to be taken again.
    pub fn put_back(&mut self, line: Vec<u8, N>) {
        self.bytes = line;
        self.complete = true;
    }

    /// Whether nothing has come of the next line.
    pub fn is_empty(&self) -> bool {
        let Self { bytes, telnet, after_cr, too_long, complete } = self;
        bytes.is_empty() && *telnet == Telnet::Data && !(*after_cr || *too_long || *complete)
    }

    /// The line that is complete.
    pub fn peek(&self) -> &[u8] {
        &self.bytes
    }

    fn push(&mut self, byte: u8) {
        self.telnet = match (self.telnet, byte) {
            (Telnet::Data, IAC) => Telnet::Command,
            (Telnet::Data, byte) => return self.push_data(byte),
            (Telnet::Command, SB) => Telnet::Subnegotiation,
            (Telnet::Command, byte) if NEGOTIATION.contains(&byte) => Telnet::Option,
            (Telnet::Command, byte) => {
                // IAC IAC is the byte 255 itself; IAC in front of data is noise.
                if byte == IAC || byte < SE {
                    self.push_data(byte);
                }
                Telnet::Data
            }
            (Telnet::Option, _) | (Telnet::SubnegotiationCommand, SE) => Telnet::Data,
            (Telnet::Subnegotiation, IAC) => Telnet::SubnegotiationCommand,
            // One that is not ended ends with the line.
            (Telnet::Subnegotiation | Telnet::SubnegotiationCommand, b'\n') => {
                self.push_data(b'\n');
                Telnet::Data
            }
            (Telnet::Subnegotiation | Telnet::SubnegotiationCommand, _) => Telnet::Subnegotiation,
        };
    }

    fn push_data(&mut self, byte: u8) {
        // RFC 959 ends lines with CRLF; a bare LF is understood.
        let after_cr = core::mem::replace(&mut self.after_cr, byte == b'\r');
        match byte {
            b'\n' => self.complete = true,
            _ if after_cr => self.store(b'\r'),
            _ => {}
        }
        if !matches!(byte, b'\r' | b'\n') {
            self.store(byte);
        }
    }

    fn store(&mut self, byte: u8) {
        self.too_long |= self.bytes.push(byte).is_err();
    }
}

/// Where the bytes go on behind the first data mark. `IAC IAC` is a byte of a name, and begins
/// no command with the byte behind it.
fn behind_data_mark(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let iac = bytes.get(at..)?.iter().position(|&byte| byte == IAC)?;
        at += iac + 2;
        if *bytes.get(at - 1)? == DM {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_marks() {
        for (bytes, behind) in [
            (&b"ab"[..], None),
            (b"", None),
            (b"a\xff", None),
            (b"\xff\xf2", Some(2)),
            (b"DELE x\r\n\xff\xf4\xff\xf2ABOR\r\n", Some(12)),
            (b"DELE \xff\xff\xf2\r\n", None),
            (b"DELE \xff\xff\xff\xf2", Some(9)),
        ] {
            assert_eq!(behind_data_mark(bytes), behind, "{bytes:?}");
        }
    }
}
