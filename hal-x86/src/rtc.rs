//! The CMOS clock: a Motorola MC146818 and its heirs, at the ports 0x70 and 0x71.
//!
//! It keeps whole seconds while the machine is off or resets, in binary or BCD, in 12 or 24 hours,
//! as the firmware left it. [`crate::clock::WallClock`] makes nanoseconds of it.

use bitflags::bitflags;

use crate::civil::Civil;
use crate::ports::{Hardware, Ports};
use crate::relax::relax;

/// Number of the register that the next access to [`DATA`] goes to. Bit 7 masks NMIs on PCs; it is
/// left clear.
const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;

/// The registers of the MC146818, and the century byte that IBM's PC AT put into its RAM.
mod register {
    pub(super) const SECONDS: u8 = 0x00;
    pub(super) const MINUTES: u8 = 0x02;
    pub(super) const HOURS: u8 = 0x04;
    pub(super) const WEEKDAY: u8 = 0x06;
    pub(super) const DAY: u8 = 0x07;
    pub(super) const MONTH: u8 = 0x08;
    pub(super) const YEAR: u8 = 0x09;
    pub(super) const A: u8 = 0x0a;
    pub(super) const B: u8 = 0x0b;
    pub(super) const CENTURY: u8 = 0x32;
}

/// Update in progress, register A: time registers change within 244 µs, or are changing.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// The half of the day in 12-hour mode.
const PM: u8 = 1 << 7;

/// Looks, with a pause each, within which an update must end, which takes at most 2228 µs with its
/// announcement.
const UPDATE_POLLS: u32 = 5_000;
/// Readings that may differ before the clock counts as broken. Two in a row only do where a second
/// began between them.
const READINGS: u32 = 8;

bitflags! {
    /// Register B: how the clock counts.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Mode: u8 {
        /// Updates are stopped so that the time can be set.
        const SET = 1 << 7;
        /// Binary instead of BCD.
        const BINARY = 1 << 2;
        /// 24 hours instead of 12.
        const HOURS_24 = 1 << 1;
        const _ = !0;
    }
}

/// Why the clock could not be read or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RtcError {
    /// No clock answers at its ports.
    Absent,
    /// It holds no date of the calendar, or one outside of 1970 to 2069.
    BadDate,
    /// It cannot hold the date given: only the years 1970 to 2069.
    OutOfRange,
    /// It does not come to rest, or did not keep what was written.
    Unstable,
}

impl core::fmt::Display for RtcError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Absent => "no CMOS clock",
            Self::BadDate => "the CMOS clock holds no date from 1970 to 2069",
            Self::OutOfRange => "the CMOS clock holds the years 1970 to 2069 only",
            Self::Unstable => "the CMOS clock does not keep still",
        })
    }
}

impl core::error::Error for RtcError {}

/// The CMOS clock, taken to run in UTC.
#[derive(Debug)]
pub struct Rtc<P = Hardware> {
    ports: P,
    century: u8,
}

/// The time registers as they stand, in whatever mode.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reading {
    second: u8,
    minute: u8,
    hour: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    mode: u8,
}

impl<P: Ports> Rtc<P> {
    /// The clock behind `ports`.
    ///
    /// `century` is the register that the FADT names ([`crate::acpi::Fadt::century`]); without one
    /// it is looked for where PCs have it, at 0x32.
    pub fn new(ports: P, century: Option<u8>) -> Self {
        // Registers 0 to 0xD are the clock's own; the FADT may be wrong.
        let century =
            century.filter(|index| (0x0e..0x80).contains(index)).unwrap_or(register::CENTURY);
        Self { ports, century }
    }

    /// The date and time that the clock shows.
    ///
    /// Waits out an update, about 2 ms on real hardware.
    ///
    /// # Errors
    ///
    /// [`RtcError::Absent`], [`RtcError::BadDate`] or [`RtcError::Unstable`], all after a bounded
    /// time.
    pub fn read(&mut self) -> Result<Civil, RtcError> {
        self.presence()?;
        // > The update-in-progress (UIP) bit is a status flag that may be monitored … When UIP is a
        // > "0" the update cycle is not in progress and will not be for at least 244 µs. (MC146818
        // > data sheet, Register A)
        // A virtual processor can be held up for longer than that between two reads, hence the
        // second reading.
        let mut last = None;
        for _ in 0..READINGS {
            self.update_over()?;
            let reading = self.registers();
            if last == Some(reading) {
                return reading.civil();
            }
            last = Some(reading);
        }
        Err(RtcError::Unstable)
    }

    /// Seconds since 1970 by the clock; see [`Self::read`].
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub fn unix_seconds(&mut self) -> Result<i64, RtcError> {
        Ok(self.read()?.unix_seconds())
    }

    /// Sets the clock, in the mode that it runs in, and looks whether it took the time.
    ///
    /// # Errors
    ///
    /// [`RtcError::OutOfRange`] for a date that the clock cannot hold, before anything is written;
    /// [`RtcError::Absent`]; [`RtcError::Unstable`] where the clock does not keep the time written.
    pub fn write(&mut self, time: &Civil) -> Result<(), RtcError> {
        if !time.is_valid() || !(1970..=2069).contains(&time.year) {
            return Err(RtcError::OutOfRange);
        }
        self.presence()?;
        let mode = Mode::from_bits_retain(self.register(register::B));
        // > When the SET bit is written to a "1", any update cycle in progress is aborted and the
        // > program may initialize the time and calendar bytes without an update occurring in the
        // > midst of initializing. (Register B)
        self.set_register(register::B, (mode | Mode::SET).bits());
        let century = u8::try_from(time.year / 100).unwrap_or(0);
        let year = u8::try_from(time.year % 100).unwrap_or(0);
        for (index, value) in [
            (register::SECONDS, encode(time.second, mode)),
            (register::MINUTES, encode(time.minute, mode)),
            (register::HOURS, encode_hour(time.hour, mode)),
            (register::WEEKDAY, encode(time.weekday(), mode)),
            (register::DAY, encode(time.day, mode)),
            (register::MONTH, encode(time.month, mode)),
            (register::YEAR, encode(year, mode)),
            (self.century, encode(century, mode)),
        ] {
            self.set_register(index, value);
        }
        self.set_register(register::B, (mode - Mode::SET).bits());
        // The clock runs again, so up to a few seconds may have passed on a busy host.
        let passed = self.unix_seconds()? - time.unix_seconds();
        if (0..=5).contains(&passed) { Ok(()) } else { Err(RtcError::Unstable) }
    }

    /// Register B and register A at all ones are an empty bus: bit 7 of both never stays set.
    fn presence(&self) -> Result<(), RtcError> {
        if self.register(register::A) == u8::MAX && self.register(register::B) == u8::MAX {
            return Err(RtcError::Absent);
        }
        Ok(())
    }

    fn update_over(&self) -> Result<(), RtcError> {
        for _ in 0..UPDATE_POLLS {
            if self.register(register::A) & UPDATE_IN_PROGRESS == 0 {
                return Ok(());
            }
            relax();
        }
        Err(RtcError::Unstable)
    }

    fn registers(&self) -> Reading {
        Reading {
            second: self.register(register::SECONDS),
            minute: self.register(register::MINUTES),
            hour: self.register(register::HOURS),
            day: self.register(register::DAY),
            month: self.register(register::MONTH),
            year: self.register(register::YEAR),
            century: self.register(self.century),
            mode: self.register(register::B),
        }
    }

    fn register(&self, index: u8) -> u8 {
        self.ports.write_u8(INDEX, index);
        self.ports.read_u8(DATA)
    }

    fn set_register(&self, index: u8, value: u8) {
        self.ports.write_u8(INDEX, index);
        self.ports.write_u8(DATA, value);
    }
}

impl Reading {
    fn civil(self) -> Result<Civil, RtcError> {
        let mode = Mode::from_bits_retain(self.mode);
        let number = |value| decode(value, mode).ok_or(RtcError::BadDate);
        let year = number(self.year)?;
        let century = match decode(self.century, mode) {
            Some(century @ 19..=20) => u16::from(century),
            // No century is kept: the two digits say 1970 to 2069.
            _ if year >= 70 => 19,
            _ => 20,
        };
        let civil = Civil {
            year: century * 100 + u16::from(year),
            month: number(self.month)?,
            day: number(self.day)?,
            hour: decode_hour(self.hour, mode).ok_or(RtcError::BadDate)?,
            minute: number(self.minute)?,
            second: number(self.second)?,
        };
        if civil.is_valid() && (1970..=2069).contains(&civil.year) {
            Ok(civil)
        } else {
            Err(RtcError::BadDate)
        }
    }
}

/// A register's number, 0 to 99, from BCD or binary.
fn decode(value: u8, mode: Mode) -> Option<u8> {
    if mode.contains(Mode::BINARY) {
        return (value < 100).then_some(value);
    }
    let (tens, ones) = (value >> 4, value & 0xf);
    (tens < 10 && ones < 10).then_some(tens * 10 + ones)
}

fn encode(number: u8, mode: Mode) -> u8 {
    if mode.contains(Mode::BINARY) { number } else { ((number / 10 % 10) << 4) | (number % 10) }
}

/// 12-hour mode counts 12, 1, 2 … 11 twice, the second time with bit 7 set.
fn decode_hour(value: u8, mode: Mode) -> Option<u8> {
    if mode.contains(Mode::HOURS_24) {
        return decode(value, mode);
    }
    let hour = decode(value & !PM, mode).filter(|hour| (1..=12).contains(hour))?;
    Some(hour % 12 + if value & PM == 0 { 0 } else { 12 })
}

fn encode_hour(hour: u8, mode: Mode) -> u8 {
    if mode.contains(Mode::HOURS_24) {
        return encode(hour, mode);
    }
    let half = if hour < 12 { 0 } else { PM };
    let hour = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    encode(hour, mode) | half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Machine;

    const MODES: [Mode; 4] =
        [Mode::empty(), Mode::BINARY, Mode::HOURS_24, Mode::BINARY.union(Mode::HOURS_24)];

    fn moment(year: u16, month: u8, day: u8, hour: u8, minute: u8, second: u8) -> Civil {
        Civil { year, month, day, hour, minute, second }
    }

    #[test]
    fn hours_survive_every_mode() {
        for mode in MODES {
            for hour in 0..24 {
                assert_eq!(decode_hour(encode_hour(hour, mode), mode), Some(hour), "{mode:?}");
            }
        }
        for (mode, value, expected) in [
            (Mode::empty(), 0x12, Some(0)),
            (Mode::empty(), 0x92, Some(12)),
            (Mode::empty(), 0x91, Some(23)),
            (Mode::BINARY, 0x8b, Some(23)),
            (Mode::empty(), 0x00, None),
            (Mode::empty(), 0x13, None),
            (Mode::HOURS_24, 0x0a, None),
        ] {
            assert_eq!(decode_hour(value, mode), expected, "{mode:?} {value:#x}");
        }
    }

    #[test]
    fn every_mode_reads_and_writes_every_year() {
        for mode in MODES {
            for century in [0x32, 0x37] {
                let machine = Machine::with_rtc(mode.bits(), century);
                for year in 1970..=2069 {
                    let time = moment(year, 12, 31, 23, 59, 30);
                    let mut rtc = Rtc::new(&machine, Some(century));
                    rtc.write(&time).unwrap();
                    assert_eq!(machine.rtc_unix_seconds(), time.unix_seconds(), "{mode:?}");
                    assert_eq!(rtc.read(), Ok(time));
                }
            }
        }
    }

    #[test]
    fn a_second_that_begins_between_two_readings_is_noticed() {
        for offset_ns in (0..3_000_000).step_by(1_000) {
            let machine = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
            machine.set_rtc(moment(2027, 12, 31, 23, 59, 59).unix_seconds());
            machine.pass_ns(998_000_000 + offset_ns);
            let expected = machine.rtc_unix_seconds();
            let read = Rtc::new(&machine, None).unix_seconds().unwrap();
            assert!(
                read == expected || read == machine.rtc_unix_seconds(),
                "{read} after {offset_ns}"
            );
        }
    }

    #[test]
    fn bad_dates_are_refused() {
        for (register, value) in [
            (0x00, 0x60),
            (0x02, 0x99),
            (0x04, 0x24),
            (0x07, 0x00),
            (0x07, 0x1a),
            (0x08, 0x13),
            (0x09, 0xa0),
        ] {
            let machine = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
            machine.freeze_rtc_register(register, value);
            assert_eq!(Rtc::new(&machine, None).read(), Err(RtcError::BadDate), "{register:#x}");
        }
    }

    #[test]
    fn without_a_century_the_digits_say_1970_to_2069() {
        for (digits, expected) in [(0x70, 1970), (0x99, 1999), (0x00, 2000), (0x69, 2069)] {
            let machine = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
            machine.freeze_rtc_register(register::CENTURY, 0xff);
            machine.freeze_rtc_register(register::YEAR, digits);
            assert_eq!(Rtc::new(&machine, None).read().unwrap().year, expected);
        }
        for (century, digits) in [(0x19, 0x69), (0x20, 0x70)] {
            let machine = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
            machine.freeze_rtc_register(register::CENTURY, century);
            machine.freeze_rtc_register(register::YEAR, digits);
            assert_eq!(Rtc::new(&machine, None).read(), Err(RtcError::BadDate));
        }
    }

    #[test]
    fn nothing_waits_for_ever() {
        let empty = Machine::new();
        assert_eq!(Rtc::new(&empty, None).read(), Err(RtcError::Absent));
        assert_eq!(
            Rtc::new(&empty, None).write(&moment(2026, 1, 1, 0, 0, 0)),
            Err(RtcError::Absent)
        );

        let updating = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
        updating.freeze_rtc_register(register::A, 0xa6);
        assert_eq!(Rtc::new(&updating, None).read(), Err(RtcError::Unstable));

        let stuck = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
        stuck.freeze_rtc_register(register::YEAR, 0x26);
        assert_eq!(
            Rtc::new(&stuck, None).write(&moment(2030, 1, 1, 0, 0, 0)),
            Err(RtcError::Unstable)
        );
    }

    #[test]
    fn dates_that_the_clock_cannot_hold_change_nothing() {
        let machine = Machine::with_rtc(Mode::HOURS_24.bits(), 0x32);
        let before = machine.rtc_unix_seconds();
        for year in [1969, 2070, u16::MAX] {
            let refused = Rtc::new(&machine, None).write(&moment(year, 1, 1, 0, 0, 0));
            assert_eq!(refused, Err(RtcError::OutOfRange));
        }
        let no_such_day = Rtc::new(&machine, None).write(&moment(2026, 2, 29, 0, 0, 0));
        assert_eq!(no_such_day, Err(RtcError::OutOfRange));
        assert_eq!(machine.rtc_unix_seconds(), before);
        assert!(machine.writes().is_empty());
    }
}
