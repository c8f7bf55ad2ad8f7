//! Reset, feature negotiation and start of a device, whatever its kind
//!
//! virtio 1.2 §3.1.1 in the order that it gives. `virtio_drivers::Transport::begin_init` does not wait for the reset
//! and does not read `FEATURES_OK` back, so drivers of this crate use [`negotiate`] and [`start`].

use virtio_drivers::transport::{DeviceStatus, Transport};

use crate::dma::PAGE_BYTES;

/// `VIRTIO_F_VERSION_1`: the device follows virtio 1.0 or later (virtio 1.2 §6).
pub const VERSION_1: u64 = 1 << 32;

/// `VIRTIO_F_ACCESS_PLATFORM`: the device sees memory as the platform lets it, through an IOMMU perhaps (§6).
///
/// Accepted when offered: by `Hal`'s contract the addresses that drivers hand out are the device's.
pub const ACCESS_PLATFORM: u64 = 1 << 33;

/// How often the status is read while waiting for a reset. Each read leaves the guest, so this is about 50 ms.
const RESET_READS: u32 = 50_000;

/// Why a device could not be brought to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// The device did not accept the features, all of which it had offered.
    FeaturesRefused,
    /// The device did not report the end of its reset in time.
    ResetTimeout,
}

impl core::fmt::Display for SetupError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::FeaturesRefused => "the device refuses the features that it offers",
            Self::ResetTimeout => "the device does not finish its reset",
        })
    }
}

impl core::error::Error for SetupError {}

/// Resets the device: from here on it touches neither queues nor buffers.
///
/// # Errors
///
/// [`SetupError::ResetTimeout`]: the device may still write to memory that it was given.
pub fn reset(transport: &mut impl Transport) -> Result<(), SetupError> {
    transport.set_status(DeviceStatus::empty());
    // > After writing 0 to device_status, the driver MUST wait for a read of device_status to return 0 before
    // > reinitializing the device. (§4.1.4.3.2)
    for _ in 0..RESET_READS {
        if transport.get_status().is_empty() {
            return Ok(());
        }
    }
    Err(SetupError::ResetTimeout)
}

/// Resets the device and agrees on those of `wanted` that it offers, as well as on what every driver must accept.
///
/// Returns the agreed features. The queues are to be set up next, then [`start`] follows.
///
/// # Errors
///
/// The device does not reset, or does not agree to what it offered itself.
pub fn negotiate(transport: &mut impl Transport, wanted: u64) -> Result<u64, SetupError> {
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
            return Err(SetupError::FeaturesRefused);
        }
        transport.set_status(
            DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK,
        );
        // > Re-read device status to ensure the FEATURES_OK bit is still set: otherwise, the device does not support
        // > our subset of features and the device is unusable. (§3.1.1, step 6)
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(SetupError::FeaturesRefused);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "a page has 4096 bytes")]
    transport.set_guest_page_size(PAGE_BYTES as u32);
    Ok(features)
}

/// Tells the device that its queues are set up (`DRIVER_OK`): it may use them from here on.
pub fn start(transport: &mut impl Transport) {
    let mut status = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::DRIVER_OK;
    if !transport.requires_legacy_layout() {
        status |= DeviceStatus::FEATURES_OK;
    }
    transport.set_status(status);
}
