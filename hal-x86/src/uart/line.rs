//! The registers of a serial port, with an eye on what passes.
//!
//! `uart_16550` throws away what was received before it starts the port, and waits without end for
//! the transmitter to empty. [`Line`] is the [`Backend`] below it, so it sees every access: while
//! the port is started it keeps the bytes that would be lost, and ends the wait. Afterwards it only
//! notes errors, which costs no access of its own.

use uart_16550::backend::Backend;
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{FCR, LSR, MCR, offsets};

use crate::ports::Ports;
use crate::relax::relax;

pub(super) const DATA: u8 = offset(offsets::DATA);
pub(super) const INTERRUPT_ENABLE: u8 = offset(offsets::IER);
const INTERRUPT_ID: u8 = offset(offsets::ISR);
const FIFO_CONTROL: u8 = offset(offsets::FCR);
pub(super) const MODEM_CONTROL: u8 = offset(offsets::MCR);
const LINE_STATUS: u8 = offset(offsets::LSR);

/// What is kept of what comes before the port is started, or started again after it was parked: a
/// full receiver from each of the steps of that.
const EARLY_BYTES: usize = 4 * (FIFO_SIZE + 1);
/// Looks at the line status, with a pause each, until a transmitter that does not empty is left
/// alone: at least the 17 ms of 16 characters at 9600 baud, which firmware may have left there.
const START_POLLS: u32 = 10_000;

/// Bytes were lost, or came damaged (parity, framing), or a break came instead of one.
const ERRORS: LSR = LSR::OVERRUN_ERROR
    .union(LSR::PARITY_ERROR)
    .union(LSR::FRAMING_ERROR)
    .union(LSR::BREAK_INTERRUPT);

#[derive(Debug)]
pub(super) struct Line<P> {
    ports: P,
    base: u16,
    /// What was seen in the line status since errors were asked for last.
    seen: LSR,
    /// While the port is being started: line status reads left before the transmitter is taken for
    /// empty.
    start_polls: Option<u32>,
    early: [u8; EARLY_BYTES],
    early_start: usize,
    early_end: usize,
}

impl<P: Ports> Line<P> {
    pub(super) const fn new(ports: P, base: u16) -> Self {
        Self {
            ports,
            base,
            seen: LSR::empty(),
            start_polls: Some(START_POLLS),
            early: [0; EARLY_BYTES],
            early_start: 0,
            early_end: 0,
        }
    }

    /// The port is to be started again: what it has received is kept.
    pub(super) const fn starts(&mut self) {
        self.start_polls = Some(START_POLLS);
    }

    /// The port has been started: from now on accesses pass unchanged.
    pub(super) fn started(&mut self) {
        self.start_polls = None;
        // QEMU looks for more to receive only when the receiver is read, which it was in loopback;
        // without this the rest of an early request would wait in the host's socket.
        if !self.line_status().contains(LSR::DATA_READY) {
            let modem_control = self.read_register(MODEM_CONTROL);
            self.nudge();
            self.write_register(MODEM_CONTROL, modem_control);
        }
    }

    pub(super) fn had_errors(&mut self) -> bool {
        core::mem::replace(&mut self.seen, LSR::empty()).intersects(ERRORS)
    }

    pub(super) const fn has_early_bytes(&self) -> bool {
        self.early_start < self.early_end
    }

    /// Moves bytes from before the start into `buffer`; how many.
    pub(super) fn take_early(&mut self, buffer: &mut [u8]) -> usize {
        let kept = self.early.get(self.early_start..self.early_end).unwrap_or_default();
        let mut taken = 0;
        for (slot, byte) in buffer.iter_mut().zip(kept) {
            *slot = *byte;
            taken += 1;
        }
        self.early_start += taken;
        if !self.has_early_bytes() {
            (self.early_start, self.early_end) = (0, 0);
        }
        taken
    }

    pub(super) fn keep(&mut self, byte: u8) {
        match self.early.get_mut(self.early_end) {
            Some(slot) => {
                *slot = byte;
                self.early_end += 1;
            }
            None => self.seen |= LSR::OVERRUN_ERROR,
        }
    }

    pub(super) fn read_register(&mut self, offset: u8) -> u8 {
        self.ports.read_u8(self.base + u16::from(offset))
    }

    pub(super) fn write_register(&mut self, offset: u8, value: u8) {
        self.ports.write_u8(self.base + u16::from(offset), value);
    }

    /// The line status. Reading it clears the errors in it, which are noted.
    fn line_status(&mut self) -> LSR {
        let status = self.status();
        self.seen |= status;
        status
    }

    /// The line status while the port is looped back, where errors are not the line's.
    pub(super) fn status(&mut self) -> LSR {
        LSR::from_bits_retain(self.read_register(LINE_STATUS))
    }

    /// Whether the receiver holds more than a byte.
    pub(super) fn has_fifo_on(&mut self) -> bool {
        const FIFO_ON: u8 = 0b1100_0000;
        self.read_register(INTERRUPT_ID) & FIFO_ON == FIFO_ON
    }
}

// The offsets are 0 to 7 and the bases those of `ComPort`, so no port number overflows.
impl<P: Ports> Backend for Line<P> {
    unsafe fn read(&mut self, offset: u8) -> u8 {
        match (offset, self.start_polls) {
            (LINE_STATUS, polls) => {
                let mut status = self.line_status();
                if let Some(polls) = polls {
                    self.start_polls = Some(polls.saturating_sub(1));
                    if polls == 0 {
                        status |= LSR::TRANSMITTER_EMPTY;
                    } else if !status.contains(LSR::TRANSMITTER_EMPTY) {
                        relax();
                    }
                }
                status.bits()
            }
            (DATA, Some(_)) => {
                let byte = self.read_register(DATA);
                self.keep(byte);
                byte
            }
            _ => self.read_register(offset),
        }
    }

    unsafe fn write(&mut self, offset: u8, mut value: u8) {
        if offset == FIFO_CONTROL && self.start_polls.is_some() {
            // Turning the FIFO on clears it; where it is on already nothing needs to.
            value &= !FCR::RX_FIFO_RESET.bits();
            // In loopback nothing is received from outside. (QEMU does receive, but looks whether
            // there is room at a read out of loopback only, or when it has something else to do.)
            // The driver ends the loopback when it sets the modem control register, soon after
            // this.
            self.write_register(MODEM_CONTROL, MCR::LOOP_BACK.bits());
            if !self.has_fifo_on() && self.line_status().contains(LSR::DATA_READY) {
                // The receiver holds one byte. Nothing may come between its read and the change.
                self.take();
            }
        }
        self.write_register(offset, value);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "register offsets are 0 to 7")]
const fn offset(offset: usize) -> u8 {
    offset as u8
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use core::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::vec::Vec;

    /// Accesses until QEMU looks by itself.
    const LAG: u32 = 4;

    /// A 16550A at COM1, as its data sheet has it.
    #[derive(Debug, Default)]
    pub(in crate::uart) struct Model {
        received: RefCell<VecDeque<u8>>,
        waiting: RefCell<Vec<u8>>,
        sent: RefCell<Vec<u8>>,
        interrupt_enable: Cell<u8>,
        line_control: Cell<u8>,
        modem_control: Cell<u8>,
        scratch: Cell<u8>,
        divisor: Cell<u16>,
        fifo: Cell<bool>,
        errors: Cell<u8>,
        room_pending: Cell<bool>,
        /// Whether there was room when QEMU looked last, and for how many accesses it has been
        /// otherwise since.
        saw_room: Cell<bool>,
        unseen: Cell<u32>,
        stalled: Cell<bool>,
        /// What the host sends at each so many accesses from the first on, whatever the mode.
        sends: RefCell<VecDeque<u8>>,
        accesses: Cell<i32>,
        distance: Cell<i32>,
    }

    impl Model {
        pub(in crate::uart) fn new() -> Self {
            Self { divisor: Cell::new(12), ..Self::default() }
        }

        pub(in crate::uart) fn set_fifo(&self, on: bool) {
            self.fifo.set(on);
        }

        pub(in crate::uart) fn receive(&self, bytes: &[u8]) {
            for &byte in bytes {
                assert!(self.modem_control.get() & 0x10 == 0, "nothing comes in loopback");
                self.push(byte);
            }
        }

        /// How many more bytes QEMU's would receive, whose trigger level is one.
        pub(in crate::uart) fn room(&self) -> usize {
            match (self.received.borrow().len(), self.fifo.get()) {
                (0, _) | (2..FIFO_SIZE, true) => 1,
                _ => 0,
            }
        }

        /// QEMU looks whether there is room: after it has received something, at a read out of
        /// loopback, and when it comes around to it.
        fn look(&self) {
            self.saw_room.set(self.room() > 0);
            self.unseen.set(0);
        }

        fn push(&self, byte: u8) {
            let mut received = self.received.borrow_mut();
            if received.len() < if self.fifo.get() { FIFO_SIZE } else { 1 } {
                received.push_back(byte);
            } else {
                self.errors.set(self.errors.get() | 1 << 1);
            }
        }

        /// Switched off and on.
        pub(in crate::uart) fn reset(&self) {
            self.received.borrow_mut().clear();
            self.waiting.borrow_mut().clear();
            for register in [&self.interrupt_enable, &self.line_control, &self.modem_control] {
                register.set(0);
            }
            self.divisor.set(12);
            self.fifo.set(false);
            self.room_pending.set(false);
        }

        /// From the access `first` on the host sends a byte at each so many, when it can.
        pub(in crate::uart) fn send_while_accessed(&self, bytes: &[u8], first: i32, distance: i32) {
            self.sends.borrow_mut().extend(bytes);
            self.accesses.set(-first);
            self.distance.set(distance);
        }

        /// What the host has not got rid of.
        pub(in crate::uart) fn unsent(&self) -> Vec<u8> {
            self.sends.take().into()
        }

        fn access(&self) {
            let access = self.accesses.get();
            self.accesses.set(access.wrapping_add(1));
            let is_due =
                access >= 0 && self.distance.get() > 0 && access % self.distance.get() == 0;
            if is_due && self.saw_room.get() {
                self.sends.borrow_mut().pop_front().into_iter().for_each(|byte| self.push(byte));
                self.look();
            }
            if self.saw_room.get() == (self.room() > 0) {
                self.unseen.set(0);
            } else {
                self.unseen.set(self.unseen.get() + 1);
            }
            if self.unseen.get() == LAG {
                self.look();
            }
        }

        pub(in crate::uart) fn break_condition(&self) {
            self.errors.set(self.errors.get() | 1 << 4);
            self.receive(&[0]);
        }

        /// What waits in the transmitter goes out.
        pub(in crate::uart) fn transmit(&self) {
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.is_empty() {
                self.room_pending.set(true);
                self.sent.borrow_mut().append(&mut waiting);
            }
        }

        pub(in crate::uart) fn stall_transmitter(&self) {
            self.stalled.set(true);
        }

        pub(in crate::uart) fn sent(&self) -> Vec<u8> {
            self.sent.borrow().clone()
        }

        pub(in crate::uart) fn divisor(&self) -> u16 {
            self.divisor.get()
        }

        pub(in crate::uart) fn interrupt_enable(&self) -> u8 {
            self.interrupt_enable.get()
        }

        pub(in crate::uart) fn line_control(&self) -> u8 {
            self.line_control.get()
        }

        pub(in crate::uart) fn modem_control(&self) -> u8 {
            self.modem_control.get()
        }

        pub(in crate::uart) fn fifo_is_on(&self) -> bool {
            self.fifo.get()
        }

        pub(in crate::uart) fn line_is_up(&self) -> bool {
            self.modem_control.get() & 8 != 0 && self.cause() != 1
        }

        fn cause(&self) -> u8 {
            let enabled = self.interrupt_enable.get();
            if enabled & 4 != 0 && self.errors.get() != 0 {
                6
            } else if enabled & 1 != 0 && !self.received.borrow().is_empty() {
                4
            } else if enabled & 2 != 0 && self.room_pending.get() {
                2
            } else {
                1
            }
        }

        fn transmitter_is_empty(&self) -> bool {
            self.waiting.borrow().is_empty() && !self.stalled.get()
        }
    }

    impl Ports for Model {
        fn read_u8(&self, port: u16) -> u8 {
            self.access();
            let divisor_access = self.line_control.get() & 0x80 != 0;
            match port - 0x3f8 {
                0 if divisor_access => self.divisor.get().to_le_bytes()[0],
                1 if divisor_access => self.divisor.get().to_le_bytes()[1],
                0 => {
                    let byte = self.received.borrow_mut().pop_front().unwrap_or(0);
                    if self.modem_control.get() & 0x10 == 0 {
                        self.look();
                    }
                    byte
                }
                1 => self.interrupt_enable.get(),
                2 => {
                    let cause = self.cause();
                    if cause == 2 {
                        self.room_pending.set(false);
                    }
                    cause | if self.fifo.get() { 0xc0 } else { 0 }
                }
                3 => self.line_control.get(),
                4 => self.modem_control.get(),
                5 => {
                    let ready = u8::from(!self.received.borrow().is_empty());
                    let empty = if self.transmitter_is_empty() { 0x60 } else { 0 };
                    ready | empty | self.errors.take()
                }
                6 => 0xb0,
                7 => self.scratch.get(),
                _ => 0xff,
            }
        }

        fn write_u8(&self, port: u16, value: u8) {
            self.access();
            let divisor_access = self.line_control.get() & 0x80 != 0;
            let [low, high] = self.divisor.get().to_le_bytes();
            match port - 0x3f8 {
                0 if divisor_access => self.divisor.set(u16::from_le_bytes([value, high])),
                1 if divisor_access => self.divisor.set(u16::from_le_bytes([low, value])),
                0 if self.modem_control.get() & 0x10 != 0 => self.push(value),
                0 => {
                    self.room_pending.set(false);
                    self.waiting.borrow_mut().push(value);
                    assert!(self.waiting.borrow().len() <= FIFO_SIZE, "transmitter overrun");
                }
                1 => {
                    let turned_on = value & 2 != 0 && self.interrupt_enable.get() & 2 == 0;
                    if turned_on && self.transmitter_is_empty() {
                        self.room_pending.set(true);
                    }
                    self.interrupt_enable.set(value);
                }
                2 => {
                    let on = value & 1 != 0;
                    if value & 2 != 0 || on != self.fifo.get() {
                        self.received.borrow_mut().clear();
                    }
                    self.fifo.set(on);
                }
                3 => self.line_control.set(value),
                4 => self.modem_control.set(value),
                7 => self.scratch.set(value),
                _ => {}
            }
        }

        fn read_u16(&self, _port: u16) -> u16 {
            u16::MAX
        }
        fn write_u16(&self, _port: u16, _value: u16) {}
        fn read_u32(&self, _port: u16) -> u32 {
            u32::MAX
        }
        fn write_u32(&self, _port: u16, _value: u32) {}
    }

    #[test]
    fn early_bytes_are_handed_over_in_pieces() {
        let mut line = Line::new(Model::new(), 0x3f8);
        for byte in 0..68 {
            line.keep(byte);
        }
        assert!(!line.had_errors());
        line.keep(0);
        assert!(line.had_errors());
        let mut buffer = [0; 20];
        assert_eq!(line.take_early(&mut buffer), 20);
        assert_eq!(buffer[19], 19);
        let mut buffer = [0; EARLY_BYTES];
        assert_eq!(line.take_early(&mut buffer), EARLY_BYTES - 20);
        assert!(!line.has_early_bytes());
    }
}
