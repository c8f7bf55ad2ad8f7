//! A channel that is a listening Unix socket: one client after the other.
//!
//! The agent and its parser outlive clients: what one leaves half said the next continues, as
//! with qemu-ga. Only answers belong to a client: those that it does not read are dropped.

use core::time::Duration;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context as _, bail};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, connect, socket_with,
};

use crate::{
    channel::{Channel, ChannelError},
    descriptor::{Descriptor, wait_for},
    log::Log,
};

/// A listening socket and the client that is being served.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    client: Option<Client>,
    log: Log,
}

/// A connection.
#[derive(Debug)]
struct Client {
    descriptor: Descriptor,
    /// It has sent all that it will send.
    has_finished: bool,
    /// It takes no more answers.
    is_deaf: bool,
}

impl Socket {
    /// Listens at `path`, where a socket that nobody listens to any more is replaced.
    ///
    /// # Errors
    ///
    /// Something else is there, or the socket cannot be made.
    pub(crate) fn listen(path: &Path, log: Log) -> anyhow::Result<Self> {
        remove_stale(path).with_context(|| path.display().to_string())?;
        let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
        listener.set_nonblocking(true)?;
        log.detail(format_args!("listening at {}", path.display()));
        Ok(Self { listener, client: None, log })
    }

    /// Takes the next client, if there is one.
    fn accept(&mut self) -> Result<(), ChannelError> {
        match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(descriptor) => {
                self.log.detail(format_args!("a client has connected"));
                self.client = Some(Client {
                    descriptor: Descriptor::new(descriptor),
                    has_finished: false,
                    is_deaf: false,
                });
                Ok(())
            }
            // It came and went, or a signal did.
            Err(Errno::AGAIN | Errno::CONNABORTED | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Removes a socket that nobody listens to.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
        Ok(metadata) if !metadata.file_type().is_socket() => bail!("exists and is not a socket"),
        Ok(_) => {}
    }
    let probe = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    match connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(Errno::CONNREFUSED) => Ok(fs::remove_file(path)?),
        // A full backlog is a listener too.
        Ok(()) | Err(Errno::AGAIN) => bail!("another process listens here"),
        Err(error) => Err(error.into()),
    }
}

impl ErrorType for Socket {
    type Error = ChannelError;
}

impl ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, ChannelError> {
        match &mut self.client {
            Some(client) if !client.has_finished => Ok(client.descriptor.read_ready()?),
            _ => Ok(false),
        }
    }
}

impl Read for Socket {
    /// Reads without waiting; nothing once the client has finished.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ChannelError> {
        let Some(client) = &mut self.client else { return Ok(0) };
        match client.descriptor.read(buffer) {
            Ok(0) => client.has_finished = true,
            Ok(count) => return Ok(count),
            Err(Errno::AGAIN) => {}
            // ECONNRESET: it closed and had answers that it did not read.
            Err(error) => {
                self.log.detail(format_args!("the client is gone: {error}"));
                client.has_finished = true;
                client.is_deaf = true;
            }
        }
        Ok(0)
    }
}

impl WriteReady for Socket {
    /// Ready also where nobody is there to take the bytes.
    fn write_ready(&mut self) -> Result<bool, ChannelError> {
        match &mut self.client {
            Some(client) if !client.is_deaf => Ok(client.descriptor.write_ready()?),
            _ => Ok(true),
        }
    }
}

impl Write for Socket {
    /// Writes without waiting. What nobody is there to take is dropped: the next client must not
    /// get it.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ChannelError> {
        let Some(client) = self.client.as_mut().filter(|client| !client.is_deaf) else {
            return Ok(bytes.len());
        };
        // The standard library has SIGPIPE ignored, so a client that is gone is an error here.
        match client.descriptor.write(bytes) {
            Ok(count) => Ok(count),
            Err(Errno::AGAIN) => Ok(0),
            Err(error) => {
                self.log.detail(format_args!("answers are dropped: {error}"));
                client.is_deaf = true;
                Ok(bytes.len())
            }
        }
    }

    /// The kernel sends by itself.
    fn flush(&mut self) -> Result<(), ChannelError> {
        Ok(())
    }
}

impl Channel for Socket {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        others: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let Some(client) = &mut self.client else {
            wait_for(Some(PollFd::new(&self.listener, PollFlags::IN)), others, timeout)?;
            return self.accept();
        };
        if client.has_finished && !client.descriptor.has_refused() {
            // It sends nothing more and no answer waits for it: on to the next one.
            self.client = None;
            self.log.detail(format_args!("the client has been served"));
            return Ok(());
        }
        Ok(client.descriptor.wait(timeout, others)?)
    }
}
