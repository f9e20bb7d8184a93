//! TYPE A: lines end with CRLF on the wire and with LF in storage (RFC 959 section 3.1.1.1).
//!
//! Both directions work in place, with the same result at any split of the bytes. A CRLF
//! that is in a file already is sent as it is, and a CR without LF is kept.

use core::task::Poll;

use crate::bytes::copy;

/// From storage to the wire: LF becomes CRLF.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToWire {
    after_cr: bool,
    /// The CR of a CRLF was written, and there was no room for the LF.
    owes_lf: bool,
}

impl ToWire {
    /// Fills the front of `out`, which is not empty, from what `read` gives; `read` is asked
    /// once at most. Returns how much is filled: 0 is the end.
    pub fn fill<E>(
        &mut self,
        out: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Poll<Result<usize, E>>,
    ) -> Poll<Result<usize, E>> {
        if self.owes_lf {
            *self = Self::default();
            return Poll::Ready(Ok(copy(b"\n", out)));
        }
        // Read into the back half: were every byte an LF, the front, which grows twice as
        // fast, would reach the end together with it, but for one LF if the length is odd.
        let back = out.len() / 2;
        let read = read(out.get_mut(back..).unwrap_or_default());
        read.map(|read| read.map(|n| self.expand(out, back, n)))
    }

    /// Moves `out[back..back + n]` to the front of `out`, with CR before each bare LF.
    fn expand(&mut self, out: &mut [u8], back: usize, n: usize) -> usize {
        let mut filled = 0;
        for at in back..(back + n).min(out.len()) {
            let byte = out[at];
            if byte == b'\n' && !self.after_cr {
                filled = put(out, filled, b'\r');
                if filled > at {
                    self.owes_lf = true;
                    break;
                }
            }
            filled = put(out, filled, byte);
            self.after_cr = byte == b'\r';
        }
        filled
    }
}

/// Puts a byte at a place, and says which is the next.
fn put(out: &mut [u8], at: usize, byte: u8) -> usize {
    if let Some(place) = out.get_mut(at) {
        *place = byte;
    }
    at + 1
}

/// From the wire to storage: CRLF becomes LF.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToStorage {
    /// A CR was taken from the wire; the byte after it decides whether it is stored.
    holds_cr: bool,
}

/// What is to be done with bytes from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Store these, then take as many from the wire as were stored.
    Store(&'a [u8]),
    /// Store a CR that was taken before, then say [`ToStorage::stored_cr`].
    StoreCr,
    /// Take one byte, a CR, and store nothing.
    HoldCr,
    /// Nothing.
    None,
}

impl ToStorage {
    /// What to do with `bytes`, the next ones from the wire; none are left when it is the end.
    pub fn piece<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        match (self.holds_cr, bytes) {
            (true, [b'\n', ..]) => self.holds_cr = false,
            (true, _) => return Piece::StoreCr,
            (false, []) => return Piece::None,
            (false, _) => {}
        }
        let run = bytes.iter().position(|&b| b == b'\r').unwrap_or(bytes.len());
        if run == 0 {
            self.holds_cr = true;
            return Piece::HoldCr;
        }
        Piece::Store(&bytes[..run])
    }

    /// The CR that was held is stored.
    pub fn stored_cr(&mut self) {
        self.holds_cr = false;
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Sends `file` as TYPE A through pieces of room of the sizes given, in turn.
    fn to_wire(file: &[u8], rooms: &[usize]) -> Vec<u8> {
        let (mut convert, mut file, mut wire) = (ToWire::default(), file, Vec::new());
        for room in rooms.iter().cycle() {
            let mut out = std::vec![0; *room];
            let filled = convert.fill(&mut out, |buf| {
                let n = buf.len().min(file.len());
                buf[..n].copy_from_slice(&file[..n]);
                file = &file[n..];
                Poll::Ready(Ok::<_, ()>(n))
            });
            match filled {
                Poll::Ready(Ok(0)) => return wire,
                Poll::Ready(Ok(n)) => wire.extend_from_slice(&out[..n]),
                _ => unreachable!(),
            }
        }
        unreachable!()
    }

    /// Stores what arrives as TYPE A in segments of `size` bytes.
    fn to_storage(wire: &[u8], size: usize) -> Vec<u8> {
        let (mut convert, mut file) = (ToStorage::default(), Vec::new());
        for mut segment in wire.chunks(size) {
            while !segment.is_empty() {
                match convert.piece(segment) {
                    Piece::Store(bytes) => {
                        // Storage may take less than it is offered.
                        let n = bytes.len().div_ceil(2);
                        file.extend_from_slice(&bytes[..n]);
                        segment = &segment[n..];
                    }
                    Piece::StoreCr => {
                        file.push(b'\r');
                        convert.stored_cr();
                    }
                    Piece::HoldCr => segment = &segment[1..],
                    Piece::None => unreachable!(),
                }
            }
        }
        if convert.piece(&[]) == Piece::StoreCr {
            file.push(b'\r');
        }
        file
    }

    #[test]
    fn every_split_gives_the_same_lines() {
        let file = b"one\ntwo\r\n\n\n\rthree\r\r\n\n";
        let wire = b"one\r\ntwo\r\n\r\n\r\n\rthree\r\r\n\r\n";
        for rooms in [&[1][..], &[2], &[3], &[4], &[5], &[64], &[1, 2, 3], &[7, 1]] {
            assert_eq!(to_wire(file, rooms), wire, "{rooms:?}");
        }
        let stored = b"one\ntwo\n\n\n\rthree\r\n\n";
        for size in 1..=wire.len() {
            assert_eq!(to_storage(wire, size), stored, "{size}");
        }
    }

    #[test]
    fn a_lone_cr_is_kept() {
        for size in 1..4 {
            assert_eq!(to_storage(b"a\r", size), b"a\r");
            assert_eq!(to_storage(b"\r\rb", size), b"\r\rb");
        }
    }
}
