//! A channel that is a device: a virtio-serial port or a serial line.

use core::time::Duration;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use linux_raw_sys::ioctl::TIOCOUTQ;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, retry_on_intr, write};
use rustix::ioctl::{Getter, ioctl};
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr,
};

use crate::channel::{Channel, ChannelError, is_ready, wait_for};

/// How long to wait for a host that is not connected; qemu-ga's time.
///
/// The kernel reports such a port as hung up, so `poll` would return at once, for ever.
const ABSENT_HOST_PAUSE: Duration = Duration::from_millis(100);

/// Bits per second of a serial line.
const SPEED: u32 = 115_200;

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    descriptor: OwnedFd,
    /// What was refused since the last wait.
    refused: PollFlags,
    /// The host was found to be not connected since the last wait.
    is_host_absent: bool,
    is_terminal: bool,
}

impl Device {
    /// Opens a virtio-serial port.
    ///
    /// # Errors
    ///
    /// It cannot be opened.
    pub(crate) fn open_port(path: &Path) -> anyhow::Result<Self> {
        Self::open(path, false)
    }

    /// Opens a serial line and makes it transparent to any byte.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is not a terminal.
    pub(crate) fn open_serial(path: &Path) -> anyhow::Result<Self> {
        let device = Self::open(path, true)?;
        make_raw(&device.descriptor).with_context(|| path.display().to_string())?;
        Ok(device)
    }

    fn open(path: &Path, is_terminal: bool) -> anyhow::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let descriptor =
            open(path, flags, Mode::empty()).with_context(|| path.display().to_string())?;
        Ok(Self { descriptor, refused: PollFlags::empty(), is_host_absent: false, is_terminal })
    }

    fn ready(&mut self, events: PollFlags) -> Result<bool, ChannelError> {
        let ready = is_ready(&self.descriptor, events)?;
        self.refused.set(events, !ready);
        Ok(ready)
    }

    /// What a read or write came to, where "ready, but nothing moves" means that no host is there.
    fn moved(&mut self, outcome: Result<usize, Errno>) -> Result<usize, ChannelError> {
        match outcome {
            Ok(0) | Err(Errno::AGAIN) => {
                self.is_host_absent = true;
                Ok(0)
            }
            Ok(count) => Ok(count),
            Err(error) => Err(ChannelError(error)),
        }
    }
}

/// Bytes in, bytes out: no line editing, echo, flow control or modem lines.
fn make_raw(descriptor: &OwnedFd) -> Result<(), Errno> {
    let mut settings = tcgetattr(descriptor)?;
    settings.make_raw();
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings.set_speed(SPEED)?;
    // What came in while the line was not raw has been edited and echoed.
    tcflush(descriptor, QueueSelector::IFlush)?;
    tcsetattr(descriptor, OptionalActions::Now, &settings)
}

impl ErrorType for Device {
    type Error = ChannelError;
}

impl ReadReady for Device {
    fn read_ready(&mut self) -> Result<bool, ChannelError> {
        self.ready(PollFlags::IN)
    }
}

impl Read for Device {
    /// Reads without waiting; nothing where no host is connected.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ChannelError> {
        let outcome = retry_on_intr(|| read(&self.descriptor, &mut *buffer));
        self.moved(outcome)
    }
}

impl WriteReady for Device {
    fn write_ready(&mut self) -> Result<bool, ChannelError> {
        self.ready(PollFlags::OUT)
    }
}

impl Write for Device {
    /// Writes without waiting; nothing where no host is connected.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        let outcome = retry_on_intr(|| write(&self.descriptor, bytes));
        self.moved(outcome)
    }

    /// The kernel sends by itself.
    fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

impl Channel for Device {
    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), ChannelError> {
        let refused = core::mem::replace(&mut self.refused, PollFlags::empty());
        if core::mem::take(&mut self.is_host_absent) {
            thread::sleep(timeout.unwrap_or(ABSENT_HOST_PAUSE).min(ABSENT_HOST_PAUSE));
            return Ok(());
        }
        wait_for(&self.descriptor, refused, timeout)
    }

    fn is_drained(&self) -> bool {
        !self.is_terminal || output_queue(&self.descriptor).is_ok_and(|count| count == 0)
    }
}

/// Bytes that a terminal has not sent yet.
fn output_queue(descriptor: &OwnedFd) -> Result<i32, Errno> {
    // SAFETY: TIOCOUTQ writes one int, which is what this getter makes room for.
    let getter = unsafe { Getter::<TIOCOUTQ, i32>::new() };
    // SAFETY: The request touches no other memory and changes nothing of the terminal.
    unsafe { ioctl(descriptor, getter) }
}
