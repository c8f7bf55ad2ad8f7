//! The real-time clock, by the kernel's RTC interface (`linux/rtc.h`).

use std::os::fd::OwnedFd;

use linux_raw_sys::ioctl::{RTC_RD_TIME, RTC_SET_TIME};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Setter, ioctl};
use time::{Date, Month, OffsetDateTime};

/// The year that [`RtcTime`] counts from.
const FIRST_YEAR: i32 = 1900;

/// The open device. Only one process can have it open, so nobody should keep it.
#[derive(Debug)]
pub(crate) struct Rtc(OwnedFd);

impl Rtc {
    /// Opens the first RTC.
    pub(crate) fn open() -> Result<Self, Errno> {
        open(c"/dev/rtc0", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Seconds since 1970; the RTC is taken to keep UTC.
    pub(crate) fn read(&self) -> Result<i64, Errno> {
        // SAFETY: RTC_RD_TIME writes a `struct rtc_time`, whose layout `RtcTime` has.
        let request = unsafe { Getter::<RTC_RD_TIME, RtcTime>::new() };
        // SAFETY: The request touches no other memory.
        let time = unsafe { ioctl(&self.0, request) }?;
        time.unix_seconds().ok_or(Errno::INVAL)
    }

    /// Sets the RTC to seconds since 1970.
    pub(crate) fn write(&self, seconds: i64) -> Result<(), Errno> {
        let time = RtcTime::from_unix_seconds(seconds).ok_or(Errno::RANGE)?;
        // SAFETY: RTC_SET_TIME reads a `struct rtc_time`, whose layout `RtcTime` has.
        let request = unsafe { Setter::<RTC_SET_TIME, RtcTime>::new(time) };
        // SAFETY: The request reads that value and no other memory.
        unsafe { ioctl(&self.0, request) }
    }
}

/// `struct rtc_time`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RtcTime {
    second: i32,
    minute: i32,
    hour: i32,
    day: i32,
    /// From 0.
    month: i32,
    /// From [`FIRST_YEAR`].
    year: i32,
    /// These three are not used, whoever reads or writes.
    weekday: i32,
    day_of_year: i32,
    is_summer_time: i32,
}

impl RtcTime {
    /// `None` for what is no date and time.
    fn unix_seconds(&self) -> Option<i64> {
        let month = Month::try_from(u8::try_from(self.month.checked_add(1)?).ok()?).ok()?;
        let year = self.year.checked_add(FIRST_YEAR)?;
        let date = Date::from_calendar_date(year, month, u8::try_from(self.day).ok()?).ok()?;
        let [hour, minute, second] =
            [self.hour, self.minute, self.second].map(|field| u8::try_from(field).ok());
        let time = date.with_hms(hour?, minute?, second?).ok()?;
        Some(time.assume_utc().unix_timestamp())
    }

    /// `None` for a time that the calendar does not reach.
    fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        Some(Self {
            second: time.second().into(),
            minute: time.minute().into(),
            hour: time.hour().into(),
            day: time.day().into(),
            month: i32::from(u8::from(time.month())).checked_sub(1)?,
            year: time.year().checked_sub(FIRST_YEAR)?,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAP_DAY: RtcTime = RtcTime {
        second: 59,
        minute: 58,
        hour: 23,
        day: 29,
        month: 1,
        year: 124,
        weekday: 0,
        day_of_year: 0,
        is_summer_time: 0,
    };

    #[test]
    fn times_and_seconds() {
        for (time, seconds) in [
            (RtcTime { day: 1, year: 70, ..RtcTime::default() }, 0),
            (LEAP_DAY, 1_709_251_139),
            (RtcTime { day: 1, year: 170, ..RtcTime::default() }, 3_155_760_000),
        ] {
            assert_eq!(time.unix_seconds(), Some(seconds));
            assert_eq!(RtcTime::from_unix_seconds(seconds), Some(time));
        }
        assert_eq!(RtcTime::from_unix_seconds(i64::MAX), None);
        // Unused fields are whatever the kernel leaves in them.
        let odd = RtcTime { weekday: -1, day_of_year: 999, is_summer_time: 7, ..LEAP_DAY };
        assert_eq!(odd.unix_seconds(), Some(1_709_251_139));
    }

    #[test]
    fn nonsense_is_not_a_time() {
        for bad in [
            RtcTime::default(),
            RtcTime { second: 60, ..LEAP_DAY },
            RtcTime { minute: -1, ..LEAP_DAY },
            RtcTime { hour: 24, ..LEAP_DAY },
            RtcTime { day: 30, ..LEAP_DAY },
            RtcTime { month: 12, ..LEAP_DAY },
            RtcTime { month: i32::MAX, ..LEAP_DAY },
            RtcTime { year: 123, ..LEAP_DAY },
            RtcTime { year: i32::MAX, ..LEAP_DAY },
        ] {
            assert_eq!(bad.unix_seconds(), None, "{bad:?}");
        }
    }
}
