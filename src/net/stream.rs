//! A smoltcp TCP socket as a [`Stream`].

use smoltcp::socket::tcp::{Socket, State};

use crate::stream::{Status, Stream};

/// The socket of a slot, for the time of a poll.
pub(super) struct TcpStream<'s, 'a> {
    pub socket: &'s mut Socket<'a>,
    /// Counts what is consumed.
    pub consumed: &'s mut u64,
    /// Counts what is written.
    pub written: &'s mut u64,
    /// Whether the connection was lost.
    pub lost: bool,
}

impl Stream for TcpStream<'_, '_> {
    fn readable(&mut self) -> &[u8] {
        self.socket.peek(usize::MAX).unwrap_or_default()
    }

    fn consume(&mut self, n: usize) {
        let taken = self.socket.recv(|bytes| {
            let n = n.min(bytes.len());
            (n, n)
        });
        *self.consumed += taken.unwrap_or(0) as u64;
    }

    fn writable(&mut self) -> &mut [u8] {
        // Offers the free space and takes none of it; it is the same in `commit`.
        self.socket.send(|free| (0, free)).unwrap_or_default()
    }

    fn commit(&mut self, n: usize) {
        let queued = self.socket.send(|free| {
            let n = n.min(free.len());
            (n, n)
        });
        *self.written += queued.unwrap_or(0) as u64;
    }

    fn room(&self) -> usize {
        self.socket.send_capacity() - self.socket.send_queue()
    }

    fn finish(&mut self) {
        // No more data will go with the ACKs: those of the last words need not wait for it.
        self.socket.set_ack_delay(None);
        self.socket.close();
    }

    fn status(&self) -> Status {
        match self.socket.state() {
            _ if self.lost => Status::Broken,
            State::CloseWait | State::LastAck | State::Closing => Status::PeerFinished,
            State::FinWait2 => Status::Delivered,
            State::TimeWait | State::Closed => Status::Closed,
            State::Listen
            | State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait1 => Status::Open,
        }
    }
}
