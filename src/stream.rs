//! One byte stream, seen as a readable and a writable slice.

use crate::bytes::copy;

/// How far a [`Stream`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Established, or closing with bytes of ours still on their way.
    Open,
    /// The peer sent FIN and every byte before it is readable or consumed; we may still send.
    PeerFinished,
    /// Our FIN, and with it every byte of ours, has been acknowledged; the peer may still send.
    Delivered,
    /// As [`Delivered`](Self::Delivered), and the peer has finished too.
    Closed,
    /// The connection is gone: reset, timed out, or given up. Bytes of ours may be lost.
    Broken,
}

/// A connection, seen from the service: bytes to read and room to write, both in place.
///
/// The slices are the transport's own buffers, so what is read from disk into
/// [`writable`](Self::writable) is not copied again before it becomes a segment.
/// Both may be shorter than what is queued or free, because the buffers are
/// rings; ask again after [`consume`](Self::consume) or [`commit`](Self::commit).
pub trait Stream {
    /// Received bytes that were not consumed yet. Empty: none now.
    fn readable(&mut self) -> &[u8];

    /// Takes the first `n` bytes of [`readable`](Self::readable). What is not
    /// taken closes the TCP window: that is the back-pressure.
    fn consume(&mut self, n: usize);

    /// Free space to write into. Empty: none now, or the stream no longer sends.
    fn writable(&mut self) -> &mut [u8];

    /// Queues the first `n` bytes of [`writable`](Self::writable) for sending.
    fn commit(&mut self, n: usize);

    /// All free bytes of the transmit buffer, which [`writable`](Self::writable) may offer in
    /// two parts. It grows with what the peer acknowledges, after [`finish`](Self::finish) too.
    fn room(&self) -> usize;

    /// Sends FIN after what is queued. Reading goes on.
    fn finish(&mut self);

    /// How far the connection has come.
    fn status(&self) -> Status;

    /// Queues as much of `bytes` as there is room for; returns how much that was.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut written = 0;
        // Twice at most: a ring offers its free space in two parts.
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            let n = copy(rest, self.writable());
            if n == 0 {
                break;
            }
            self.commit(n);
            written += n;
        }
        written
    }
}
