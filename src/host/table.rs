//! The table of connections in the log, for those who send SIGUSR1.

use std::fmt::Display;
use std::time::Duration;

use log::Level;
use tinyftp::connection::HEADER;
use tinyftp::net::{Binding, Net};
use tinyftp::time::Instant;

use super::logger;

/// How often one turn of the loop looks for the next connection at most.
const LOOKS_A_TURN: usize = 64;
/// The time between two parts of a long table, for those who read it.
const PAUSE: Duration = Duration::from_millis(1);

/// The table, as far as it is told.
#[derive(Default)]
pub struct Table {
    /// Where to go on; `None`: nobody has asked for more.
    place: Option<usize>,
}

impl Table {
    /// Somebody wants to see it. A table that is being told is not begun anew.
    pub fn ask(&mut self) {
        self.place = self.place.or(Some(0));
    }

    /// Logs a part of it, if somebody has asked; says when the next part is due.
    pub fn go_on(
        &mut self,
        net: &Net<'_>,
        services: &[Binding<'_>],
        now: Instant,
    ) -> Option<Instant> {
        for _ in 0..LOOKS_A_TURN {
            let place = self.place?;
            if !logger::is_writable() {
                break;
            }
            if place == 0 {
                tell(HEADER);
            }
            let listed = net.next_connection(place, services, now);
            if let Some(connection) = listed.connection {
                tell(connection);
            }
            self.place = listed.next;
        }
        self.place.map(|_| now + PAUSE)
    }
}

/// Logs a line at level info, or at the level that is the least to be logged: it was asked for.
fn tell(line: impl Display) {
    if let Some(level) = log::max_level().to_level() {
        log::log!(level.min(Level::Info), "{line}");
    }
}
