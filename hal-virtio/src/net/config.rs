//! What a network device says about itself (`struct virtio_net_config`, virtio 1.2 §5.1.4)

use virtio_drivers::transport::Transport;

use super::Error;
use crate::device;

/// Feature bits, §5.1.3.
pub(super) const F_MTU: u64 = 1 << 3;
pub(super) const F_MAC: u64 = 1 << 5;
pub(super) const F_STATUS: u64 = 1 << 16;

/// `VIRTIO_NET_S_LINK_UP` in `status`.
const S_LINK_UP: u16 = 1;

/// Offsets of the fields.
const MAC: usize = 0;
const STATUS: usize = 6;
const MTU: usize = 10;

/// The configuration as far as it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// The address of the device, where it has one that a device may have.
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: Option<u16>,
    pub(super) is_link_up: bool,
}

impl Config {
    /// Reads the configuration of a device that has agreed to `features`.
    pub(super) fn read(transport: &impl Transport, features: u64) -> Result<Self, Error> {
        let read = || Self::read_once(transport, features);
        device::settled(transport, read)?.ok_or(Error::Configuration)
    }

    /// Fields whose feature was not agreed on need not be there.
    fn read_once(transport: &impl Transport, features: u64) -> Result<Self, Error> {
        let mut config = Self { is_link_up: is_link_up(transport, features)?, ..Self::default() };
        if features & F_MAC != 0 {
            let mut mac = [0; 6];
            for (offset, byte) in (MAC..).zip(&mut mac) {
                // The width of the field is the width of the access (§4.1.3.1), and this one is an array of bytes.
                *byte = transport.read_config_space(offset).map_err(|_| Error::Configuration)?;
            }
            config.mac = Some(mac).filter(|mac| is_unicast(*mac));
        }
        if features & F_MTU != 0 {
            config.mtu = Some(halfword(transport, MTU)?);
        }
        Ok(config)
    }
}

/// Whether the cable is in. A device that does not tell has one that always is (§5.1.5).
pub(super) fn is_link_up(transport: &impl Transport, features: u64) -> Result<bool, Error> {
    Ok(features & F_STATUS == 0 || halfword(transport, STATUS)? & S_LINK_UP != 0)
}

fn halfword(transport: &impl Transport, offset: usize) -> Result<u16, Error> {
    let value = transport.read_config_space::<u16>(offset);
    value.map(u16::from_le).map_err(|_| Error::Configuration)
}

/// Whether one device may have the address: not those of a group, of everybody or of nobody (IEEE 802, §8.2.2).
fn is_unicast(mac: [u8; 6]) -> bool {
    mac[0] & 1 == 0 && mac != [0; 6]
}
