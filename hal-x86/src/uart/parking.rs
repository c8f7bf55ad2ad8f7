//! A serial port over a reset of the machine, from which the program goes on: a suspend.
//!
//! The reset would take what the port has received and nobody has read. QEMU's port receives while
//! the guest sleeps, and whatever it has room for is lost then; what it has none for, the host's
//! side keeps. It says that there is no room where the receiver holds exactly as many bytes as the
//! trigger level, which is one: so it is given one byte of the port's own, by loopback.

use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{IER, LSR, MCR};

use super::line::{DATA, INTERRUPT_ENABLE, Line, MODEM_CONTROL};
use super::{CONFIG, Received, Uart, UartError};
use crate::ports::Ports;
use crate::relax::relax;

/// What the receiver is given. Should a host send this very byte while that happens it is lost; in
/// text there is none.
const FILLER: u8 = 0;
/// Looks, with a pause each, until a byte should have gone around: at least 20 ms.
const LOOP_POLLS: u32 = 10_000;

/// How far a port has been parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parking {
    /// It receives and sends.
    No,
    /// The receiver has been filled, and QEMU has still to look.
    Begun,
    /// The host keeps what it sends.
    Done,
}

impl<P: Ports> Uart<P> {
    /// Makes the host keep what it sends from now on, in two steps, between which the processor is
    /// to sleep for a millisecond by its timer. Returns whether the host does: nothing is to be
    /// read or written then until [`restart`](Self::restart). Where it does not, this is to be
    /// called again when all that can be read has been read and all that was written has left.
    ///
    /// What a host sends in the very microsecond of the second step may be lost.
    ///
    /// # Errors
    ///
    /// [`UartError::Absent`].
    pub fn park(&mut self) -> Result<bool, UartError> {
        match self.parking {
            Parking::No => {
                if !self.has_received() && self.is_drained() {
                    self.device.backend_mut().fill();
                    self.parking = Parking::Begun;
                }
            }
            Parking::Begun => {
                if self.device.backend_mut().fill_alone() {
                    self.parking = Parking::Done;
                } else {
                    self.restart()?;
                }
            }
            Parking::Done => {}
        }
        Ok(self.parking == Parking::Done)
    }

    /// Opens the port again, as [`with_ports`](Self::with_ports) has, after it was
    /// [parked](Self::park), whether it has been reset since or not.
    ///
    /// # Errors
    ///
    /// [`UartError::Absent`].
    pub fn restart(&mut self) -> Result<(), UartError> {
        let was_parked = core::mem::replace(&mut self.parking, Parking::No) != Parking::No;
        let line = self.device.backend_mut();
        if was_parked && line.has_fifo_on() {
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
    /// Fills the receiver up to its trigger level.
    ///
    /// QEMU remembers that there was room until it looks again, and sends what comes then even
    /// where there is none; and with that there is room again. It looks before it serves a timer,
    /// so the next interrupt of one tells that it has.
    fn fill(&mut self) {
        self.write_register(INTERRUPT_ENABLE, IER::empty().bits());
        self.loop_back(true);
        self.send_filler();
    }

    /// Fills the receiver again if it still holds filler and nothing else; returns whether it does.
    fn fill_alone(&mut self) -> bool {
        let is_filler = self.take();
        let is_alone = is_filler && !self.status().contains(LSR::DATA_READY);
        if is_alone {
            // That was the only one. In loopback a read does not make QEMU look.
            self.send_filler();
        }
        is_alone
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

    /// Sends one byte around.
    fn send_filler(&mut self) {
        self.write_register(DATA, FILLER);
        let mut polls = 0..LOOP_POLLS;
        while !self.status().contains(LSR::TRANSMITTER_EMPTY) && polls.next().is_some() {
            relax();
        }
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
    use embedded_io::{ReadReady, Write, WriteReady};
    use std::vec::Vec;

    use super::*;
    use crate::uart::ComPort;
    use crate::uart::line::tests::Model;
    use crate::uart::tests::read_all;

    /// Until QEMU has looked.
    fn wait(model: &Model) {
        for _ in 0..10 {
            model.read_u8(0x3f8 + 7);
        }
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
                assert_eq!(uart.park(), Ok(false), "there is something to read");
                assert_eq!(read_all(&mut uart), b"a");
                assert_eq!(uart.park(), Ok(false), "the first step");
                assert_eq!((uart.read_ready(), uart.acknowledge()), (Ok(false), true));
                assert_eq!(uart.park(), Ok(true));
                assert_eq!((uart.read_ready(), uart.acknowledge()), (Ok(false), true));
                assert_eq!(uart.park(), Ok(true));
                assert_eq!(model.room(), 0, "the host keeps what it has");
                assert!(!model.line_is_up());
                if slept {
                    model.reset();
                    model.receive(b"b");
                }
                uart.restart().unwrap();
                model.receive(b"c");
                let expected: &[u8] = if slept { b"bc" } else { b"c" };
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
        // QEMU's receives in loopback, too: at any access, and where there was room a moment ago.
        for first in 0..100 {
            for distance in [1, 2, 7, 60] {
                let model = Model::new();
                let mut uart = Uart::with_ports(&model, ComPort::Com1).unwrap();
                model.send_while_accessed(b"0123456789", first, distance);
                let mut read = Vec::new();
                while !uart.park().unwrap() {
                    wait(&model);
                    read.extend(read_all(&mut uart));
                }
                assert_eq!(model.room(), 0, "{first} {distance}");
                let unsent = model.unsent();
                model.reset();
                uart.restart().unwrap();
                model.receive(&unsent);
                read.extend(read_all(&mut uart));
                assert_eq!(read, b"0123456789", "{first} {distance}");
                assert!(!uart.had_errors());
            }
        }
    }

    #[test]
    fn a_port_that_has_more_to_send_is_not_looped_back() {
        let model = Model::new();
        let mut uart = Uart::with_ports(&model, ComPort::Com1).unwrap();
        uart.write(b"reply").unwrap();
        assert_eq!(uart.park(), Ok(false));
        assert_eq!(model.modem_control() & 0x10, 0);
        model.transmit();
        assert_eq!(model.sent(), b"reply");
        assert_eq!(uart.park(), Ok(false));
        assert_eq!(uart.park(), Ok(true));
    }
}
