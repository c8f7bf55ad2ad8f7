//! The devices that every image needs, brought up in order
//!
//! What a machine lacks is left out: without ACPI it cannot be switched off, without a CMOS clock
//! or a timer there is no time. The agent then does not offer what needs it.

use core::cell::{Cell, OnceCell};

use agent_core::ShutdownMode;
use hal_x86::acpi::{Gsi, Madt, Tables};
use hal_x86::clock::WallClock;
use hal_x86::descriptors;
use hal_x86::faults::Fault;
use hal_x86::interrupts::{InterruptError, Interrupts, Message, Timer};
use hal_x86::memory::{IdentityMap, PhysicalMemory};
use hal_x86::ports::Hardware;
use hal_x86::power::{self, Power};
use hal_x86::processors::{Processors, Times};
use hal_x86::real_mode::StartPage;
use hal_x86::rtc::{Rtc, RtcError};
use hal_x86::tsc::{Counter, Rdtsc, Tsc};

use crate::activity::Activity;
use crate::guest::Guest;
use crate::serve::Platform;

/// What the time-stamp counter is taken for where there is no timer to measure it against: then a
/// wait is rather too long, and what processors have worked and slept rather too short.
const ASSUMED_HZ: u64 = 4_000_000_000;

/// The machine, without the clock, which is the guest's.
#[derive(Debug)]
pub struct Machine<'m> {
    ports: Hardware,
    madt: Option<Madt<'m>>,
    interrupts: Interrupts,
    power: Power,
    ticks_per_ms: u64,
    activity: Activity,
    /// Added to the counter's time: after a sleep the counter may be anywhere.
    uptime_offset_ms: Cell<u64>,
    /// Measured when it is first needed; many an image never does.
    timer: OnceCell<Option<Timer>>,
}

impl<'m> Machine<'m> {
    /// Brings up faults, interrupts, power and clock.
    ///
    /// Without a local APIC nothing could wake the CPU: then it stays halted.
    ///
    /// # Safety
    ///
    /// Called once, at privilege level 0 with interrupts disabled, by a program that has the
    /// machine to itself and whose page tables are such that `map` is right.
    pub unsafe fn start<M: PhysicalMemory>(
        map: IdentityMap,
        tables: Option<&Tables<'m, M>>,
    ) -> (Self, Guest) {
        // SAFETY: this function's contract.
        let ports = unsafe { Hardware::new() };
        // SAFETY: as well this function's contract.
        let Some(gates) = (unsafe { descriptors::install(fault) }) else {
            crate::error!("started twice");
            power::halt()
        };

        let fadt = tables.and_then(|tables| tables.fadt().ok());
        let madt = tables.and_then(|tables| tables.madt().ok());
        let interrupts = match Interrupts::new(ports, map, madt.as_ref(), &gates) {
            Ok(interrupts) => interrupts,
            Err(failure) => {
                crate::error!("interrupts: {}", failure);
                power::halt()
            }
        };
        let power = Power::new(ports, map, tables);
        let pm_timer = fadt.and_then(|fadt| fadt.pm_timer());
        let tsc = Tsc::calibrate(ports, pm_timer, &interrupts).ok();
        let hz = tsc.map_or(ASSUMED_HZ, |tsc| tsc.hz());
        crate::info!(
            "ACPI: {=bool}, power off: {=bool}, time-stamp counter: {=u64} kHz",
            tables.is_some(),
            power.can_power_off(),
            hz / 1000
        );

        let rtc = Rtc::new(ports, fadt.and_then(|fadt| fadt.century()));
        let mut clock = tsc.map(|tsc| WallClock::new(rtc, tsc));
        let lacks_rtc = fadt.is_some_and(|fadt| fadt.lacks_rtc());
        if lacks_rtc || clock.as_mut().is_none_or(|clock| clock.now() == Err(RtcError::Absent)) {
            crate::warning!("no clock");
            clock = None;
        }
        let guest = Guest::new(clock, power.can_power_off());
        let ticks_per_ms = hz / 1000;
        let machine = Self {
            ports,
            madt,
            interrupts,
            power,
            ticks_per_ms,
            activity: Activity::new(&Rdtsc),
            uptime_offset_ms: Cell::new(0),
            timer: OnceCell::new(),
        };
        (machine, guest)
    }

    /// How fast the time-stamp counter counts.
    pub const fn ticks_per_ms(&self) -> u64 {
        self.ticks_per_ms
    }

    /// The I/O ports.
    pub const fn ports(&self) -> Hardware {
        self.ports
    }

    /// Lets the ISA interrupt `irq` wake the CPU.
    ///
    /// # Errors
    ///
    /// No I/O APIC has it.
    pub fn wake_on_isa(&self, irq: u8) -> Result<(), InterruptError> {
        let gsi = self.madt.map_or_else(|| Gsi::isa(irq), |madt| madt.isa(irq));
        self.interrupts.enable(gsi)
    }

    /// Lets the global system interrupt `gsi` wake the CPU.
    ///
    /// # Errors
    ///
    /// No I/O APIC has it.
    pub fn wake_on(&self, gsi: Gsi) -> Result<(), InterruptError> {
        self.interrupts.enable(gsi)
    }

    /// The interrupt controllers.
    pub(crate) const fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// From now on the uptime goes on from `uptime_ms`.
    pub(crate) fn set_uptime(&self, uptime_ms: u64) {
        let counted_ms = Rdtsc.ticks() / self.ticks_per_ms;
        self.uptime_offset_ms.set(uptime_ms.wrapping_sub(counted_ms));
    }

    /// The processors, to be started in `page`. A second call returns `None`.
    pub fn processors(&self, page: Option<StartPage>) -> Option<Processors> {
        Processors::new(&self.interrupts, self.madt.as_ref(), page, self.ticks_per_ms)
    }

    /// What this processor has spent its time on.
    pub fn times(&self) -> Times {
        self.activity.times(&Rdtsc)
    }

    /// Counts that time anew: the machine was off.
    pub(crate) fn count_from_now(&self) {
        self.activity.count_from_now(&Rdtsc);
    }

    fn sleep(&self) {
        self.activity.while_asleep(&Rdtsc, || self.interrupts.idle());
    }

    /// The message that wakes the CPU, for devices that send one.
    pub fn wake_message(&self) -> Message {
        self.interrupts.message()
    }
}

impl Platform for Machine<'_> {
    fn idle(&self) {
        self.sleep();
    }

    fn idle_for(&self, longest_ms: u64) {
        let measured = || self.interrupts.timer(&Rdtsc, self.ticks_per_ms);
        // A timer that does not count would not wake the CPU: then the caller looks again and
        // again.
        if let Some(timer) = self.timer.get_or_init(measured) {
            timer.start(longest_ms);
            self.sleep();
            timer.stop();
        }
    }

    fn uptime_ms(&self) -> u64 {
        (Rdtsc.ticks() / self.ticks_per_ms).wrapping_add(self.uptime_offset_ms.get())
    }

    fn shut_down(&self, mode: ShutdownMode) -> ! {
        match mode {
            ShutdownMode::Halt => crate::info!("halt"),
            ShutdownMode::Powerdown => {
                crate::info!("power off");
                let failure = self.power.power_off();
                crate::error!("{}", failure);
            }
            ShutdownMode::Reboot => {
                crate::info!("reboot");
                self.power.reset();
            }
        }
        power::halt()
    }
}

/// Logs a processor exception and resets the machine.
fn fault(fault: &Fault) -> ! {
    crate::error!(
        "{=str} at {=u64:#x}: error code {=u64:#x}, stack {=u64:#x}, address {=u64:#x}",
        fault.mnemonic(),
        fault.rip,
        fault.error_code,
        fault.rsp,
        fault.cr2
    );
    reset()
}

/// Resets the machine, from wherever the program has come to.
pub fn reset() -> ! {
    // SAFETY: privilege level 0 is all there is in an image, and nothing else is done with the
    // ports any more.
    let ports = unsafe { Hardware::new() };
    // SAFETY: nothing is mapped, so nothing has to be.
    let nothing = unsafe { IdentityMap::new(0) };
    // The tables may be what the program has stumbled over; the ways that need none will do.
    Power::new(ports, nothing, None::<&Tables<'_, IdentityMap>>).reset()
}
