//! `guest-get-host-name`, `guest-get-osinfo`, `guest-get-timezone` and `guest-get-users`.
//!
//! `GuestHostName`, `GuestOSInfo`, `GuestTimezone` and `GuestUser` (qga/qapi-schema.json, since
//! 2.10).

use super::{Call, Command, Needs, call::present};
use crate::{
    board::Board,
    capability::{OsInfo, Timezone},
    error::Error,
};

const fn command(name: &'static str) -> Command {
    Command { needs: Needs::Identity, ..Command::new(name, "2.10") }
}

pub(super) const GET_HOST_NAME: Command = Command {
    about: "Tells the guest's name.",
    returns: "GuestHostName",
    ..command("guest-get-host-name")
};

pub(super) const GET_USERS: Command = Command {
    about: "Lists who is logged in.",
    returns: "['GuestUser']",
    ..command("guest-get-users")
};

pub(super) const GET_TIMEZONE: Command = Command {
    about: "Tells the time zone.",
    returns: "GuestTimezone",
    ..command("guest-get-timezone")
};

pub(super) const GET_OSINFO: Command = Command {
    about: "Tells what system the guest runs.",
    returns: "GuestOSInfo",
    ..command("guest-get-osinfo")
};

/// Tells the guest's name.
pub(super) fn get_host_name<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let name = present(call.board.identity())?
        .host_name()
        .map_err(Error::failed("cannot get hostname"))?;
    call.reply.begin_object().key("host-name").string(name.as_bytes()).end_object();
    Ok(())
}

/// Lists who is logged in.
pub(super) fn get_users<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.identity())?.users(&mut |user| {
        reply.begin_object().key("login-time").double(user.login_time_s);
        reply.key("user").string(user.name.as_bytes()).end_object();
    });
    reply.end_array();
    Ok(())
}

/// Tells the time zone.
pub(super) fn get_timezone<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let Timezone { zone, offset_s } = present(call.board.identity())?.timezone();
    call.reply.begin_object();
    if let Some(zone) = zone {
        call.reply.key("zone").string(zone.as_bytes());
    }
    call.reply.key("offset").integer(offset_s.into()).end_object();
    Ok(())
}

/// Tells what system the guest runs.
pub(super) fn get_osinfo<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let os: OsInfo<'_> =
        present(call.board.identity())?.os_info().map_err(Error::failed("uname failed"))?;
    call.reply.begin_object();
    for (key, value) in [
        ("name", os.name),
        ("kernel-release", os.kernel_release),
        ("version", os.version),
        ("variant", os.variant),
        ("pretty-name", os.pretty_name),
        ("version-id", os.version_id),
        ("variant-id", os.variant_id),
        ("kernel-version", os.kernel_version),
        ("machine", os.machine),
        ("id", os.id),
    ] {
        if let Some(value) = value {
            call.reply.key(key).string(value.as_bytes());
        }
    }
    call.reply.end_object();
    Ok(())
}
