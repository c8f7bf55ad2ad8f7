//! A host and a machine for tests of the main loop

use core::cell::Cell;

use agent_core::ShutdownMode;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::serve::{Channel, Platform};

/// A host's end: what it sends, how much of the answers it takes, and what it has taken.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) sends: Vec<u8>,
    pub(crate) takes: usize,
    pub(crate) taken: Vec<u8>,
    pub(crate) has_more: bool,
    pub(crate) in_flight: bool,
    /// What it sends before it has heard that nobody listens.
    pub(crate) late: Vec<u8>,
    pub(crate) calls: Vec<&'static str>,
}

impl Channel for Host {
    fn attend(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.has_more)
    }

    fn is_drained(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.in_flight)
    }

    fn close(&mut self) {}

    fn hush(&mut self) -> Result<bool, ErrorKind> {
        self.calls.push("hush");
        // What was under way when it was told arrives before it has heard.
        self.sends.append(&mut self.late);
        Ok(self.calls.iter().filter(|&&call| call == "hush").count() > 1)
    }

    fn rest(&mut self) -> Result<bool, ErrorKind> {
        self.calls.push("rest");
        Ok(true)
    }

    fn resume(&mut self) {
        self.calls.push("resume");
    }
}

impl ErrorType for Host {
    type Error = ErrorKind;
}

impl ReadReady for Host {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.sends.is_empty())
    }
}

impl Read for Host {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = bytes.len().min(self.sends.len());
        for (slot, byte) in bytes.iter_mut().zip(self.sends.drain(..len)) {
            *slot = byte;
        }
        Ok(len)
    }
}

impl WriteReady for Host {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.takes > 0)
    }
}

impl Write for Host {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let len = bytes.len().min(self.takes);
        self.takes -= len;
        self.taken.extend(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A machine on which each look at the clock takes a millisecond.
#[derive(Default)]
pub(crate) struct Clockwork(Cell<u64>);

impl Platform for Clockwork {
    fn idle(&self) {}

    fn idle_for(&self, longest_ms: u64) {
        self.0.set(self.0.get() + longest_ms);
    }

    fn uptime_ms(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn shut_down(&self, mode: ShutdownMode) -> ! {
        panic!("{mode:?}")
    }
}
