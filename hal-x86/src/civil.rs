//! Calendar dates and Unix seconds, of the proleptic Gregorian calendar.
//!
//! The CMOS clock counts in dates, the protocol in nanoseconds since 1970.

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Days from 0000-03-01, where the count below starts, to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
/// Days of a 400-year cycle of the calendar.
const CYCLE_DAYS: i64 = 146_097;

/// A date and a time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Civil {
    /// Full year, for instance 2026.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59: the CMOS clock knows no leap seconds.
    pub second: u8,
}

impl Civil {
    /// Whether this is a moment of the calendar: every field in range, no 31st of April.
    pub const fn is_valid(&self) -> bool {
        self.month >= 1
            && self.month <= 12
            && self.day >= 1
            && self.day <= days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Seconds since 1970-01-01 00:00:00 UTC. Fields out of range count over into the next larger
    /// one.
    pub fn unix_seconds(&self) -> i64 {
        // Years start in March, so that the leap day is a year's last and months have a regular
        // pattern of lengths.
        let (year, month) = match self.month {
            3.. => (i64::from(self.year), i64::from(self.month) - 3),
            _ => (i64::from(self.year) - 1, i64::from(self.month) + 9),
        };
        let year_of_cycle = year.rem_euclid(400);
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_cycle =
            year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
        let days = year.div_euclid(400) * CYCLE_DAYS + day_of_cycle - EPOCH_DAYS;
        let time =
            i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        days * DAY + time
    }

    /// The date and time of `seconds` since 1970; `None` outside of the years 0 to 65535.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let days = seconds.div_euclid(DAY) + EPOCH_DAYS;
        let time = seconds.rem_euclid(DAY);
        let day_of_cycle = days.rem_euclid(CYCLE_DAYS);
        // Take the leap days before this one out, and what remains is years of 365 days each.
        let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year =
            day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
        let month = (5 * day_of_year + 2) / 153;
        let january_or_february = month >= 10;
        let year =
            days.div_euclid(CYCLE_DAYS) * 400 + year_of_cycle + i64::from(january_or_february);
        Some(Self {
            year: u16::try_from(year).ok()?,
            month: u8::try_from(if january_or_february { month - 9 } else { month + 3 }).ok()?,
            day: u8::try_from(day_of_year - (153 * month + 2) / 5 + 1).ok()?,
            hour: u8::try_from(time / 3600).ok()?,
            minute: u8::try_from(time / 60 % 60).ok()?,
            second: u8::try_from(time % 60).ok()?,
        })
    }

    /// Day of the week as the CMOS clock counts it: 1 is Sunday, 7 is Saturday.
    pub fn weekday(&self) -> u8 {
        // 1970-01-01 was a Thursday, number 5.
        let days = self.unix_seconds().div_euclid(DAY);
        u8::try_from((days + 4).rem_euclid(7)).unwrap_or(0) + 1
    }
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn check(seconds: i64) {
        let expected = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let civil = Civil::from_unix_seconds(seconds).unwrap();
        let found = (civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second);
        let (hour, minute, second) = expected.to_hms();
        let year = u16::try_from(expected.year()).unwrap();
        assert_eq!(found, (year, expected.month().into(), expected.day(), hour, minute, second));
        assert_eq!(civil.unix_seconds(), seconds);
        assert_eq!(civil.weekday(), expected.weekday().number_from_sunday(), "{civil:?}");
        assert!(civil.is_valid());
    }

    #[test]
    fn every_day_that_the_cmos_clock_can_hold_agrees_with_the_time_crate() {
        let end =
            Civil { year: 2070, month: 1, day: 1, hour: 0, minute: 0, second: 0 }.unix_seconds();
        assert_eq!(end, 3_155_760_000);
        for day in 0..end / DAY {
            // First and last second, and one that wanders through the day.
            for second in [0, DAY - 1, day * 7919 % DAY] {
                check(day * DAY + second);
            }
        }
    }

    #[test]
    fn years_far_away_agree_too() {
        for seconds in [-62_135_596_800, -1, 951_782_400, 4_102_444_800, 253_402_300_799] {
            check(seconds);
        }
        assert_eq!(Civil::from_unix_seconds(i64::MAX), None);
        assert_eq!(Civil::from_unix_seconds(i64::MIN), None);
    }

    #[test]
    fn dates_outside_of_the_calendar_are_not_valid() {
        let good = Civil { year: 2024, month: 2, day: 29, hour: 23, minute: 59, second: 59 };
        assert!(good.is_valid());
        for bad in [
            Civil { year: 2023, ..good },
            Civil { year: 2100, ..good },
            Civil { month: 0, ..good },
            Civil { month: 13, ..good },
            Civil { day: 0, ..good },
            Civil { month: 4, day: 31, ..good },
            Civil { hour: 24, ..good },
            Civil { minute: 60, ..good },
            Civil { second: 60, ..good },
        ] {
            assert!(!bad.is_valid(), "{bad:?}");
        }
    }
}
