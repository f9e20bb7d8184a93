//! What a client says on a control connection, decoded all at once and in two passes: the
//! reference for the server, which does it byte by byte.

use std::vec::Vec;

const IAC: u8 = 255;
const SB: u8 = 250;
const SE: u8 = 240;

/// The lines of what was sent, without their ends, and what follows the last of them.
pub fn lines(sent: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let text = without_commands(sent);
    let mut lines: Vec<Vec<u8>> = text.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let rest = lines.pop().unwrap_or_default();
    for line in &mut lines {
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    (lines, rest)
}

/// Takes the Telnet commands out (RFC 854).
fn without_commands(mut sent: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    while let [byte, rest @ ..] = sent {
        sent = match (byte, rest) {
            (&IAC, [SB, inside @ ..]) => behind_subnegotiation(inside),
            // WILL, WONT, DO, DONT and their option.
            (&IAC, [251..=254, rest @ ..]) => rest.get(1..).unwrap_or_default(),
            (&IAC, [SE..=249, rest @ ..]) => rest,
            // IAC IAC is the byte itself; in front of anything else IAC is noise.
            (&IAC, [byte, rest @ ..]) => {
                text.push(*byte);
                rest
            }
            (&IAC, []) => rest,
            _ => {
                text.push(*byte);
                rest
            }
        };
    }
    text
}

/// Behind the IAC SE that ends a subnegotiation, or at the line end that it does not reach over.
fn behind_subnegotiation(inside: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(rest) = inside.get(at..) {
        match rest {
            [] | [b'\n', ..] | [IAC, b'\n', ..] => {
                let skipped = usize::from(rest.first() == Some(&IAC));
                return &rest[skipped..];
            }
            [IAC, SE, behind @ ..] => return behind,
            [IAC, _, ..] => at += 2,
            _ => at += 1,
        }
    }
    &[]
}
