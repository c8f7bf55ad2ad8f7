//! A serial port over a reset of the machine, from which the program goes on: a suspend.
//!
//! The reset would take what the port has received and nobody has read. QEMU's port receives while
//! the guest sleeps, and whatever fits into its receiver is lost then; a host's side that finds no
//! room keeps its bytes. So the receiver is filled with bytes of the port's own, by loopback.

use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{IER, LSR, MCR};

use super::line::{DATA, INTERRUPT_ENABLE, Line, MODEM_CONTROL};
use super::{CONFIG, Received, Uart, UartError};
use crate::ports::Ports;
use crate::relax::relax;

/// What the receiver is filled with. Should a host send this very byte while that happens it is
/// lost; in text there is none.
const FILLER: u8 = 0;
/// Bytes that are taken out, and replaced, until the receiver holds nothing but filler.
const MAX_ROUNDS: usize = 8 * FIFO_SIZE;
/// Pauses until QEMU has looked whether there is room for more: at least 1 ms.
const PATIENCE: u32 = 500;
/// Looks, with a pause each, until a byte should have gone around: at least 20 ms.
const LOOP_POLLS: u32 = 10_000;

impl<P: Ports> Uart<P> {
    /// Makes the host keep what it sends from now on. Nothing is read or written until
    /// [`restart`](Self::restart); what was received until here can be read then.
    ///
    /// A port that still has something to send is left as it is.
    pub fn park(&mut self) {
        if self.is_drained() {
            self.device.backend_mut().fill();
        }
    }

    /// Opens the port again, as [`with_ports`](Self::with_ports) has, after it was
    /// [parked](Self::park), whether it has been reset since or not.
    ///
    /// # Errors
    ///
    /// [`UartError::Absent`].
    pub fn restart(&mut self) -> Result<(), UartError> {
        let line = self.device.backend_mut();
        if line.has_fifo_on() {
            // It has not been reset, and is in loopback still.
            line.drop_filler();
        }
        line.starts();
        self.device.init(CONFIG).map_err(|_| UartError::Absent)?;
        self.device.backend_mut().started();
        self.awaits_room = false;
        self.received = Received::Fresh;
        Ok(())
    }
}

impl<P: Ports> Line<P> {
    /// Fills the receiver, and keeps what was in it, or comes meanwhile: what is read is replaced
    /// until a whole receiver of filler has been.
    fn fill(&mut self) {
        self.make_room();
        self.write_register(INTERRUPT_ENABLE, IER::empty().bits());
        self.loop_back(true);
        // QEMU remembers that there was room until it looks again, and sends what comes then even
        // where there is none. A read makes it look; at the trigger level there is no room.
        self.send_filler();
        self.nudge();
        self.loop_back(true);
        for _ in 0..PATIENCE {
            relax();
        }
        for _ in 0..FIFO_SIZE {
            self.send_filler();
        }
        let mut replaced = 0;
        for _ in 0..MAX_ROUNDS {
            if replaced == FIFO_SIZE || !self.status().contains(LSR::DATA_READY) {
                return;
            }
            let was_filler = self.take();
            // Without room for it: one of the host's has come in between.
            let has_come = self.send_filler().contains(LSR::OVERRUN_ERROR);
            replaced = if was_filler && !has_come { replaced + 1 } else { 0 };
        }
    }

    /// Makes QEMU look whether there is room, as it does at the read of a byte out of loopback, but
    /// not of none. The modem control register is to be set afterwards.
    pub(super) fn nudge(&mut self) {
        self.loop_back(true);
        self.send_filler();
        self.loop_back(false);
        // The host's may have come before the filler.
        for _ in 0..=FIFO_SIZE {
            if !self.status().contains(LSR::DATA_READY) || self.take() {
                return;
            }
        }
    }

    fn loop_back(&mut self, on: bool) {
        let control = if on { MCR::LOOP_BACK } else { MCR::empty() };
        self.write_register(MODEM_CONTROL, control.bits());
    }

    /// Takes a byte out of the receiver, which has one, and keeps it; whether it is filler, which
    /// is not kept.
    pub(super) fn take(&mut self) -> bool {
        let byte = self.read_register(DATA);
        if byte != FILLER {
            self.keep(byte);
        }
        byte == FILLER
    }

    /// Sends one byte around; what the port says of that.
    fn send_filler(&mut self) -> LSR {
        self.write_register(DATA, FILLER);
        let mut status = self.status();
        let mut polls = 0..LOOP_POLLS;
        while !status.contains(LSR::TRANSMITTER_EMPTY) && polls.next().is_some() {
            relax();
            status |= self.status();
        }
        status
    }

    /// Empties the receiver.
    fn drop_filler(&mut self) {
        for _ in 0..=FIFO_SIZE {
            if !self.status().contains(LSR::DATA_READY) {
                return;
            }
            self.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use embedded_io::{Read, ReadReady, Write, WriteReady};
    use std::vec::Vec;

    use super::*;
    use crate::uart::ComPort;
    use crate::uart::line::tests::Model;

    fn read_all(uart: &mut Uart<&Model>) -> Vec<u8> {
        let mut bytes = Vec::new();
        while uart.read_ready().unwrap() {
            let mut byte = [0];
            assert_eq!(uart.read(&mut byte), Ok(1));
            bytes.extend(byte);
        }
        bytes
    }

    #[test]
    fn a_parked_port_takes_nothing_and_loses_nothing() {
        for fifo in [true, false] {
            for slept in [true, false] {
                let model = Model::new();
                let mut uart = Uart::with_ports(&model, ComPort::Com1).unwrap();
                if !fifo {
                    model.set_fifo(false);
                }
                model.receive(b"a");
                uart.park();
                assert_eq!(model.room(), 0, "the host keeps what it has");
                assert!(!model.line_is_up());
                if slept {
                    model.reset();
                    model.receive(b"b");
                }
                uart.restart().unwrap();
                model.receive(b"c");
                let expected: &[u8] = if slept { b"abc" } else { b"ac" };
                assert_eq!(read_all(&mut uart), expected, "{fifo} {slept}");
                assert_eq!(model.interrupt_enable(), 1);
                assert_eq!(uart.write_ready(), Ok(true));
                assert_eq!(uart.write(b"d"), Ok(1));
                model.transmit();
                assert_eq!(model.sent(), b"d");
            }
        }
    }

    #[test]
    fn what_comes_while_it_is_parked_is_kept() {
        // QEMU's receives in loopback, too: at any access, as long as there is room.
        for first in 0..60 {
            for distance in [1, 2, 7] {
                let model = Model::new();
                let mut uart = Uart::with_ports(&model, ComPort::Com1).unwrap();
                model.receive(b"<");
                model.send_while_accessed(b"0123456789", first, distance);
                uart.park();
                assert_eq!(model.room(), 0, "{first} {distance}");
                let unsent = model.unsent();
                model.reset();
                uart.restart().unwrap();
                model.receive(&unsent);
                assert_eq!(read_all(&mut uart), b"<0123456789", "{first} {distance}");
                assert!(!uart.had_errors());
            }
        }
    }

    #[test]
    fn a_port_that_has_more_to_send_is_not_looped_back() {
        let model = Model::new();
        let mut uart = Uart::with_ports(&model, ComPort::Com1).unwrap();
        uart.write(b"reply").unwrap();
        uart.park();
        assert_eq!(model.modem_control() & 0x10, 0);
        model.transmit();
        assert_eq!(model.sent(), b"reply");
    }
}
