//! Echo (RFC 862): what comes is sent back.

use super::simple::{BYTES_A_TURN, Exchange, Progress, pause};
use crate::bytes::copy;
use crate::service::{Datagram, DatagramService};
use crate::stream::Stream;
use crate::time::Instant;

/// The echo service. Over TCP it goes on until the peer is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Exchange for Echo {
    const NAME: &'static str = "echo";

    fn advance(&mut self, stream: &mut dyn Stream, _: Instant) -> Progress {
        let mut moved = 0;
        while moved < BYTES_A_TURN {
            let room = stream.room();
            let mut piece = [0; 512];
            let bytes = stream.readable();
            let n = copy(bytes.get(..room).unwrap_or(bytes), &mut piece);
            if n == 0 {
                return pause(stream, moved > 0);
            }
            stream.write(piece.get(..n).unwrap_or_default());
            stream.consume(n);
            moved += n;
        }
        Progress::More
    }
}

impl DatagramService for Echo {
    fn answer(&mut self, datagram: &Datagram<'_>, reply: &mut [u8], _: Instant) -> Option<usize> {
        let payload = datagram.payload;
        Some(copy(payload, reply.get_mut(..payload.len())?))
    }
}
