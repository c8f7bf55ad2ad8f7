//! x86 processor and PC devices, for programs without an operating system.
//!
//! A board makes its capabilities from these drivers; none of them knows of requests or replies.
//!
//! ```text
//! ports, memory      how registers are reached: I/O ports, memory-mapped; fakes in host tests
//! uart               16550 serial ports, as a channel that never waits
//! pci                configuration space by ports, for hal-virtio
//! debugcon           port 0xE9, for logs
//!
//! acpi               tables: fixed hardware, interrupt controllers, sleep types, virtio-mmio
//! power              off, reset, halt
//! suspend            to memory and back
//!
//! rtc, civil         the CMOS clock, and its dates as Unix seconds
//! tsc                the time-stamp counter, and its rate
//! clock              the time of day in nanoseconds: rtc carried on by tsc
//!
//! rdrand             the processor's random numbers
//!
//! descriptors        segments, task state, gates: from then on faults have a handler
//! faults             what a fault handler is told
//! interrupts         local APIC and I/O APICs; interrupts that only wake
//! processors         the other processors: started, asked, stopped
//! real_mode          from real mode to a function: processors that start, machines that wake up
//! critical_section   for the one processor that runs the program
//! ```
//!
//! # Rules
//!
//! - No driver waits without a bound, and none blocks on the host.
//! - What tables and devices say is checked before it is used.
//! - Interrupts are on only in [`interrupts::Interrupts::idle`], and every handler runs on a stack
//!   of its own.
//! - The right to use a machine's ports and memory is a value, [`ports::Hardware`] and
//!   [`memory::IdentityMap`], made by one `unsafe` call each. What a driver needs it is given;
//!   after that the drivers are safe.
//!
//! # Starting up
//!
//! ```no_run
//! use hal_x86::acpi::{Gsi, Tables};
//! use hal_x86::clock::WallClock;
//! use hal_x86::descriptors;
//! use hal_x86::interrupts::Interrupts;
//! use hal_x86::memory::IdentityMap;
//! use hal_x86::ports::Hardware;
//! use hal_x86::power::{self, Power};
//! use hal_x86::rtc::Rtc;
//! use hal_x86::tsc::Tsc;
//! use hal_x86::uart::{ComPort, Uart};
//!
//! // SAFETY: a board that runs alone on the machine, 4 GiB mapped one to one, may say so.
//! let (ports, memory) = unsafe { (Hardware::new(), IdentityMap::new(1 << 32)) };
//! // SAFETY: as above; interrupts are off.
//! let gates = unsafe { descriptors::install(|_fault| power::halt()) }.expect("first call");
//!
//! let tables = Tables::find(&memory, None).ok();
//! let fadt = tables.as_ref().and_then(|tables| tables.fadt().ok());
//! let madt = tables.as_ref().and_then(|tables| tables.madt().ok());
//!
//! let interrupts = Interrupts::new(ports, memory, madt.as_ref(), &gates).expect("APICs");
//! let power = Power::new(ports, memory, tables.as_ref());
//! let pm_timer = fadt.and_then(|fadt| fadt.pm_timer());
//! let tsc = Tsc::calibrate(ports, pm_timer, &interrupts).expect("a timer");
//! let mut clock = WallClock::new(Rtc::new(ports, fadt.and_then(|fadt| fadt.century())), tsc);
//!
//! let mut uart = Uart::with_ports(ports, ComPort::Com1).expect("a serial port");
//! let gsi = madt.map_or_else(|| Gsi::isa(4), |madt| madt.isa(4));
//! interrupts.enable(gsi).expect("an I/O APIC");
//! loop {
//!     // … pump bytes …
//!     if uart.acknowledge() {
//!         interrupts.idle();
//!     }
//! }
//! ```

#![cfg_attr(not(test), no_std)]

pub mod acpi;
pub mod civil;
pub mod clock;
pub mod critical_section;
pub mod debugcon;
pub mod descriptors;
pub mod faults;
pub mod interrupts;
pub mod memory;
pub mod pci;
pub mod ports;
pub mod power;
pub mod processors;
pub mod rdrand;
pub mod real_mode;
mod relax;
pub mod rtc;
pub mod suspend;
pub mod tsc;
pub mod uart;

#[cfg(test)]
mod fake;
