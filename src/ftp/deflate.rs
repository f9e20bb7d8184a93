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
    stage: Stage,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has come yet.
    Fresh,
    Running,
    /// All that is to be compressed has come.
    Finishing,
    /// It is complete.
    Ended,
    /// What came was no zlib stream, or not all of one.
    Corrupt,
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
            stage: Stage::Fresh,
        }
    }

    /// Begins another stream.
    pub(super) fn begin(&mut self, way: Way) {
        self.zlib.begin(way);
        self.way = way;
        (self.start, self.end, self.stage) = (0, 0, Stage::Fresh);
    }

    /// Whether what came was no zlib stream, or not all of one.
    pub(super) fn is_corrupt(&self) -> bool {
        self.stage == Stage::Corrupt
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
        while codec.stage != Stage::Ended {
            let is_last = codec.stage == Stage::Finishing;
            let input = codec.buffer.get(codec.start..codec.end).unwrap_or_default();
            let output = self.stream.writable();
            if output.is_empty() || (input.is_empty() && !is_last) {
                return;
            }
            let Ok(run) = codec.zlib.run(input, output, is_last) else { return };
            self.stream.commit(run.given);
            codec.start += run.taken;
            if run.ended {
                codec.stage = Stage::Ended;
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
        while codec.end == 0 {
            let is_over = self.stream.status() == Status::PeerFinished;
            let input = self.stream.readable();
            let run = match codec.stage {
                Stage::Corrupt => return,
                Stage::Ended if input.is_empty() => return,
                Stage::Ended => Err(Corrupt),
                _ => codec.zlib.run(input, &mut codec.buffer, false),
            };
            let Ok(Run { taken, given, ended }) = run else {
                codec.stage = Stage::Corrupt;
                return;
            };
            self.stream.consume(taken);
            codec.end = given;
            codec.stage = match (taken + given, codec.stage) {
                _ if ended => Stage::Ended,
                // A client that has nothing to send may send no stream either.
                (0, Stage::Fresh) if is_over => Stage::Ended,
                (0, _) if is_over => Stage::Corrupt,
                (0, _) => return,
                _ => Stage::Running,
            };
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
        if codec.stage == Stage::Finishing {
            return &mut [];
        }
        let end = codec.end.min(BUFFER);
        let start = codec.start.min(end);
        codec.buffer.copy_within(start..end, 0);
        (codec.start, codec.end) = (0, end - start);
        codec.buffer.get_mut(codec.end..).unwrap_or_default()
    }

    fn commit(&mut self, n: usize) {
        self.codec.end += n;
        self.advance();
    }

    fn room(&self) -> usize {
        if matches!(self.codec.stage, Stage::Finishing | Stage::Ended) {
            self.stream.room()
        } else {
            BUFFER - self.codec.waiting().len()
        }
    }

    fn finish(&mut self) {
        if self.compresses() {
            self.codec.stage = Stage::Finishing;
            self.advance();
        } else {
            self.stream.finish();
        }
    }

    fn status(&self) -> Status {
        match (self.stream.status(), self.codec.stage) {
            (_, Stage::Corrupt) => Status::Broken,
            // Not before all is decompressed.
            (Status::PeerFinished, stage) if stage != Stage::Ended && !self.compresses() => {
                Status::Open
            }
            (status, _) => status,
        }
    }
}
