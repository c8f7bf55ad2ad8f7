//! `guest-get-fsinfo`, `guest-fsfreeze-*` and `guest-fstrim`.

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{
        DiskAddress, Errno, Filesystem, Filesystems, FreezeError, PciAddress, Trim, TrimError,
        Trimmed,
    },
    error::Error,
    wire::{Piece, ReplyWriter},
};

const MOUNTPOINTS: Field = Field::optional("mountpoints", Type::STRINGS);
const MINIMUM: Field = Field::optional("minimum", Type::INTEGER);

const fn command(name: &'static str, since: &'static str) -> Command {
    Command { needs: Needs::Filesystems, ..Command::new(name, since) }
}

pub(super) const FREEZE_STATUS: Command = Command {
    about: "Tells whether the agent has frozen file systems.",
    returns: "GuestFsfreezeStatus",
    while_frozen: true,
    ..command("guest-fsfreeze-status", "0.15.0")
};
pub(super) const FREEZE: Command = Command {
    about: "Freezes all file systems.",
    returns: "int",
    ..command("guest-fsfreeze-freeze", "0.15.0")
};
pub(super) const FREEZE_LIST: Command = Command {
    about: "Freezes some file systems.",
    arguments: &[MOUNTPOINTS],
    returns: "int",
    ..command("guest-fsfreeze-freeze-list", "2.2")
};
pub(super) const THAW: Command = Command {
    about: "Thaws what is frozen.",
    returns: "int",
    while_frozen: true,
    ..command("guest-fsfreeze-thaw", "0.15.0")
};
pub(super) const TRIM: Command = Command {
    about: "Gives free space back to the disks.",
    arguments: &[MINIMUM],
    returns: "GuestFilesystemTrimResponse",
    ..command("guest-fstrim", "1.2")
};
pub(super) const INFO: Command = Command {
    about: "Lists the mounted file systems.",
    returns: "['GuestFilesystemInfo']",
    needs: Needs::FilesystemsOrIdentity,
    ..Command::new("guest-get-fsinfo", "2.2")
};

/// Whether the agent has frozen file systems.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn freeze_status<B>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    call.reply.string(if *call.state.frozen { b"frozen" } else { b"thawed" });
    Ok(())
}

/// Freezes all file systems, or those that are mounted where `mountpoints` says; returns how many.
/// With none frozen the agent is not frozen either.
pub(super) fn freeze<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let arguments = call.arguments;
    let mut selected = |mountpoint: &[u8]| match arguments.strings(MOUNTPOINTS.name) {
        None => true,
        Some(mut chosen) => chosen.any(|chosen| chosen == mountpoint),
    };
    let frozen = present(call.board.filesystems())?
        .freeze(&mut selected)
        .map_err(|error| failed("failed to freeze", error))?;
    *call.state.frozen = frozen > 0;
    call.reply.unsigned(frozen.into());
    Ok(())
}

/// Thaws what is frozen; returns how many file systems that were.
pub(super) fn thaw<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let thawed = thaw_all(present(call.board.filesystems())?, call.state.frozen)
        .map_err(|error| failed("failed to thaw", error))?;
    call.reply.unsigned(thawed.into());
    Ok(())
}

/// Thaws what is frozen, and takes note of it. When only the application's hook fails, which comes
/// last, the file systems are thawed all the same.
pub(crate) fn thaw_all(
    filesystems: &mut dyn Filesystems,
    frozen: &mut bool,
) -> Result<u32, FreezeError> {
    let thawed = filesystems.thaw();
    if matches!(thawed, Ok(_) | Err(FreezeError::Hook)) {
        *frozen = false;
    }
    thawed
}

fn failed(what: &'static str, error: FreezeError) -> Error {
    match error {
        FreezeError::Disk { mountpoint, errno: Errno(why) } => {
            Error::new("% %: %", &[Piece::Text(what), Piece::Words(mountpoint), Piece::Words(why)])
        }
        FreezeError::Hook => Error::plain("fsfreeze hook has terminated abnormally"),
    }
}

/// Gives free space back to the disks. What fails is told for each file system by itself.
pub(super) fn trim<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    // As in qemu-ga a negative minimum is a very large one.
    let minimum = call.arguments.integer(MINIMUM.name).unwrap_or(0).cast_unsigned();
    call.reply.begin_object().key("paths").begin_array();
    let reply = &mut *call.reply;
    present(call.board.filesystems())?.trim(minimum, &mut |trim| write_trim(reply, trim));
    call.reply.end_array().end_object();
    Ok(())
}

fn write_trim(reply: &mut ReplyWriter<'_>, trim: &Trim<'_>) {
    reply.begin_object();
    if let Ok(Trimmed { minimum, .. }) = trim.outcome {
        reply.key("minimum").unsigned(minimum);
    }
    reply.key("path").string(trim.path.as_bytes());
    match trim.outcome {
        Ok(Trimmed { bytes, .. }) => reply.key("trimmed").unsigned(bytes),
        Err(TrimError::Unsupported) => reply.key("error").string(b"trim not supported"),
        Err(TrimError::Disk(Errno(why))) => {
            reply.key("error").text(&[b"failed to trim: ", why.as_bytes()])
        }
    };
    reply.end_object();
}

/// Lists the mounted file systems; none where the guest has none at all.
#[expect(clippy::unnecessary_wraps, reason = "the type of every handler")]
pub(super) fn info<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    call.reply.begin_array();
    let reply = &mut *call.reply;
    if let Some(filesystems) = call.board.filesystems() {
        filesystems.list(&mut |filesystem| write_filesystem(reply, filesystem));
    }
    call.reply.end_array();
    Ok(())
}

fn write_filesystem(reply: &mut ReplyWriter<'_>, filesystem: &Filesystem<'_>) {
    reply.begin_object();
    reply.key("name").string(filesystem.name.as_bytes());
    if let Some(bytes) = filesystem.total_bytes {
        reply.key("total-bytes").unsigned(bytes);
    }
    reply.key("mountpoint").string(filesystem.mountpoint.as_bytes());
    reply.key("disk").begin_array();
    for disk in filesystem.disks {
        write_disk(reply, disk);
    }
    reply.end_array();
    if let Some(bytes) = filesystem.used_bytes {
        reply.key("used-bytes").unsigned(bytes);
    }
    reply.key("type").string(filesystem.r#type.as_bytes()).end_object();
}

pub(super) fn write_disk(reply: &mut ReplyWriter<'_>, disk: &DiskAddress<'_>) {
    reply.begin_object();
    if let Some(serial) = disk.serial {
        reply.key("serial").string(serial.as_bytes());
    }
    reply.key("bus-type").string(disk.bus_type.as_bytes());
    reply.key("bus").integer(disk.bus).key("unit").integer(disk.unit);
    // qemu-ga writes -1 for what it does not know.
    let number = |part: fn(PciAddress) -> i64| disk.pci.map_or(-1, part);
    reply.key("pci-controller").begin_object();
    reply.key("bus").integer(number(|pci| pci.bus.into()));
    reply.key("slot").integer(number(|pci| pci.slot.into()));
    reply.key("domain").integer(number(|pci| pci.domain.into()));
    reply.key("function").integer(number(|pci| pci.function.into())).end_object();
    if let Some(dev) = disk.dev {
        reply.key("dev").string(dev.as_bytes());
    }
    reply.key("target").integer(disk.target).end_object();
}
