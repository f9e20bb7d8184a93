//! Time, as an argument: the core never reads a clock.
//!
//! [`Instant`] is monotonic and drives deadlines; [`Timestamp`] is the date in
//! file listings. `net` converts between [`Instant`] and smoltcp's type of the
//! same name, so that FTP compiles without smoltcp.

pub use core::time::Duration;

/// A point in monotonic time: microseconds since a start that the caller chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// The start of time.
    pub const ZERO: Self = Self(0);

    /// The instant `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// The instant `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl core::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// A date: whole seconds since 1970-01-01 00:00:00 UTC, without leap seconds.
///
/// A device that does not know the date counts from zero: its files are then from 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

/// A [`Timestamp`] as the calendar shows it, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, such as 2026.
    pub year: u64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

impl Timestamp {
    /// 9999-12-31 23:59:59: what comes after it has no place in the dates of RFC 3659.
    const LAST: u64 = 253_402_300_799;

    /// The calendar date and time of day in UTC, by the proleptic Gregorian calendar. What lies
    /// after the year 9999 (in a corrupt file system) is shown as its end.
    pub const fn civil(self) -> Civil {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = if self.0 < Self::LAST { self.0 } else { Self::LAST };
        // Days since 0000-03-01: with the year starting in March, the leap day comes last.
        let days = seconds / DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let second_of_day = seconds % DAY;
        Civil {
            year: year_of_era + era * 400 + (month <= 2) as u64,
            month: month as u8,
            day: day as u8,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }
}

impl Civil {
    /// The timestamp of this date in UTC; `None` if there is no such date, or it lies before
    /// 1970 or after 9999.
    pub fn timestamp(self) -> Option<Timestamp> {
        let Civil { year, month, day, hour, minute, second } = self;
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        // As in `civil`, years begin in March.
        let march_month = (u64::from(month) + 9) % 12;
        let year = year - u64::from(month <= 2);
        let day_of_year = (153 * march_month + 2) / 5 + u64::from(day) - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
        let time = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
        // What does not come back the same is no date: the 30th of February, or 24:60.
        Some(Timestamp(days * 24 * 60 * 60 + time)).filter(|date| date.civil() == self)
    }
}

impl core::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn civil(seconds: u64) -> (u64, u8, u8, u8, u8, u8) {
        let c = Timestamp(seconds).civil();
        (c.year, c.month, c.day, c.hour, c.minute, c.second)
    }

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1, 0, 0, 0));
        assert_eq!(civil(951_782_399), (2000, 2, 28, 23, 59, 59));
        assert_eq!(civil(951_782_400), (2000, 2, 29, 0, 0, 0));
        assert_eq!(civil(1_798_761_599), (2026, 12, 31, 23, 59, 59));
        assert_eq!(civil(4_107_542_400), (2100, 3, 1, 0, 0, 0));
        assert_eq!(civil(253_402_300_799), (9999, 12, 31, 23, 59, 59));
        assert_eq!(civil(253_402_300_800), (9999, 12, 31, 23, 59, 59));
        assert_eq!(civil(u64::MAX), (9999, 12, 31, 23, 59, 59));
    }

    #[test]
    fn dates_and_back() {
        for seconds in (0..4_200_000_000).step_by(86_399 * 7) {
            assert_eq!(Timestamp(seconds).civil().timestamp(), Some(Timestamp(seconds)));
        }
        let date = Timestamp(951_782_400).civil();
        for bad in [
            Civil { month: 0, ..date },
            Civil { month: 13, ..date },
            Civil { day: 0, ..date },
            Civil { day: 30, ..date },
            Civil { year: 2001, ..date },
            Civil { year: 1969, ..date },
            Civil { hour: 24, ..date },
            Civil { second: 60, ..date },
        ] {
            assert_eq!(bad.timestamp(), None, "{bad:?}");
        }
    }

    #[test]
    fn time_saturates() {
        assert_eq!(Instant::from_micros(5).since(Instant::from_micros(9)), Duration::ZERO);
        assert_eq!(Instant::ZERO + Duration::MAX, Instant::from_micros(u64::MAX));
    }
}
