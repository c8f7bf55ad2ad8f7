//! `guest-get-devices`.
//!
//! `GuestDeviceInfo`, with one kind of `id`, `GuestDeviceIdPCI` (qga/qapi-schema.json, since 5.2).

use super::{Call, Command, Needs, call::present};
use crate::{
    board::Board,
    capability::{Device, PciId},
    error::Error,
    wire::ReplyWriter,
};

pub(super) const GET_DEVICES: Command = Command {
    about: "Lists the devices that have a driver.",
    returns: "['GuestDeviceInfo']",
    needs: Needs::Devices,
    ..Command::new("guest-get-devices", "5.2")
};

/// Lists the devices that have a driver.
pub(super) fn get_devices<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.devices())?
        .list(&mut |device| write_device(reply, device))
        .map_err(Error::failed("failed to list devices"))?;
    reply.end_array();
    Ok(())
}

fn write_device(reply: &mut ReplyWriter<'_>, device: &Device<'_>) {
    reply.begin_object();
    if let Some(date_ns) = device.driver_date_ns {
        reply.key("driver-date").integer(date_ns);
    }
    reply.key("driver-name").string(device.driver_name.as_bytes());
    if let Some(version) = device.driver_version {
        reply.key("driver-version").string(version.as_bytes());
    }
    if let Some(PciId { vendor, device }) = device.pci {
        reply.key("id").begin_object();
        reply.key("device-id").unsigned(device.into());
        reply.key("vendor-id").unsigned(vendor.into());
        reply.key("type").string(b"pci").end_object();
    }
    reply.end_object();
}
