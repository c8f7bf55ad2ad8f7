//! The channel over a UART

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use hal_x86::uart::{ComPort, Uart};

use crate::machine::Machine;
use crate::serve::Channel;

/// A serial line, with a host's character device at its other end.
#[derive(Debug)]
pub struct Line(Uart);

impl Line {
    /// The UART at `com`, if one answers there and can interrupt.
    pub fn open(com: ComPort, machine: &Machine<'_>) -> Option<Self> {
        // SAFETY: the machine is the program's, as whoever started it promised, and nothing else
        // drives this port.
        let uart = unsafe { Uart::open(com) }.ok()?;
        machine.wake_on_isa(com.irq()).ok()?;
        Some(Self(uart))
    }
}

impl Channel for Line {
    fn attend(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.0.acknowledge())
    }

    fn is_drained(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.is_drained())
    }

    fn close(&mut self) {
        // A line has no end to announce.
    }

    fn rest(&mut self) {
        self.0.park();
    }

    fn resume(&mut self) {
        if let Err(failure) = self.0.restart() {
            crate::error!("the UART: {}", failure);
        }
    }
}

impl ErrorType for Line {
    type Error = ErrorKind;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.0.read_ready().map_err(|error| error.kind())
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(bytes).map_err(|error| error.kind())
    }
}

impl WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        self.0.write_ready().map_err(|error| error.kind())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).map_err(|error| error.kind())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().map_err(|error| error.kind())
    }
}
