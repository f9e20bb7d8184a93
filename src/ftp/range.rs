//! Ranges of the bytes of a file: REST (RFC 3659 section 5) has their start, RANG
//! (draft-bryan-ftp-range-08) their end as well.

use core::fmt;

use super::command::number;

/// Bytes of a file, from `start` up to `end`, which is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u64,
    /// `u64::MAX`: up to the end of the file.
    end: u64,
}

impl Default for Range {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl Range {
    /// All bytes.
    pub const WHOLE: Self = Self { start: 0, end: u64::MAX };

    /// `None` if there is no byte in between, or none that a file can have: storage counts in
    /// signed 64 bits at the most.
    pub fn new(start: u64, end: u64) -> Option<Self> {
        (start < end && start <= i64::MAX as u64).then_some(Self { start, end })
    }

    /// The bytes from `start` on.
    pub fn starting_at(start: u64) -> Option<Self> {
        Self::new(start, u64::MAX)
    }

    /// The argument of RANG (section 3): the first byte and the last; `1 0` is all bytes.
    pub fn parse(argument: &[u8]) -> Option<Self> {
        let mut words = argument.trim_ascii().split(|&b| b == b' ');
        let (first, last) = (number(words.next()?)?, number(words.next()?)?);
        match (first, last, words.next()) {
            (1, 0, None) => Some(Self::WHOLE),
            (_, _, None) => Self::new(first, last.saturating_add(1)),
            _ => None,
        }
    }

    pub fn start(self) -> u64 {
        self.start
    }

    /// Whether it ends before the file does, perhaps.
    pub fn is_bounded(self) -> bool {
        self.end != u64::MAX
    }

    /// How many of its bytes a file of `size` bytes has.
    pub fn within(self, size: u64) -> u64 {
        size.min(self.end).saturating_sub(self.start)
    }

    /// The front of `buf` that the next bytes may fill when `done` of them have gone by; empty
    /// if there are no more.
    pub fn room(self, done: u64, buf: &mut [u8]) -> &mut [u8] {
        let left = self.end.saturating_sub(self.start).saturating_sub(done);
        let fits = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        buf.get_mut(..fits).unwrap_or_default()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = *self;
        if *self == Self::WHOLE {
            f.write_str("the whole file")
        } else if self.is_bounded() {
            write!(f, "bytes {start} to {}", end.saturating_sub(1))
        } else {
            write!(f, "bytes from {start} on")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: u64 = i64::MAX as u64;

    #[test]
    fn arguments_of_rang() {
        for (argument, start, end) in [
            ("0 0", 0, 1),
            ("2 5", 2, 6),
            (" 2 5 ", 2, 6),
            ("1 0", 0, u64::MAX),
            ("0 9223372036854775807", 0, LAST + 1),
            ("9223372036854775807 9223372036854775807", LAST, LAST + 1),
            ("7 18446744073709551614", 7, u64::MAX),
            ("7 18446744073709551615", 7, u64::MAX),
        ] {
            assert_eq!(Range::parse(argument.as_bytes()), Some(Range { start, end }), "{argument}");
        }
        for bad in [
            "",
            "1",
            "1 ",
            "2 1",
            "2 0",
            "1  2",
            "1 2 3",
            "-1 2",
            "1 x",
            "0 18446744073709551616",
            "9223372036854775808 18446744073709551615",
        ] {
            assert_eq!(Range::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_a_file_has_of_it() {
        let range = Range::new(2, 6).unwrap();
        for (size, has) in [(0, 0), (2, 0), (3, 1), (6, 4), (10, 4), (u64::MAX, 4)] {
            assert_eq!(range.within(size), has, "{size}");
        }
        assert_eq!(Range::WHOLE.within(u64::MAX), u64::MAX);
        let mut buf = [0; 3];
        for (done, room) in [(0, 3), (1, 3), (2, 2), (4, 0), (u64::MAX, 0)] {
            assert_eq!(range.room(done, &mut buf).len(), room, "{done}");
        }
    }
}
