//! A virtio network device, as an interface needs it: what fails is started anew

use agent_core::InterfaceStatistics;
use hal_virtio::dma::IdentityHal;
use hal_virtio::net::{self, Error, Net};
use hal_virtio::transport::AnyTransport;
use machine::{error, warning};
use network::{FRAME_BYTES, Nic};

use crate::dma::Dma;

/// Frames that can wait to be received and to be sent.
pub(crate) const RECEIVE: usize = 8;
pub(crate) const TRANSMIT: usize = 8;

type Device = Net<IdentityHal<Dma>, AnyTransport, RECEIVE, TRANSMIT>;

const _: () = assert!(FRAME_BYTES == net::FRAME_BYTES, "the driver's frames are the interface's");

/// A network card with an address.
#[derive(Debug)]
pub(crate) struct Card {
    device: Device,
    hardware_address: [u8; 6],
    /// It works. One that does not is as one whose cable is out.
    works: bool,
    /// Something has moved since this was asked last.
    moved: bool,
}

impl Card {
    /// Starts the device behind `transport`; none has no address, and one is not invented.
    pub(crate) fn open(transport: AnyTransport) -> Result<Option<Self>, Error> {
        let device = Device::new(transport)?;
        Ok(device.mac().map(|hardware_address| Self {
            device,
            hardware_address,
            works: true,
            moved: false,
        }))
    }

    /// How the device's interrupts arrive is the transport's to tell.
    pub(crate) const fn transport(&self) -> &AnyTransport {
        self.device.transport()
    }

    /// Lets the device's interrupt fall, and follows its link. One that has failed is started anew.
    pub(crate) fn attend(&mut self) {
        match self.device.poll() {
            Ok(moved) => self.moved |= moved,
            Err(failure) if self.works => {
                error!("a network device: {}; it is started anew", failure);
                self.restart();
            }
            // It could not be started anew, and will not be until the machine has slept.
            Err(_) => {}
        }
    }

    /// Whether frames or the link have moved since this was asked last.
    pub(crate) const fn has_moved(&mut self) -> bool {
        core::mem::replace(&mut self.moved, false)
    }

    /// Begins anew, as the device may have been reset. Nothing has moved by that: one that fails
    /// again at once must not keep the guest awake.
    pub(crate) fn restart(&mut self) {
        let restarted = self.device.restart();
        self.works = restarted.is_ok();
        if let Err(failure) = restarted {
            warning!("a network device: {}", failure);
        }
    }
}

impl Nic for Card {
    fn hardware_address(&self) -> [u8; 6] {
        self.hardware_address
    }

    fn mtu(&self) -> Option<usize> {
        self.device.mtu().map(usize::from)
    }

    fn is_link_up(&self) -> bool {
        self.works && self.device.is_link_up()
    }

    fn statistics(&self) -> InterfaceStatistics {
        let counted = self.device.statistics();
        InterfaceStatistics {
            rx_bytes: counted.rx_bytes,
            rx_packets: counted.rx_frames,
            rx_errors: counted.rx_errors,
            // The host keeps what finds no room, or drops and counts it itself.
            rx_dropped: 0,
            tx_bytes: counted.tx_bytes,
            tx_packets: counted.tx_frames,
            tx_errors: counted.tx_errors,
            tx_dropped: counted.tx_dropped,
        }
    }

    fn receive(&mut self, frame: &mut [u8; FRAME_BYTES]) -> Option<usize> {
        // What has failed is told by the next look at it.
        self.device.receive(frame).ok().flatten()
    }

    fn transmit(&mut self, frame: &[u8]) {
        _ = self.device.transmit(frame);
    }
}
