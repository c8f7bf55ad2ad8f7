//! A channel that is a device: a virtio-serial port or a serial line.

use core::time::Duration;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::Context as _;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use linux_raw_sys::ioctl::TIOCOUTQ;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::ioctl::{Getter, ioctl};
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr,
};

use crate::{
    channel::{Channel, ChannelError},
    descriptor::{Descriptor, wait_for},
    log::Log,
};

/// How long to wait for a host that is not connected; qemu-ga's time.
///
/// The kernel reports such a port as hung up, so `poll` would return at once, for ever.
const ABSENT_HOST_PAUSE: Duration = Duration::from_millis(100);

/// Bits per second of a serial line.
const SPEED: u32 = 115_200;

/// An open device.
#[derive(Debug)]
pub(crate) struct Device {
    descriptor: Descriptor,
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
    pub(crate) fn open_port(path: &Path, log: Log) -> anyhow::Result<Self> {
        let descriptor = open_non_blocking(path).with_context(|| path.display().to_string())?;
        log.detail(format_args!("serving the port {}", path.display()));
        Ok(Self {
            descriptor: Descriptor::new(descriptor),
            is_host_absent: false,
            is_terminal: false,
        })
    }

    /// Opens a serial line and makes it transparent to any byte.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is not a terminal.
    pub(crate) fn open_serial(path: &Path, log: Log) -> anyhow::Result<Self> {
        let descriptor = open_non_blocking(path)
            .and_then(|descriptor| make_raw(&descriptor).map(|()| descriptor))
            .with_context(|| path.display().to_string())?;
        log.detail(format_args!("serving the line {}", path.display()));
        Ok(Self {
            descriptor: Descriptor::new(descriptor),
            is_host_absent: false,
            is_terminal: true,
        })
    }

    /// What a read or write came to, where "ready, but nothing moves" means that no host is there.
    fn moved(&mut self, outcome: Result<usize, Errno>) -> Result<usize, ChannelError> {
        match outcome {
            Ok(0) | Err(Errno::AGAIN) => {
                self.is_host_absent = true;
                Ok(0)
            }
            Ok(count) => Ok(count),
            Err(error) => Err(error.into()),
        }
    }
}

fn open_non_blocking(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
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
        Ok(self.descriptor.read_ready()?)
    }
}

impl Read for Device {
    /// Reads without waiting; nothing where no host is connected.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ChannelError> {
        let outcome = self.descriptor.read(buffer);
        self.moved(outcome)
    }
}

impl WriteReady for Device {
    fn write_ready(&mut self) -> Result<bool, ChannelError> {
        Ok(self.descriptor.write_ready()?)
    }
}

impl Write for Device {
    /// Writes without waiting; nothing where no host is connected.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        let outcome = self.descriptor.write(bytes);
        self.moved(outcome)
    }

    /// The kernel sends by itself.
    fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

impl Channel for Device {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        others: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        if core::mem::take(&mut self.is_host_absent) {
            self.descriptor.forget();
            let pause = timeout.unwrap_or(ABSENT_HOST_PAUSE).min(ABSENT_HOST_PAUSE);
            return Ok(wait_for(None, others, Some(pause))?);
        }
        Ok(self.descriptor.wait(timeout, others)?)
    }

    fn is_drained(&self) -> bool {
        !self.is_terminal || output_queue(&self.descriptor).is_ok_and(|count| count == 0)
    }
}

/// Bytes that a terminal has not sent yet.
fn output_queue(descriptor: &Descriptor) -> Result<i32, Errno> {
    // SAFETY: TIOCOUTQ writes one int, which is what this getter makes room for.
    let getter = unsafe { Getter::<TIOCOUTQ, i32>::new() };
    // SAFETY: The request touches no other memory and changes nothing of the terminal.
    unsafe { ioctl(descriptor, getter) }
}
