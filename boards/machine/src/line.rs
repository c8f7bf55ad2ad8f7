//! The channel over a UART

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use hal_x86::uart::{ComPort, Uart};

use crate::machine::Machine;
use crate::serve::Channel;

/// A serial line, with a host's character device at its other end.
#[derive(Debug)]
pub struct Line {
    uart: Uart,
    /// It had errors when it was looked at last: the log has told of these already.
    had_errors: bool,
}

impl Line {
    /// The UART at `com`, if one answers there and can interrupt.
    pub fn open(com: ComPort, machine: &Machine<'_>) -> Option<Self> {
        // SAFETY: the machine is the program's, as whoever started it promised, and nothing else
        // drives this port.
        let uart = unsafe { Uart::open(com) }.ok()?;
        machine.wake_on_isa(com.irq()).ok()?;
        Some(Self { uart, had_errors: false })
    }
}

impl Channel for Line {
    fn attend(&mut self) -> Result<bool, ErrorKind> {
        let had_errors = self.uart.had_errors();
        if had_errors && !self.had_errors {
            crate::warning!("the UART: bytes were lost or came damaged");
        }
        self.had_errors = had_errors;
        Ok(!self.uart.acknowledge())
    }

    fn is_drained(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.uart.is_drained())
    }

    fn close(&mut self) {
        // A line has no end to announce.
    }

    fn rest(&mut self) -> Result<bool, ErrorKind> {
        self.uart.park().map_err(|_| ErrorKind::Other)
    }

    fn resume(&mut self) {
        if let Err(failure) = self.uart.restart() {
            crate::error!("the UART: {}", failure);
        }
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.uart.read_ready().map_err(|error| error.kind())
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        self.uart.read(bytes).map_err(|error| error.kind())
    }
}

impl WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        self.uart.write_ready().map_err(|error| error.kind())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.uart.write(bytes).map_err(|error| error.kind())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.uart.flush().map_err(|error| error.kind())
    }
}
