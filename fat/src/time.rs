//! The time in directory entries: local civil time in steps of two seconds, from 1980 on.
//!
//! FAT §"Date and Time Formats". What is local here is UTC.

/// The most seconds that are told apart: the end of 2107.
const LATEST: u64 = 4_354_819_199;
/// The start of 1980, in Unix seconds.
const EARLIEST: u64 = 315_532_800;

/// A date and a time of day, as a directory entry holds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Years since 1980, month, day: 7, 4 and 5 bits.
    pub(crate) date: u16,
    /// Hour, minute, two seconds: 5, 6 and 5 bits.
    pub(crate) time: u16,
}

impl Timestamp {
    /// The time so many seconds after the start of 1970, or the nearest that can be held.
    pub(crate) fn from_unix(seconds: u64) -> Self {
        let seconds = seconds.clamp(EARLIEST, LATEST).saturating_sub(EARLIEST);
        let (mut days, of_day) = (div(seconds, 86_400), rem(seconds, 86_400));
        let mut year = 0;
        // 128 years at most.
        while days >= days_in_year(year) {
            days = days.saturating_sub(days_in_year(year));
            year = u64::saturating_add(year, 1);
        }
        let mut month = 1;
        for length in month_lengths(year) {
            if days < length {
                break;
            }
            days = days.saturating_sub(length);
            month = u64::saturating_add(month, 1);
        }
        let date = year << 9 | month << 5 | days.saturating_add(1);
        let time =
            div(of_day, 3600) << 11 | rem(div(of_day, 60), 60) << 5 | div(rem(of_day, 60), 2);
        Self { date: u16::try_from(date).unwrap_or(0), time: u16::try_from(time).unwrap_or(0) }
    }
}

impl Default for Timestamp {
    /// The earliest: a board without a clock tells no other.
    fn default() -> Self {
        Self::from_unix(0)
    }
}

fn days_in_year(year: u64) -> u64 {
    month_lengths(year).iter().sum()
}

/// The lengths of a year's months; `year` counts from 1980, and 2100 is no leap year.
fn month_lengths(year: u64) -> [u64; 12] {
    let february = if rem(year, 4) == 0 && year != 120 { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn div(number: u64, by: u64) -> u64 {
    number.checked_div(by).unwrap_or(0)
}

fn rem(number: u64, by: u64) -> u64 {
    number.checked_rem(by).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_become_civil_time() {
        let check = |seconds: u64, expected: (u16, u16, u16, u16, u16, u16)| {
            let Timestamp { date, time } = Timestamp::from_unix(seconds);
            let shown = (
                (date >> 9) + 1980,
                date >> 5 & 15,
                date & 31,
                time >> 11,
                time >> 5 & 63,
                (time & 31) * 2,
            );
            assert_eq!(shown, expected, "{seconds}");
        };
        check(0, (1980, 1, 1, 0, 0, 0));
        check(315_532_800, (1980, 1, 1, 0, 0, 0));
        check(951_782_399, (2000, 2, 28, 23, 59, 58));
        check(951_782_400, (2000, 2, 29, 0, 0, 0));
        check(951_868_800, (2000, 3, 1, 0, 0, 0));
        check(1_795_355_013, (2026, 11, 22, 13, 43, 32));
        check(4_107_456_000, (2100, 2, 28, 0, 0, 0));
        check(4_107_542_400, (2100, 3, 1, 0, 0, 0));
        check(4_354_819_199, (2107, 12, 31, 23, 59, 58));
        check(u64::MAX, (2107, 12, 31, 23, 59, 58));
    }
}
