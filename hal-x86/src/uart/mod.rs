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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uart::line::tests::Model;
    use std::vec::Vec;

    fn open(model: &Model) -> Uart<&Model> {
        Uart::with_ports(model, ComPort::Com1).unwrap()
    }

    fn read_all(uart: &mut Uart<&Model>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 7];
        while uart.read_ready().unwrap() {
            let read = uart.read(&mut buffer).unwrap();
            bytes.extend(&buffer[..read]);
        }
        bytes
    }

    #[test]
    fn ports_and_interrupts_are_those_of_a_pc() {
        let all = [ComPort::Com1, ComPort::Com2, ComPort::Com3, ComPort::Com4];
        assert_eq!(all.map(ComPort::base), [0x3f8, 0x2f8, 0x3e8, 0x2e8]);
        assert_eq!(all.map(ComPort::irq), [4, 3, 4, 3]);
    }

    #[test]
    fn an_empty_bus_is_no_port() {
        let machine = crate::fake::Machine::new();
        assert_eq!(Uart::with_ports(&machine, ComPort::Com2).unwrap_err(), UartError::Absent);
    }

    #[test]
    fn opens_at_the_highest_rate_with_interrupts() {
        let model = Model::new();
        open(&model);
        assert_eq!(model.divisor(), 1);
        assert_eq!(model.interrupt_enable(), 1);
        assert_eq!(model.line_control(), 3);
        assert_eq!(model.modem_control() & 0x0b, 0x0b);
        assert!(model.fifo_is_on());
        assert!(!model.line_is_up());
    }

    #[test]
    fn bytes_from_before_the_opening_are_kept() {
        // Without FIFO one byte is held; with it sixteen.
        for (fifo, bytes) in [(false, &b"{"[..]), (true, b"{\"execute\":\"gue")] {
            let model = Model::new();
            model.set_fifo(fifo);
            model.receive(bytes);
            let mut uart = open(&model);
            assert!(!uart.acknowledge());
            model.receive(b"st");
            assert_eq!(read_all(&mut uart), [bytes, b"st"].concat());
            assert!(uart.acknowledge());
        }
    }

    #[test]
    fn reading_never_waits() {
        let model = Model::new();
        let mut uart = open(&model);
        assert_eq!(uart.read(&mut [0; 4]), Err(NotReady));
        assert_eq!(uart.read(&mut []), Ok(0));
        model.receive(b"abcdef");
        let mut buffer = [0; 4];
        assert_eq!(uart.read(&mut buffer), Ok(4));
        assert_eq!(&buffer, b"abcd");
        assert_eq!(uart.read(&mut buffer), Ok(2));
    }

    #[test]
    fn writing_takes_what_fits_and_room_interrupts() {
        let model = Model::new();
        let mut uart = open(&model);
        assert_eq!(uart.write(&[0x55; 40]), Ok(16));
        assert_eq!(model.interrupt_enable(), 3);
        assert_eq!(uart.write_ready(), Ok(false));
        assert_eq!(uart.write(&[0x55; 24]), Err(NotReady));
        assert_eq!(uart.flush(), Err(NotReady));
        assert!(uart.acknowledge());

        model.transmit();
        assert!(model.line_is_up());
        assert!(!uart.acknowledge());
        assert!(!model.line_is_up());
        assert_eq!(uart.write_ready(), Ok(true));
        assert_eq!(uart.write(&[0xaa; 3]), Ok(3));
        assert_eq!(model.interrupt_enable(), 1);
        model.transmit();
        assert!(!model.line_is_up());
        assert_eq!(uart.flush(), Ok(()));
        assert_eq!(model.sent(), [&[0x55; 16][..], &[0xaa; 3]].concat());
        assert_eq!(uart.write(&[]), Ok(0));
    }

    #[test]
    fn a_writer_that_finds_no_room_is_woken() {
        let model = Model::new();
        let mut uart = open(&model);
        // All fitted, so nothing is waited for yet; then there is more to say.
        assert_eq!(uart.write(&[1; 16]), Ok(16));
        assert_eq!(model.interrupt_enable(), 1);
        assert_eq!(uart.write_ready(), Ok(false));
        assert!(uart.acknowledge());
        model.transmit();
        assert!(model.line_is_up());
    }

    #[test]
    fn the_processor_never_sleeps_with_the_line_up() {
        // Whatever happens in whatever order: after `acknowledge` says so, the line is down.
        for events in 0..4u32.pow(6) {
            let model = Model::new();
            let mut uart = open(&model);
            let mut rest = events;
            while rest > 0 {
                match rest % 4 {
                    0 => model.receive(b"x"),
                    1 => _ = uart.write(&[0; 17]),
                    2 => model.transmit(),
                    _ => model.break_condition(),
                }
                rest /= 4;
            }
            let mut looks = 0;
            while !uart.acknowledge() {
                looks += 1;
                assert!(looks < 4, "{events}");
                read_all(&mut uart);
                if uart.write_ready().unwrap() {
                    uart.write(b"y").unwrap();
                }
            }
            assert!(!model.line_is_up(), "{events}");
        }
    }

    #[test]
    fn a_host_that_sends_but_does_not_take_lets_the_processor_sleep() {
        for early in [&b""[..], b"e"] {
            let model = Model::new();
            model.receive(early);
            let mut uart = open(&model);
            assert_eq!(uart.write(&[1; 20]), Ok(16));
            model.receive(b"more");
            // The board looks, cannot read for want of room, and looks again.
            assert!(!uart.acknowledge());
            assert!(uart.acknowledge());
            assert!(!model.line_is_up());
            model.receive(b" and more");
            assert!(!model.line_is_up());
            assert!(uart.acknowledge());
            // Room wakes it. Then it can read again, and be woken by what comes.
            model.transmit();
            assert!(model.line_is_up());
            assert!(!uart.acknowledge());
            assert_eq!(uart.write(&[1; 4]), Ok(4));
            assert_eq!(read_all(&mut uart), [early, b"more and more"].concat());
            assert!(uart.acknowledge());
            model.receive(b"!");
            assert!(model.line_is_up());
        }
    }

    #[test]
    fn errors_of_the_line_are_told_once() {
        let breaks: fn(&Model) = Model::break_condition;
        let overruns: fn(&Model) = |model| model.receive(&[b'z'; 20]);
        let model = Model::new();
        let mut uart = open(&model);
        for (event, bytes) in [(breaks, 1), (overruns, 16)] {
            assert!(!uart.had_errors());
            event(&model);
            assert_eq!(read_all(&mut uart).len(), bytes);
            assert!(uart.had_errors());
        }
        assert!(!uart.had_errors());
    }

    #[test]
    fn a_port_whose_transmitter_never_empties_opens_all_the_same() {
        let model = Model::new();
        model.stall_transmitter();
        let mut uart = open(&model);
        assert_eq!(uart.write_ready(), Ok(false));
        assert!(!uart.is_drained());
    }
}
