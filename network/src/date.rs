//! Dates as HTTP writes them.

use core::fmt;

/// The first second of the year 10000, which the format has no digits for.
const END_S: u64 = 253_402_300_800;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A moment, written as an IMF-fixdate (RFC 9110, section 5.6.7).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Date {
    unix_s: u64,
}

impl Date {
    /// The moment that is so many seconds after the beginning of 1970, if the format has it.
    pub(crate) fn new(unix_s: u64) -> Option<Self> {
        (unix_s < END_S).then_some(Self { unix_s })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.unix_s / 86_400, self.unix_s % 86_400);
        // Years that begin in March, so that the leap day is the last: the 1st of March of the year
        // 0 was 719468 days before 1970.
        let days_of_eras = days + 719_468;
        let (era, day) = (days_of_eras / 146_097, days_of_eras % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day_of_month = day - (153 * month + 2) / 5 + 1;
        let month = (month + 2) % 12;
        let year = era * 400 + year + u64::from(month < 2);
        let name = |names: &[&'static str], index: u64| {
            let found = usize::try_from(index).ok().and_then(|index| names.get(index));
            found.copied().unwrap_or_default()
        };
        write!(
            f,
            "{}, {day_of_month:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            name(&DAYS, days % 7),
            name(&MONTHS, month),
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use heapless::String;

    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // The example of RFC 9110.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (END_S - 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (unix_s, expected) in cases {
            let mut text = String::<40>::new();
            fmt::write(&mut text, format_args!("{}", Date::new(unix_s).unwrap())).unwrap();
            assert_eq!(text, expected);
        }
        assert!(Date::new(END_S).is_none());
        assert!(Date::new(u64::MAX).is_none());
    }
}
