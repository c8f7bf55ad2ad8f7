//! A virtio disk, as a volume needs it: every call waits, asleep, until it is done or has failed
//!
//! A disk is the host's, which may take its time or never answer. So each call has a deadline. A
//! device that has missed one, or does not work, is started anew, for the calls to come; the call
//! itself fails, and with it the agent's command, which answers with an error.

use fat::{Disk, DiskError};
use hal_virtio::block::{Block, Error, SECTOR_BYTES, SERIAL_BYTES, Wait};
use hal_virtio::dma::IdentityHal;
use hal_virtio::transport::AnyTransport;
use hal_x86::tsc::{Counter as _, Rdtsc};
use machine::{Machine, Platform, error};

use crate::counters::{Counter, Counters};
use crate::dma::{Dma, SECTORS};

/// How long a call may take, ms: more than a busy host needs, less than clients wait.
const TIMEOUT_MS: u64 = 10_000;

/// How long to sleep before another look, ms. The disk's interrupt is what ends the sleep; but
/// where it shares a line with the channel's, which nobody serves meanwhile, it may not get
/// through.
const LOOK_MS: u64 = 10;

type Device = Block<IdentityHal<Dma>, AnyTransport, SECTORS>;

/// A disk, and the machine to wait in.
#[derive(Debug)]
pub(crate) struct VirtioDisk<'m> {
    device: Device,
    machine: &'m Machine<'m>,
    counters: &'m Counters,
    has_waited: bool,
}

impl<'m> VirtioDisk<'m> {
    /// Starts the device behind `transport`; what is done to it is counted by `counters`.
    pub(crate) fn open(
        transport: AnyTransport,
        machine: &'m Machine<'m>,
        counters: &'m Counters,
    ) -> Result<Self, Error> {
        let device = Device::new(transport)?;
        // A volume has sectors; nobody assembles them to blocks.
        if device.block_sectors() == 1 {
            Ok(Self { device, machine, counters, has_waited: false })
        } else {
            Err(Error::BlockSize)
        }
    }

    /// How the device's interrupts arrive is the transport's to tell.
    pub(crate) const fn transport(&self) -> &AnyTransport {
        self.device.transport()
    }

    /// Lets the device's interrupt fall.
    pub(crate) fn attend(&mut self) {
        // No request is under way between two calls, so there is nothing to hear but of a device
        // that has failed, which the next call will meet.
        let _ = self.device.poll();
    }

    /// Whether a call has slept since this was asked last, or the device has interrupted: on a line
    /// that it shares the interrupt of another one may have been lost.
    pub(crate) const fn has_waited(&mut self) -> bool {
        core::mem::replace(&mut self.has_waited, false) | self.device.has_interrupted()
    }

    /// Starts the device anew.
    pub(crate) fn restart(&mut self) {
        if let Err(failure) = self.device.restart() {
            error!("the disk: {}", failure);
        }
    }

    /// The disk's serial number; zeros after its end, and nothing else where it has none.
    pub(crate) fn serial(&mut self) -> [u8; SERIAL_BYTES] {
        self.call(Device::serial).unwrap_or_default()
    }

    /// A call that is counted, as `requests` for `sectors` sectors.
    fn counted(
        &mut self,
        counter: &Counter,
        requests: u64,
        sectors: u64,
        operation: impl FnOnce(&mut Device, Wait<'_>) -> Result<(), Error>,
    ) -> Result<(), DiskError> {
        let start_ticks = Rdtsc.ticks();
        self.call(operation)?;
        counter.add(requests, sectors, Rdtsc.ticks().saturating_sub(start_ticks));
        Ok(())
    }

    /// How many requests a transfer of `bytes` takes, and how many sectors it has.
    const fn size(&self, bytes: &[u8]) -> (u64, u64) {
        let sectors = (bytes.len() / SECTOR_BYTES) as u64;
        (sectors.div_ceil(self.device.request_sectors() as u64), sectors)
    }

    fn call<V>(
        &mut self,
        operation: impl FnOnce(&mut Device, Wait<'_>) -> Result<V, Error>,
    ) -> Result<V, DiskError> {
        let machine = self.machine;
        let end_ms = machine.uptime_ms().saturating_add(TIMEOUT_MS);
        let has_waited = &mut self.has_waited;
        let mut wait = || {
            *has_waited = true;
            machine.idle_for(LOOK_MS);
            machine.uptime_ms() < end_ms
        };
        operation(&mut self.device, &mut wait).map_err(|failure| match failure {
            Error::ReadOnly => DiskError::ReadOnly,
            Error::Unsupported => DiskError::Unsupported,
            Error::Busy | Error::Io | Error::Misaligned | Error::OutOfRange => {
                error!("the disk: {}", failure);
                DiskError::Failed
            }
            _ => {
                error!("the disk: {}; it is started anew", failure);
                self.restart();
                DiskError::Failed
            }
        })
    }
}

impl Disk for VirtioDisk<'_> {
    fn sectors(&self) -> u64 {
        self.device.sectors()
    }

    fn is_read_only(&self) -> bool {
        self.device.is_read_only()
    }

    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let (requests, sectors) = self.size(into);
        self.counted(&self.counters.read, requests, sectors, |device, wait| {
            device.read(first, into, wait)
        })
    }

    fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let (requests, sectors) = self.size(bytes);
        self.counted(&self.counters.write, requests, sectors, |device, wait| {
            device.write(first, bytes, wait)
        })
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.counted(&self.counters.flush, 1, 0, Device::flush)
    }

    fn discard_unit(&self) -> Option<u32> {
        self.device.discard_limits().map(|limits| limits.alignment_sectors)
    }

    fn discard(&mut self, first: u64, count: u64) -> Result<(), DiskError> {
        self.counted(&self.counters.discard, 1, count, |device, wait| {
            device.discard(first, count, wait)
        })
    }
}
