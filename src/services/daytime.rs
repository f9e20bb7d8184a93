//! Daytime (RFC 867): the date and the time of day, in UTC, as a line for people.

use core::fmt::Write;

use super::simple::{Exchange, Progress};
use crate::service::{Datagram, DatagramService};
use crate::stream::Stream;
use crate::time::{Civil, Instant, Timestamp};

/// The daytime service. Whatever is said to it, it says the time, and over TCP hangs up.
#[derive(Clone, Copy, Debug)]
pub struct Daytime {
    /// The date at [`Instant::ZERO`].
    pub start: Timestamp,
}

/// `Wednesday, September 29, 9999 23:59:59-UTC` and the end of the line.
const LINE_MAX: usize = 44;

impl Daytime {
    fn line(&self, now: Instant) -> heapless::String<LINE_MAX> {
        let date = self.start + now.since(Instant::ZERO);
        let Civil { year, month, day, hour, minute, second } = date.civil();
        let weekday = WEEKDAYS[(date.0 / (24 * 60 * 60) % 7) as usize];
        let month = MONTHS[usize::from(month - 1)];
        let mut line = heapless::String::new();
        // It has room for the longest.
        let _ = write!(
            line,
            "{weekday}, {month} {day}, {year} {hour:02}:{minute:02}:{second:02}-UTC\r\n"
        );
        line
    }
}

impl Exchange for Daytime {
    const NAME: &'static str = "daytime";

    fn advance(&mut self, stream: &mut dyn Stream, now: Instant) -> Progress {
        stream.write(self.line(now).as_bytes());
        Progress::Done
    }
}

impl DatagramService for Daytime {
    fn answer(&mut self, _: &Datagram<'_>, reply: &mut [u8], now: Instant) -> Option<usize> {
        let line = self.line(now);
        reply.get_mut(..line.len())?.copy_from_slice(line.as_bytes());
        Some(line.len())
    }
}

/// The first day of 1970 was a Thursday.
const WEEKDAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::time::Duration;

    #[test]
    fn lines() {
        let line = |start, passed| {
            let daytime = Daytime { start: Timestamp(start) };
            daytime.line(Instant::ZERO + Duration::from_secs(passed)).to_string()
        };
        assert_eq!(line(0, 0), "Thursday, January 1, 1970 00:00:00-UTC\r\n");
        assert_eq!(line(1_795_326_203, 4), "Sunday, November 22, 2026 05:43:27-UTC\r\n");
        // The longest, and what is past the last date.
        assert_eq!(line(253_394_265_599, 0).len(), LINE_MAX);
        assert_eq!(
            line(u64::MAX, u64::MAX).split_once(' ').unwrap().1,
            "December 31, 9999 23:59:59-UTC\r\n"
        );
    }
}
