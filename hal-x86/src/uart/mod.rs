//! A 16550 serial port, driven by interrupts and never waiting for the host.
//!
//! Stands beside `hal-virtio`'s console port as a channel of the agent: `embedded_io`'s `Read`,
//! `ReadReady`, `Write` and `WriteReady`. The driver is the crate `uart_16550`; this adds what an
//! agent needs: early bytes are kept, nothing waits without a bound, errors of the line are
//! noted, and the interrupts are kept in step with what is waited for.
//!
//! # The interrupt
//!
//! The line is programmed edge-triggered ([`crate::interrupts`]), so it must fall before the
//! processor sleeps. Right before it does, the board asks [`Uart::acknowledge`], and sleeps only if
//! that says that no cause is left:
//!
//! ```text
//! loop { let progress = pump(&mut uart, &mut agent)?;  if !progress && uart.acknowledge() { interrupts.idle() } }
//! ```
//!
//! After a "no cause is left" any event raises the line anew, which wakes the processor even if it
//! comes before the sleep.
//!
//! A host may send while it takes no replies, so that the agent has nowhere to put what it would
//! read. Bytes that are not taken although [`Uart::acknowledge`] has said once that they are there
//! stop interrupting until some are.

mod line;
mod parking;
#[cfg(test)]
mod tests;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use uart_16550::spec::registers::{FifoTriggerLevel, IER, InterruptType, LSR};
use uart_16550::{BaudRate, Config, Uart16550};

use crate::ports::{Hardware, Ports};
use line::Line;
use parking::Parking;

/// Causes that one [`Uart::acknowledge`] clears. There are four, and each may come once more
/// meanwhile.
const MAX_CAUSES: u32 = 8;

/// The highest rate, the lowest trigger level: see [`Uart`].
const CONFIG: Config = Config {
    interrupts: IER::DATA_READY,
    fifo_trigger_level: Some(FifoTriggerLevel::One),
    baud_rate: BaudRate::Baud115200,
    ..Config::DEFAULT
};

/// A PC's serial ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ComPort {
    /// Ports from 0x3F8, interrupt 4.
    Com1,
    /// Ports from 0x2F8, interrupt 3.
    Com2,
    /// Ports from 0x3E8, interrupt 4.
    Com3,
    /// Ports from 0x2E8, interrupt 3.
    Com4,
}

impl ComPort {
    /// The first of its eight I/O ports.
    pub const fn base(self) -> u16 {
        match self {
            Self::Com1 => 0x3f8,
            Self::Com2 => 0x2f8,
            Self::Com3 => 0x3e8,
            Self::Com4 => 0x2e8,
        }
    }

    /// Its ISA interrupt.
    pub const fn irq(self) -> u8 {
        match self {
            Self::Com1 | Self::Com3 => 4,
            Self::Com2 | Self::Com4 => 3,
        }
    }
}

/// Why a serial port could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum UartError {
    /// No 16550 answers at the ports.
    Absent,
}

impl core::fmt::Display for UartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no serial port there")
    }
}

impl core::error::Error for UartError {}

/// Nothing can be read, or written, right now: ask `read_ready` or `write_ready` first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotReady;

impl core::fmt::Display for NotReady {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the serial port is not ready")
    }
}

impl core::error::Error for NotReady {}

impl embedded_io::Error for NotReady {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// An open serial port: 115 200 baud, eight bits, no parity, one stop bit; FIFOs on, every byte
/// received interrupts.
///
/// QEMU paces nothing by the rate but one thing: bytes below the trigger level interrupt after four
/// character times. So the highest rate and the lowest trigger level.
#[derive(Debug)]
pub struct Uart<P: Ports = Hardware> {
    device: Uart16550<Line<P>>,
    /// Whether the interrupt for an empty transmitter is on.
    awaits_room: bool,
    received: Received,
    parking: Parking,
}

/// How far the board knows of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// They interrupt, and it has taken some since it was last told.
    Fresh,
    /// It has been told, and has not taken any since.
    Told,
    /// It was told again: it cannot take any now, and they do not interrupt.
    Refused,
}

impl Uart {
    /// Opens `port`.
    ///
    /// # Errors
    ///
    /// [`UartError::Absent`].
    ///
    /// # Safety
    ///
    /// As for [`Hardware::new`], for the eight ports from [`ComPort::base`].
    pub unsafe fn open(port: ComPort) -> Result<Self, UartError> {
        // SAFETY: the caller promised as much for the ports that this driver touches.
        let ports = unsafe { Hardware::new() };
        Self::with_ports(ports, port)
    }
}

impl<P: Ports> Uart<P> {
    /// Opens `port` of the port space `ports`.
    ///
    /// What the port has received so far is kept.
    ///
    /// # Errors
    ///
    /// [`UartError::Absent`].
    pub fn with_ports(ports: P, port: ComPort) -> Result<Self, UartError> {
        // SAFETY: a `Ports` may be used for every port, and `Line` stays within the eight from the
        // base.
        let mut device = unsafe { Uart16550::new_with_backend(Line::new(ports, port.base())) };
        // The rate divides the frequency, so that the only other error cannot be.
        device.init(CONFIG).map_err(|_| UartError::Absent)?;
        device.backend_mut().started();
        Ok(Self { device, awaits_room: false, received: Received::Fresh, parking: Parking::No })
    }

    /// Clears what keeps the interrupt line up, and tells whether it is down and nothing is left to
    /// do.
    ///
    /// After `true` the next event makes a new edge. After `false` there is something to read or
    /// room to write, or there was just now: look again, then ask again. Takes one port read where
    /// nothing happened, and at most eight or so.
    pub fn acknowledge(&mut self) -> bool {
        if self.parking != Parking::No {
            return true;
        }
        if self.device.backend().has_early_bytes() && self.tell_of_received() {
            return false;
        }
        let mut quiet = true;
        for _ in 0..MAX_CAUSES {
            // 16550 data sheet, table II: reading the identification clears "transmitter empty",
            // other causes have a register.
            match self.device.isr().interrupt_type() {
                None => return quiet,
                Some(InterruptType::TransmitterHoldingRegisterEmpty) => quiet = false,
                Some(InterruptType::ReceiverLineStatus) => _ = self.device.lsr(),
                Some(InterruptType::ModemStatus) => _ = self.device.msr(),
                // Received bytes, which only reading them clears.
                Some(_) if self.tell_of_received() => return false,
                Some(_) => {}
            }
        }
        false
    }

    /// Whether the board is still to be told that bytes are there; where it does not take them,
    /// they are silenced.
    fn tell_of_received(&mut self) -> bool {
        match self.received {
            Received::Fresh => {
                self.received = Received::Told;
                return true;
            }
            Received::Told => {
                self.received = Received::Refused;
                self.device.disable_interrupts(IER::DATA_READY);
            }
            Received::Refused => {}
        }
        false
    }

    /// The board has taken bytes.
    fn received_taken(&mut self) {
        if self.received == Received::Refused {
            self.device.enable_interrupts(IER::DATA_READY);
        }
        self.received = Received::Fresh;
    }

    /// Whether bytes were lost or came damaged since this was asked last.
    pub fn had_errors(&mut self) -> bool {
        self.device.backend_mut().had_errors()
    }

    /// Whether every byte written has left the port: only then may the machine be switched off
    /// without cutting the last reply.
    pub fn is_drained(&mut self) -> bool {
        self.device.lsr().contains(LSR::TRANSMITTER_EMPTY)
    }

    /// Whether there is anything to be read, of the host's or of the filler of a parked port.
    fn has_received(&mut self) -> bool {
        self.device.backend().has_early_bytes() || self.device.ready_to_receive().is_ok()
    }

    /// Turns the interrupt for an empty transmitter on or off.
    fn await_room(&mut self, awaits_room: bool) {
        if self.awaits_room == awaits_room {
            return;
        }
        self.awaits_room = awaits_room;
        if awaits_room {
            self.device.enable_interrupts(IER::THR_EMPTY);
        } else {
            self.device.disable_interrupts(IER::THR_EMPTY);
        }
    }
}

impl<P: Ports> ErrorType for Uart<P> {
    type Error = NotReady;
}

impl<P: Ports> Read for Uart<P> {
    /// Takes what has been received, and never waits: [`NotReady`] where that is nothing.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, NotReady> {
        let early = self.device.backend_mut().take_early(buffer);
        let later = buffer.get_mut(early..).unwrap_or_default();
        let read = early + self.device.receive_bytes(later);
        if read > 0 {
            self.received_taken();
        } else if !buffer.is_empty() {
            return Err(NotReady);
        }
        Ok(read)
    }
}

impl<P: Ports> ReadReady for Uart<P> {
    fn read_ready(&mut self) -> Result<bool, NotReady> {
        Ok(self.parking == Parking::No && self.has_received())
    }
}

impl<P: Ports> Write for Uart<P> {
    /// Writes as much as the transmitter has room for, and never waits: [`NotReady`] where it has
    /// none.
    ///
    /// Where that is not all, room interrupts.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, NotReady> {
        let written = self.device.send_bytes(bytes);
        self.await_room(written < bytes.len());
        if written == 0 && !bytes.is_empty() { Err(NotReady) } else { Ok(written) }
    }

    /// Never waits: [`NotReady`] until every byte has left the port.
    fn flush(&mut self) -> Result<(), NotReady> {
        if self.is_drained() { Ok(()) } else { Err(NotReady) }
    }
}

impl<P: Ports> WriteReady for Uart<P> {
    /// Whether there is room. Where there is none, room interrupts from now on.
    fn write_ready(&mut self) -> Result<bool, NotReady> {
        if self.device.ready_to_send().is_ok() {
            return Ok(true);
        }
        self.await_room(true);
        // Not every model interrupts when room came just before the interrupt was turned on, so
        // look once more.
        Ok(self.device.ready_to_send().is_ok())
    }
}
