//! A device on PCI or behind memory-mapped registers, told apart at run time
//!
//! So that a program which does not know its machine has each driver once.

use virtio_drivers::transport::mmio::MmioTransport;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::pci;

/// Either transport.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one value per device, and no heap to put it on")]
pub enum AnyTransport {
    /// Memory-mapped registers.
    Mmio(MmioTransport<'static>),
    /// PCI.
    Pci(pci::Transport),
}

impl From<MmioTransport<'static>> for AnyTransport {
    fn from(transport: MmioTransport<'static>) -> Self {
        Self::Mmio(transport)
    }
}

impl From<pci::Transport> for AnyTransport {
    fn from(transport: pci::Transport) -> Self {
        Self::Pci(transport)
    }
}

/// Calls the same method of whichever transport it is.
macro_rules! either {
    ($self:ident, $transport:ident => $call:expr) => {
        match $self {
            Self::Mmio($transport) => $call,
            Self::Pci($transport) => $call,
        }
    };
}

impl Transport for AnyTransport {
    fn device_type(&self) -> DeviceType {
        either!(self, transport => transport.device_type())
    }

    fn read_device_features(&mut self) -> u64 {
        either!(self, transport => transport.read_device_features())
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        either!(self, transport => transport.write_driver_features(driver_features));
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        either!(self, transport => transport.max_queue_size(queue))
    }

    fn notify(&mut self, queue: u16) {
        either!(self, transport => transport.notify(queue));
    }

    fn get_status(&self) -> DeviceStatus {
        either!(self, transport => transport.get_status())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        either!(self, transport => transport.set_status(status));
    }

    fn set_guest_page_size(&mut self, guest_page_size: u32) {
        either!(self, transport => transport.set_guest_page_size(guest_page_size));
    }

    fn requires_legacy_layout(&self) -> bool {
        either!(self, transport => transport.requires_legacy_layout())
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        either!(self, transport => {
            transport.queue_set(queue, size, descriptors, driver_area, device_area);
        });
    }

    fn queue_unset(&mut self, queue: u16) {
        either!(self, transport => transport.queue_unset(queue));
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        either!(self, transport => transport.queue_used(queue))
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        either!(self, transport => transport.ack_interrupt())
    }

    fn read_config_generation(&self) -> u32 {
        either!(self, transport => transport.read_config_generation())
    }

    fn read_config_space<V: FromBytes + IntoBytes>(&self, offset: usize) -> Result<V, Error> {
        either!(self, transport => transport.read_config_space(offset))
    }

    fn write_config_space<V: IntoBytes + Immutable>(
        &mut self,
        offset: usize,
        value: V,
    ) -> Result<(), Error> {
        either!(self, transport => transport.write_config_space(offset, value))
    }
}
