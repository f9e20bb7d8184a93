//! A TCP connection in memory: the server's end is a [`Stream`], the client's end is methods.

use std::collections::VecDeque;

use tinyftp::stream::{Status, Stream};

/// A ring of fixed capacity, which offers its bytes and its room in up to two parts.
struct Ring {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self { bytes: vec![0; capacity], start: 0, len: 0 }
    }

    fn room(&self) -> usize {
        self.bytes.len() - self.len
    }

    fn front(&self) -> &[u8] {
        let end = (self.start + self.len).min(self.bytes.len());
        &self.bytes[self.start..end]
    }

    fn consume(&mut self, n: usize) {
        assert!(n <= self.front().len(), "more is consumed than was offered");
        self.start = (self.start + n) % self.bytes.len();
        self.len -= n;
    }

    fn back(&mut self) -> &mut [u8] {
        let (capacity, end) = (self.bytes.len(), self.start + self.len);
        let free = if end < capacity { end..capacity } else { end - capacity..self.start };
        &mut self.bytes[free]
    }

    fn commit(&mut self, n: usize) {
        assert!(n <= self.back().len(), "more is committed than was offered");
        self.len += n;
    }

    fn push(&mut self, byte: u8) {
        self.back()[0] = byte;
        self.commit(1);
    }

    fn last(&self) -> Option<u8> {
        let last = self.len.checked_sub(1)?;
        self.bytes.get((self.start + last) % self.bytes.len()).copied()
    }

    fn pop(&mut self) -> Option<u8> {
        let byte = self.front().first().copied()?;
        self.consume(1);
        Some(byte)
    }
}

/// A connection.
pub struct Wire {
    receive: Ring,
    transmit: Ring,
    /// What the client has sent and the server has not received.
    under_way: VecDeque<u8>,
    /// Bytes that arrive at once, at most.
    pub segment: usize,
    /// The client has sent FIN, behind what is under way.
    client_finished: bool,
    /// That FIN has arrived.
    fin_received: bool,
    /// The server has sent FIN.
    finished: bool,
    fin_acknowledged: bool,
    stays_open: bool,
    broken: bool,
}

impl Wire {
    pub fn new(capacity: usize) -> Self {
        Self {
            receive: Ring::new(capacity),
            transmit: Ring::new(capacity),
            under_way: VecDeque::new(),
            segment: usize::MAX,
            client_finished: false,
            fin_received: false,
            finished: false,
            fin_acknowledged: false,
            stays_open: false,
            broken: false,
        }
    }

    // The client's end.

    pub fn send(&mut self, bytes: &[u8]) {
        self.under_way.extend(bytes);
    }

    /// The client's FIN.
    pub fn send_fin(&mut self) {
        self.client_finished = true;
    }

    /// The client's RST, or the end of its patience.
    pub fn reset(&mut self) {
        self.broken = true;
        self.under_way.clear();
    }

    /// What the server has sent; with this the client acknowledges it.
    pub fn take(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.transmit.pop()).collect()
    }

    /// At most `n` bytes of it.
    pub fn take_some(&mut self, n: usize) -> Vec<u8> {
        std::iter::from_fn(|| self.transmit.pop()).take(n).collect()
    }

    /// Whether there is something that [`take`](Self::take) would take.
    pub fn has_output(&self) -> bool {
        self.transmit.len > 0
    }

    /// Whether what the server has queued ends with a whole line.
    pub fn is_at_line_end(&self) -> bool {
        self.transmit.last().is_none_or(|byte| byte == b'\n')
    }

    /// Whether the server has sent FIN, and every byte before it was taken.
    pub fn ended(&self) -> bool {
        self.finished && !self.has_output()
    }

    /// Whether the server has sent FIN.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The client's acknowledgement of the server's FIN.
    ///
    /// Its own FIN comes along, as of a client that closes when it has read everything.
    pub fn acknowledge_fin(&mut self) {
        assert!(self.ended(), "there is no FIN to be acknowledged");
        self.fin_acknowledged = true;
    }

    /// The same from a client that keeps its side open.
    pub fn acknowledge_fin_only(&mut self) {
        self.acknowledge_fin();
        self.stays_open = true;
    }

    /// A segment arrives, if one is under way and there is room; whether something changed.
    pub fn arrive(&mut self) -> bool {
        let fin = self.client_finished && !self.fin_received;
        let n = self.segment.min(self.receive.room()).min(self.under_way.len());
        for byte in self.under_way.drain(..n) {
            self.receive.push(byte);
        }
        // FIN comes along with the last bytes.
        self.fin_received |= fin && self.under_way.is_empty();
        n > 0 || (fin && self.fin_received)
    }

    /// Bytes that the client has sent and the server has not taken.
    pub fn unread(&self) -> usize {
        self.under_way.len() + self.receive.len
    }
}

impl Stream for Wire {
    fn readable(&mut self) -> &[u8] {
        self.receive.front()
    }

    fn consume(&mut self, n: usize) {
        self.receive.consume(n);
    }

    fn writable(&mut self) -> &mut [u8] {
        if self.broken || self.finished {
            return &mut [];
        }
        self.transmit.back()
    }

    fn commit(&mut self, n: usize) {
        self.transmit.commit(n);
    }

    fn room(&self) -> usize {
        self.transmit.room()
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn status(&self) -> Status {
        if self.broken {
            Status::Broken
        } else if self.ended() && self.fin_acknowledged {
            if self.stays_open { Status::Delivered } else { Status::Closed }
        } else if self.fin_received {
            Status::PeerFinished
        } else {
            Status::Open
        }
    }
}
