//! Reset, feature negotiation and start of a device, whatever its kind
//!
//! virtio 1.2 §3.1.1 in the order that it gives. `virtio_drivers::Transport::begin_init` does not wait for the reset
//! and does not read `FEATURES_OK` back, so drivers of this crate use [`negotiate`] and [`start`].

use core::fmt;

use virtio_drivers::transport::{DeviceStatus, InterruptStatus, Transport};

use crate::dma::PAGE_BYTES;

/// `VIRTIO_F_VERSION_1`: the device follows virtio 1.0 or later (virtio 1.2 §6).
pub const VERSION_1: u64 = 1 << 32;

/// `VIRTIO_F_ACCESS_PLATFORM`: the device sees memory as the platform lets it, through an IOMMU perhaps (§6).
///
/// Accepted when offered: by `Hal`'s contract the addresses that drivers hand out are the device's.
pub const ACCESS_PLATFORM: u64 = 1 << 33;

/// How often the status is read while waiting for a reset. Each read leaves the guest, so this is about 50 ms.
const RESET_READS: u32 = 50_000;

/// How often a device's configuration is read until it has stopped changing.
const CONFIGURATION_READS: usize = 8;

/// How often in a row a device may interrupt about nothing, and the program still looks again. One in order does so when
/// it returns what was written to it and when its configuration changes, and hardly so often before anything else.
const INTERRUPTS_ABOUT_NOTHING: u8 = 64;

/// A device's interrupt line, which it may share.
///
/// A device that interrupts while another one holds the line makes no edge, and an edge-triggered input of an interrupt
/// controller sees nothing until both have been acknowledged. So a program may halt the CPU only after a look at all
/// devices in which none held the line.
#[derive(Debug, Default)]
pub(crate) struct Line {
    about_nothing: u8,
}

impl Line {
    /// Whether all devices are to be looked at once more, after a look at this one has acknowledged `interrupt`. `moved`
    /// says that there was something to do.
    ///
    /// The bound is for a device whose interrupt cannot be acknowledged, as of one that was unplugged, whose registers read
    /// as ones: it would keep the guest awake for good. If it does hold the line, that never falls, and looking on would
    /// not help the others, either.
    pub(crate) fn may_hide_others(&mut self, interrupt: InterruptStatus, moved: bool) -> bool {
        self.about_nothing =
            if interrupt.is_empty() || moved { 0 } else { self.about_nothing.saturating_add(1) };
        !interrupt.is_empty() && self.about_nothing <= INTERRUPTS_ABOUT_NOTHING
    }
}

/// Why a device of any kind cannot be brought to work, or works no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// The device did not accept the features, all of which it had offered.
    FeaturesRefused,
    /// The device did not report the end of its reset in time.
    ResetTimeout,
    /// The device lacks queues that its driver cannot do without, or they are too short.
    Queues,
    /// The DMA pool is too small.
    Memory,
    /// The device has met an error that it cannot recover from (`DEVICE_NEEDS_RESET`), or was unplugged.
    NeedsReset,
    /// The device broke the rules of its queues, so nothing in them can be trusted.
    Misbehaved,
}

impl From<virtio_drivers::Error> for Failure {
    /// What setting up a queue may answer.
    fn from(error: virtio_drivers::Error) -> Self {
        match error {
            virtio_drivers::Error::DmaError => Self::Memory,
            _ => Self::Queues,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FeaturesRefused => "the device refuses the features that it offers",
            Self::ResetTimeout => "the device does not finish its reset",
            Self::Queues => "the device has no queues of sufficient length",
            Self::Memory => "the DMA pool is too small",
            Self::NeedsReset => "the device has failed and needs a reset",
            Self::Misbehaved => "the device broke the rules of its queues",
        })
    }
}

impl core::error::Error for Failure {}

/// Resets the device: from here on it touches neither queues nor buffers.
///
/// # Errors
///
/// [`Failure::ResetTimeout`]: the device may still write to memory that it was given.
pub fn reset(transport: &mut impl Transport) -> Result<(), Failure> {
    transport.set_status(DeviceStatus::empty());
    // > After writing 0 to device_status, the driver MUST wait for a read of device_status to return 0 before
    // > reinitializing the device. (§4.1.4.3.2)
    for _ in 0..RESET_READS {
        if transport.get_status().is_empty() {
            return Ok(());
        }
    }
    Err(Failure::ResetTimeout)
}

/// Resets the device and agrees on those of `wanted` that it offers, as well as on what every driver must accept.
///
/// Returns the agreed features. The queues are to be set up next, then [`start`] follows.
///
/// # Errors
///
/// The device does not reset, or does not agree to what it offered itself.
pub fn negotiate(transport: &mut impl Transport, wanted: u64) -> Result<u64, Failure> {
    reset(transport)?;
    transport.set_status(DeviceStatus::ACKNOWLEDGE);
    transport.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);

    // A legacy device has 32 feature bits and no FEATURES_OK (§3.1.2).
    let legacy = transport.requires_legacy_layout();
    let accepted = if legacy { wanted & 0xFFFF_FFFF } else { wanted | VERSION_1 | ACCESS_PLATFORM };
    let features = transport.read_device_features() & accepted;
    transport.write_driver_features(features);
    if !legacy {
        // A device that is not legacy and does not offer this follows no version that we know.
        if features & VERSION_1 == 0 {
            return Err(Failure::FeaturesRefused);
        }
        transport.set_status(
            DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK,
        );
        // > Re-read device status to ensure the FEATURES_OK bit is still set: otherwise, the device does not support
        // > our subset of features and the device is unusable. (§3.1.1, step 6)
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(Failure::FeaturesRefused);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "a page has 4096 bytes")]
    transport.set_guest_page_size(PAGE_BYTES as u32);
    Ok(features)
}

/// What `read` finds in the device's configuration, once that has stopped changing; `None` if it does not.
pub(crate) fn settled<C: Copy + PartialEq, E>(
    transport: &impl Transport,
    read: impl Fn() -> Result<C, E>,
) -> Result<Option<C>, E> {
    // > Drivers MUST NOT assume reads from fields greater than 32 bits wide are atomic, nor are reads from multiple
    // > fields (§2.5.1)
    // The generation tells of changes. Legacy devices have none, so what was read has to be the same twice.
    let mut last = None;
    for _ in 0..CONFIGURATION_READS {
        let seen = (transport.read_config_generation(), read()?);
        if last == Some(seen) {
            return Ok(Some(seen.1));
        }
        last = Some(seen);
    }
    Ok(None)
}

/// Tells the device that its queues are set up (`DRIVER_OK`): it may use them from here on.
pub fn start(transport: &mut impl Transport) {
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::DRIVER_OK;
    if !transport.requires_legacy_layout() {
        status |= DeviceStatus::FEATURES_OK;
    }
    transport.set_status(status);
}

#[cfg(test)]
mod tests {
    use virtio_drivers::transport::DeviceType;

    use super::*;
    use crate::console::{Console, Event, PortId};
    use crate::fake::{Device, dma};
    use crate::net::Net;

    /// Both on one line: what the network device does while the console holds it makes no edge.
    #[test]
    fn a_device_that_holds_the_line_hides_no_other() {
        dma!(32);
        let mut device = Device::new(DeviceType::Network, 2);
        device.configuration = std::vec![0; 12];
        let cable = device.share();
        let mut net = Net::<Dma, _, 2, 2>::new(cable.clone()).unwrap();
        let host = Device::new(DeviceType::Console, 2).share();
        let mut console = Console::<Dma, _, 1, 2, 2>::new(host.clone()).unwrap();
        while console.poll().unwrap().is_some() {}
        console.open(PortId(0)).unwrap();
        embedded_io::Write::write_all(&mut console.port(PortId(0)).unwrap(), b"reply").unwrap();
        assert_eq!(console.poll(), Ok(None));

        assert_eq!(host.0.borrow_mut().receive_all(1), b"reply");
        assert_eq!(net.poll(), Ok(false));
        assert!(cable.0.borrow_mut().send(0, &[0; 72]));
        assert_eq!(console.poll(), Ok(Some(Event::Interrupted)), "the program looks again");
        assert_eq!((net.poll(), console.poll()), (Ok(true), Ok(None)));
    }

    #[test]
    fn a_line_that_never_falls_is_given_up() {
        let (held, fallen) = (InterruptStatus::QUEUE_INTERRUPT, InterruptStatus::empty());
        let mut line = Line::default();
        let mut looks = |moved| (0..1000).filter(|_| line.may_hide_others(held, moved)).count();
        assert_eq!(looks(false), usize::from(INTERRUPTS_ABOUT_NOTHING));
        assert_eq!(looks(false), 0, "it stays so");
        assert_eq!(looks(true), 1000);
        assert_eq!(looks(false), usize::from(INTERRUPTS_ABOUT_NOTHING));
        assert!(!line.may_hide_others(fallen, false));
        assert!(line.may_hide_others(held, false));
        assert!(!line.may_hide_others(fallen, true));
    }
}
