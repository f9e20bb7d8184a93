//! The deflate transmission mode, MODE Z (draft-preston-ftpext-deflate-04): what goes over the
//! data connection is a zlib stream (RFC 1950).
//!
//! [`Zipped`] is a data connection whose bytes are compressed on their way, so that a transfer
//! needs to know nothing of it. Compressing takes much memory, so there are only as many
//! [`Codec`]s as the owner of the server lends it. A session has one from MODE Z to MODE S.

use crate::stream::{Status, Stream};

/// Bytes between a transfer and its compressor: room for the longest line of a listing.
const BUFFER: usize = 2048;
/// Bytes that one poll of a transfer compresses or decompresses, at most.
pub(super) const BYTES_A_POLL: usize = 32 * 1024;
/// How hard it is tried to make things small, from 0 to 9, unless the client says another.
pub(super) const LEVEL: u8 = 6;

/// What is done to a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is compressed, with this level: from 0, not at all, to 9, as well as can be.
    Compress(u8),
    /// It was compressed, and is made what it was.
    Decompress,
}

/// What one call of [`Zlib::run`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes taken from the input.
    pub taken: usize,
    /// Bytes given to the output.
    pub given: usize,
    /// Whether the stream is complete.
    pub ended: bool,
}

/// The input is no zlib stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// An implementation of the zlib format (RFC 1950).
pub trait Zlib {
    /// Begins another stream.
    fn begin(&mut self, way: Way);

    /// Takes from the front of `input`, and gives to the front of `output`, as much as it can;
    /// nothing of both, if it can do nothing. `last`: there is no more input behind this.
    fn run(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Result<Run, Corrupt>;
}

/// What a session in MODE Z compresses and decompresses with.
pub struct Codec {
    zlib: &'static mut dyn Zlib,
    pub(super) is_taken: bool,
    way: Way,
    /// Bytes that are not compressed: those from `start` to `end` are on their way.
    buffer: [u8; BUFFER],
    start: usize,
    end: usize,
    /// All that is to be compressed has come.
    is_finishing: bool,
    /// The stream is complete.
    ended: bool,
    /// Some of what is to be decompressed has come.
    has_begun: bool,
    /// What came was no zlib stream, or not all of one.
    is_corrupt: bool,
}

impl Codec {
    /// A codec that works with `zlib`.
    pub const fn new(zlib: &'static mut dyn Zlib) -> Self {
        Self {
            zlib,
            is_taken: false,
            way: Way::Decompress,
            buffer: [0; BUFFER],
            start: 0,
            end: 0,
            is_finishing: false,
            ended: false,
            has_begun: false,
            is_corrupt: false,
        }
    }

    /// Begins another stream.
    pub(super) fn begin(&mut self, way: Way) {
        self.zlib.begin(way);
        self.way = way;
        (self.start, self.end) = (0, 0);
        (self.is_finishing, self.ended) = (false, false);
        (self.has_begun, self.is_corrupt) = (false, false);
    }

    /// Whether what came was no zlib stream, or not all of one.
    pub(super) fn is_corrupt(&self) -> bool {
        self.is_corrupt
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }
}

/// A data connection in MODE Z, for the time of a poll.
pub(super) struct Zipped<'a> {
    stream: &'a mut dyn Stream,
    codec: &'a mut Codec,
}

impl<'a> Zipped<'a> {
    pub fn new(stream: &'a mut dyn Stream, codec: &'a mut Codec) -> Self {
        let mut zipped = Self { stream, codec };
        zipped.advance();
        zipped
    }

    fn compresses(&self) -> bool {
        matches!(self.codec.way, Way::Compress(_))
    }

    /// Compresses what waits, or decompresses what nobody waits for yet: the status tells of an
    /// end only when all before it can be read.
    fn advance(&mut self) {
        if self.compresses() {
            self.compress();
        } else if self.codec.waiting().is_empty() {
            self.decompress();
        }
    }

    /// Compresses what waits, straight into the transmit buffer.
    fn compress(&mut self) {
        let codec = &mut *self.codec;
        // Each round fills a part of the transmit buffer, or is the last one.
        while !codec.ended {
            let input = codec.buffer.get(codec.start..codec.end).unwrap_or_default();
            let output = self.stream.writable();
            if output.is_empty() || (input.is_empty() && !codec.is_finishing) {
                return;
            }
            let Ok(run) = codec.zlib.run(input, output, codec.is_finishing) else { return };
            self.stream.commit(run.given);
            codec.start += run.taken;
            codec.ended = run.ended;
            if codec.ended {
                self.stream.finish();
            } else if run.given == 0 {
                return;
            }
        }
    }

    /// Decompresses into the buffer, which is empty, straight from the receive buffer.
    fn decompress(&mut self) {
        let codec = &mut *self.codec;
        (codec.start, codec.end) = (0, 0);
        // Each round takes something, or is the last one.
        while codec.end == 0 && !codec.is_corrupt {
            let is_over = matches!(self.stream.status(), Status::PeerFinished);
            let input = self.stream.readable();
            if codec.ended {
                // Nothing may be behind the end.
                codec.is_corrupt = !input.is_empty();
                return;
            }
            let Ok(run) = codec.zlib.run(input, &mut codec.buffer, false) else {
                codec.is_corrupt = true;
                return;
            };
            self.stream.consume(run.taken);
            codec.has_begun |= run.taken > 0;
            (codec.end, codec.ended) = (run.given, run.ended);
            if run.taken == 0 && run.given == 0 {
                // A client that has nothing to send may send no stream either.
                codec.ended |= is_over && !codec.has_begun;
                codec.is_corrupt = is_over && codec.has_begun && !run.ended;
                return;
            }
        }
    }
}

impl Stream for Zipped<'_> {
    fn readable(&mut self) -> &[u8] {
        self.codec.waiting()
    }

    fn consume(&mut self, n: usize) {
        self.codec.start = self.codec.end.min(self.codec.start + n);
        self.advance();
    }

    fn writable(&mut self) -> &mut [u8] {
        let codec = &mut *self.codec;
        if codec.is_finishing {
            return &mut [];
        }
        codec.buffer.copy_within(codec.start..codec.end, 0);
        (codec.start, codec.end) = (0, codec.end - codec.start);
        codec.buffer.get_mut(codec.end..).unwrap_or_default()
    }

    fn commit(&mut self, n: usize) {
        self.codec.end += n;
        self.advance();
    }

    fn room(&self) -> usize {
        if self.codec.is_finishing {
            self.stream.room()
        } else {
            BUFFER - self.codec.waiting().len()
        }
    }

    fn finish(&mut self) {
        if self.compresses() {
            self.codec.is_finishing = true;
            self.advance();
        } else {
            self.stream.finish();
        }
    }

    fn status(&self) -> Status {
        match self.stream.status() {
            Status::Broken => Status::Broken,
            _ if self.codec.is_corrupt => Status::Broken,
            // What has come is not all that there was to come.
            // Not before it is decompressed to its end.
            Status::PeerFinished if !self.compresses() && !self.codec.ended => Status::Open,
            status => status,
        }
    }
}
