//! A model of a PC for the host tests: time, timers, the CMOS clock, and a record of what was
//! written.
//!
//! Every access to a port or register takes a microsecond of the model's own time, which also
//! drives its counter.

use core::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;

use crate::civil::Civil;
use crate::memory::{PhysicalMemory, Registers};
use crate::ports::Ports;
use crate::tsc::Counter;

/// Where the model has its PM timer.
pub(crate) const PM_TIMER: u16 = 0x608;

/// Where it has its local APIC.
pub(crate) const LOCAL_APIC: u64 = 0xfee0_0000;

const BUS_INITIAL: u64 = LOCAL_APIC + 0x380;
const BUS_COUNT: u64 = LOCAL_APIC + 0x390;
/// The bus clock of 1 GHz, divided by 128.
const BUS_TICK_NS: u64 = 128;

const ACCESS_NS: u64 = 1_000;
const SECOND_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Machine {
    now_ns: Cell<u64>,
    counter_hz: Cell<u64>,
    counter_zero_ns: Cell<u64>,
    hold_up: Cell<Option<HoldUp>>,
    writes: RefCell<Vec<(u16, u32)>>,
    memory_writes: RefCell<Vec<(u64, u32)>>,
    answers: RefCell<BTreeMap<u16, u32>>,
    registers: RefCell<BTreeMap<u64, u32>>,
    remembering: RefCell<BTreeSet<u16>>,
    regions: Vec<(u64, Vec<u8>)>,
    pm_timer: bool,
    pit: Option<RefCell<Pit>>,
    /// When its count began; a count that has not begun stands.
    bus_clock: Option<Cell<Option<u64>>>,
    rtc: Option<RefCell<Rtc>>,
}

#[derive(Clone, Copy, Debug)]
struct HoldUp {
    random: u64,
    one_in: u64,
    longest_ns: u64,
}

#[derive(Debug, Default)]
struct Pit {
    start_ns: u64,
    /// What the next reads give, the last one first.
    latched: Vec<u8>,
}

#[derive(Debug)]
struct Rtc {
    index: u8,
    mode: u8,
    century: u8,
    /// The second that it showed at `base_ns`.
    base_seconds: i64,
    base_ns: u64,
    /// What was written while SET was on.
    written: BTreeMap<u8, u8>,
    frozen: BTreeMap<u8, u8>,
}

impl Machine {
    /// Nothing but a counter of 1 GHz; every port and register reads as all ones.
    pub(crate) fn new() -> Self {
        Self { counter_hz: Cell::new(1_000_000_000), ..Self::default() }
    }

    pub(crate) fn with_rtc(mode: u8, century: u8) -> Self {
        let rtc = Rtc {
            index: 0,
            mode,
            century,
            base_seconds: 1_800_000_000,
            base_ns: 0,
            written: BTreeMap::new(),
            frozen: BTreeMap::new(),
        };
        Self { rtc: Some(RefCell::new(rtc)), ..Self::new() }
    }

    /// A CMOS clock in BCD and 24 hours, and the timers asked for.
    pub(crate) fn with_timers(counter_hz: u64, pm_timer: bool, pit: bool) -> Self {
        let pit = pit.then(|| RefCell::new(Pit::default()));
        Self { counter_hz: Cell::new(counter_hz), pm_timer, pit, ..Self::with_rtc(0x02, 0x32) }
    }

    /// The same with a local APIC whose timer counts.
    pub(crate) fn and_bus_clock(self) -> Self {
        Self { bus_clock: Some(Cell::new(None)), ..self }
    }

    /// Physical memory with `bytes` at their addresses.
    pub(crate) fn with_memory(regions: Vec<(u64, Vec<u8>)>) -> Self {
        Self { regions, ..Self::new() }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    pub(crate) fn pass_ns(&self, ns: u64) {
        self.now_ns.set(self.now_ns.get() + ns);
    }

    /// Time passes, in which the counter stands still.
    pub(crate) fn pass_ns_uncounted(&self, ns: u64) {
        self.pass_ns(ns);
        self.counter_zero_ns.set(self.counter_zero_ns.get() + ns);
    }

    /// From now on one access in `one_in` takes up to `longest_ns` more.
    pub(crate) fn hold_up(&self, seed: u64, one_in: u64, longest_ns: u64) {
        self.hold_up.set(Some(HoldUp { random: seed, one_in, longest_ns }));
    }

    /// The counter starts at 0 again.
    pub(crate) fn reset_counter(&self) {
        self.counter_zero_ns.set(self.now_ns.get());
    }

    pub(crate) fn set_counter_hz(&self, hz: u64) {
        self.counter_hz.set(hz);
    }

    /// What `port` reads as, whatever is written to it.
    pub(crate) fn answer(&self, port: u16, value: u32) {
        self.answers.borrow_mut().insert(port, value);
    }

    /// From now on `port` reads as what was last written to it.
    pub(crate) fn remember(&self, port: u16) {
        self.remembering.borrow_mut().insert(port);
    }

    /// What the register at `address` reads as until it is written.
    pub(crate) fn set_register(&self, address: u64, value: u32) {
        self.registers.borrow_mut().insert(address, value);
    }

    /// Every write to a port that no model answers for, in order.
    pub(crate) fn writes(&self) -> Vec<(u16, u32)> {
        self.writes.borrow().clone()
    }

    /// Every write to a memory-mapped register, in order.
    pub(crate) fn memory_writes(&self) -> Vec<(u64, u32)> {
        self.memory_writes.borrow().clone()
    }

    pub(crate) fn set_rtc(&self, unix_seconds: i64) {
        let mut rtc = self.rtc.as_ref().unwrap().borrow_mut();
        rtc.base_seconds = unix_seconds;
        rtc.base_ns = self.now_ns();
    }

    pub(crate) fn rtc_unix_seconds(&self) -> i64 {
        self.rtc.as_ref().unwrap().borrow().unix_seconds(self.now_ns())
    }

    pub(crate) fn rtc_unix_ns(&self) -> i64 {
        let rtc = self.rtc.as_ref().unwrap().borrow();
        rtc.base_seconds * 1_000_000_000 + i64::try_from(self.now_ns() - rtc.base_ns).unwrap()
    }

    pub(crate) fn freeze_rtc_register(&self, index: u8, value: u8) {
        self.rtc.as_ref().unwrap().borrow_mut().frozen.insert(index, value);
    }

    pub(crate) fn thaw_rtc_registers(&self) {
        self.rtc.as_ref().unwrap().borrow_mut().frozen.clear();
    }

    fn access(&self) {
        self.pass_ns(ACCESS_NS);
        if let Some(mut hold_up) = self.hold_up.get() {
            // xorshift64*, enough to scatter the hold-ups.
            let mut x = hold_up.random.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            hold_up.random = x;
            let draw = x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8;
            if draw.is_multiple_of(hold_up.one_in) {
                self.pass_ns(draw / hold_up.one_in % hold_up.longest_ns);
            }
            self.hold_up.set(Some(hold_up));
        }
    }

    fn read(&self, port: u16) -> u32 {
        self.access();
        if let Some(&value) = self.answers.borrow().get(&port) {
            return value;
        }
        match (port, &self.rtc, &self.pit) {
            (PM_TIMER, _, _) if self.pm_timer => ticks(self.now_ns(), 3_579_545) & 0xff_ffff,
            (0x40, _, Some(pit)) => pit.borrow_mut().read(),
            (0x71, Some(rtc), _) => rtc.borrow().read(self.now_ns()).into(),
            _ => u32::MAX,
        }
    }

    fn write(&self, port: u16, value: u32) {
        self.access();
        let byte = u8::try_from(value & 0xff).unwrap();
        match (port, &self.rtc, &self.pit) {
            (0x40, _, Some(pit)) => pit.borrow_mut().start_ns = self.now_ns(),
            (0x43, _, Some(pit)) => pit.borrow_mut().command(byte, self.now_ns()),
            (0x70, Some(rtc), _) => rtc.borrow_mut().index = byte,
            (0x71, Some(rtc), _) => rtc.borrow_mut().write(byte, self.now_ns()),
            _ => self.writes.borrow_mut().push((port, value)),
        }
        if self.remembering.borrow().contains(&port) {
            self.answer(port, value);
        }
    }
}

fn ticks(ns: u64, hz: u64) -> u32 {
    u32::try_from(u128::from(ns) * u128::from(hz) / u128::from(SECOND_NS) % (1 << 32)).unwrap()
}

impl Pit {
    /// Ticks since the count was written; the counter goes on below 0.
    fn count(&self, now_ns: u64) -> u32 {
        ticks(now_ns - self.start_ns, 1_193_182)
    }

    fn command(&mut self, command: u8, now_ns: u64) {
        let count = self.count(now_ns);
        let [low, high] = (!u16::try_from(count & 0xffff).unwrap()).to_le_bytes();
        let status = u8::from(count >> 16 != 0) << 7 | 0x30;
        match command {
            0xc2 => self.latched = std::vec![high, low, status],
            0xe2 => self.latched = std::vec![status],
            _ => self.latched.clear(),
        }
    }

    fn read(&mut self) -> u32 {
        self.latched.pop().unwrap_or(0).into()
    }
}

impl Rtc {
    fn unix_seconds(&self, now_ns: u64) -> i64 {
        self.base_seconds + i64::try_from((now_ns - self.base_ns) / SECOND_NS).unwrap()
    }

    fn read(&self, now_ns: u64) -> u8 {
        if let Some(&value) = self.frozen.get(&self.index) {
            return value;
        }
        if self.mode & 0x80 != 0
            && let Some(&value) = self.written.get(&self.index)
        {
            return value;
        }
        let part_ns = (now_ns - self.base_ns) % SECOND_NS;
        // The last 2.2 ms of a second: first the announcement, then the registers change one by
        // one.
        let updating = part_ns > SECOND_NS - 2_228_000;
        let changing = part_ns > SECOND_NS - 1_984_000;
        let time = Civil::from_unix_seconds(self.unix_seconds(now_ns)).unwrap();
        let number =
            |value: u8| if self.mode & 4 != 0 { value } else { value / 10 * 16 + value % 10 };
        match self.index {
            0x0a => 0x26 | u8::from(updating) << 7,
            0x0b => self.mode,
            0x0d => 0x80,
            // What a register shows in the middle of an update is undefined.
            _ if changing => 0xff,
            0x00 => number(time.second),
            0x02 => number(time.minute),
            0x04 if self.mode & 2 != 0 => number(time.hour),
            0x04 => {
                let hour = if time.hour.is_multiple_of(12) { 12 } else { time.hour % 12 };
                number(hour) | u8::from(time.hour >= 12) << 7
            }
            0x06 => time.weekday(),
            0x07 => number(time.day),
            0x08 => number(time.month),
            0x09 => number(u8::try_from(time.year % 100).unwrap()),
            index if index == self.century => number(u8::try_from(time.year / 100).unwrap()),
            _ => 0,
        }
    }

    fn write(&mut self, value: u8, now_ns: u64) {
        if self.index != 0x0b {
            assert!(
                self.mode & 0x80 != 0,
                "register {:#x} written while the clock runs",
                self.index
            );
            self.written.insert(self.index, value);
            return;
        }
        if self.mode & 0x80 != 0 && value & 0x80 == 0 && !self.written.is_empty() {
            let number = |value: u8| {
                if value_is_binary(self.mode) { value } else { value / 16 * 10 + value % 16 }
            };
            let field = |index: u8| number(self.written[&index]);
            let hour = self.written[&0x04];
            let hour = match (self.mode & 2 != 0, number(hour & 0x7f) % 12) {
                (true, _) => number(hour),
                (false, twelfth) => twelfth + if hour & 0x80 != 0 { 12 } else { 0 },
            };
            let time = Civil {
                year: u16::from(field(self.century)) * 100 + u16::from(field(0x09)),
                month: field(0x08),
                day: field(0x07),
                hour,
                minute: field(0x02),
                second: field(0x00),
            };
            assert!(time.is_valid(), "{time:?}");
            assert_eq!(field(0x06), time.weekday());
            self.base_seconds = time.unix_seconds();
            self.base_ns = now_ns;
            self.written.clear();
        }
        self.mode = value;
    }
}

fn value_is_binary(mode: u8) -> bool {
    mode & 4 != 0
}

impl Ports for Machine {
    fn read_u8(&self, port: u16) -> u8 {
        u8::try_from(self.read(port) & 0xff).unwrap()
    }
    fn write_u8(&self, port: u16, value: u8) {
        self.write(port, value.into());
    }
    fn read_u16(&self, port: u16) -> u16 {
        u16::try_from(self.read(port) & 0xffff).unwrap()
    }
    fn write_u16(&self, port: u16, value: u16) {
        self.write(port, value.into());
    }
    fn read_u32(&self, port: u16) -> u32 {
        self.read(port)
    }
    fn write_u32(&self, port: u16, value: u32) {
        self.write(port, value);
    }
}

impl Registers for Machine {
    fn read_u8(&self, address: u64) -> u8 {
        u8::try_from(Registers::read_u32(self, address) & 0xff).unwrap()
    }
    fn write_u8(&self, address: u64, value: u8) {
        Registers::write_u32(self, address, value.into());
    }
    fn read_u32(&self, address: u64) -> u32 {
        self.access();
        if let (BUS_COUNT, Some(begun)) = (address, &self.bus_clock) {
            let passed_ns = begun.get().map_or(0, |begun_ns| self.now_ns() - begun_ns);
            return u32::MAX - u32::try_from(passed_ns / BUS_TICK_NS).unwrap();
        }
        self.registers.borrow().get(&address).copied().unwrap_or(u32::MAX)
    }
    fn write_u32(&self, address: u64, value: u32) {
        self.access();
        self.memory_writes.borrow_mut().push((address, value));
        if let (BUS_INITIAL, Some(begun)) = (address, &self.bus_clock) {
            begun.set((value == u32::MAX).then(|| self.now_ns()));
        }
        self.set_register(address, value);
    }
}

impl PhysicalMemory for Machine {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.regions.iter().find_map(|(start, bytes)| {
            let from = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(from..from.checked_add(length)?)
        })
    }
}

impl Counter for Machine {
    fn ticks(&self) -> u64 {
        let ns = self.now_ns() - self.counter_zero_ns.get();
        u64::try_from(u128::from(ns) * u128::from(self.counter_hz.get()) / u128::from(SECOND_NS))
            .unwrap()
    }
}
