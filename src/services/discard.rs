//! Discard (RFC 863): what comes is thrown away. It is the other end that a test of throughput
//! wants.

use super::simple::{BYTES_A_TURN, Exchange, Progress, pause};
use crate::service::{Datagram, DatagramService};
use crate::stream::Stream;
use crate::time::Instant;

/// The discard service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl Exchange for Discard {
    const NAME: &'static str = "discard";

    fn advance(&mut self, stream: &mut dyn Stream, _: Instant) -> Progress {
        let mut moved = 0;
        while moved < BYTES_A_TURN {
            let n = stream.readable().len();
            if n == 0 {
                return pause(stream, moved > 0);
            }
            stream.consume(n);
            moved += n;
        }
        Progress::More
    }
}

impl DatagramService for Discard {
    fn answer(&mut self, _: &Datagram<'_>, _: &mut [u8], _: Instant) -> Option<usize> {
        None
    }
}
