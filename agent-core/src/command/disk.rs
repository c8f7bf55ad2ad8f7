//! `guest-get-disks` and `guest-get-diskstats`.
//!
//! `GuestDiskInfo` (qga/qapi-schema.json, since 5.2; its `smart`, since 7.1, is not told) and
//! `GuestDiskStatsInfo` with `GuestDiskStats` (since 7.1).

use super::{Call, Command, Needs, call::present, filesystem::write_disk};
use crate::{
    board::Board,
    capability::{Disk, DiskStatistics},
    error::Error,
    wire::ReplyWriter,
};

pub(super) const GET_DISKS: Command = Command {
    about: "Lists the disks and their partitions.",
    returns: "['GuestDiskInfo']",
    needs: Needs::Disks,
    ..Command::new("guest-get-disks", "5.2")
};

pub(super) const GET_DISKSTATS: Command = Command {
    about: "Tells what has been done to the disks.",
    returns: "['GuestDiskStatsInfo']",
    needs: Needs::Disks,
    ..Command::new("guest-get-diskstats", "7.1")
};

/// Lists the disks and their partitions.
pub(super) fn get_disks<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.disks())?
        .list(&mut |disk| write_entry(reply, disk))
        .map_err(Error::failed("Can't open directory \\\"/sys/block\\\""))?;
    reply.end_array();
    Ok(())
}

fn write_entry(reply: &mut ReplyWriter<'_>, disk: &Disk<'_>) {
    reply.begin_object();
    reply.key("name").string(disk.name.as_bytes());
    reply.key("dependencies").begin_array();
    for other in disk.dependencies {
        reply.string(other.as_bytes());
    }
    reply.end_array();
    reply.key("partition").boolean(disk.partition);
    if let Some(address) = &disk.address {
        reply.key("address");
        write_disk(reply, address);
    }
    if let Some(alias) = disk.alias {
        reply.key("alias").string(alias.as_bytes());
    }
    reply.end_object();
}

/// Tells what has been done to the disks since the guest has started.
pub(super) fn get_diskstats<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.disks())?
        .statistics(&mut |disk| write_statistics(reply, disk))
        .map_err(Error::failed("open(\\\"/proc/diskstats\\\")"))?;
    reply.end_array();
    Ok(())
}

fn write_statistics(reply: &mut ReplyWriter<'_>, disk: &DiskStatistics<'_>) {
    reply.begin_object();
    reply.key("name").string(disk.name.as_bytes());
    reply.key("stats").begin_object();
    let DiskStatistics { read, write, discard, .. } = disk;
    for (key, value) in [
        ("discard-sectors", discard.sectors),
        ("write-ios", write.ios),
        ("discard-ios", discard.ios),
        ("discard-ticks", discard.ticks),
        ("weight-ticks", disk.weight_ticks),
        ("read-ios", read.ios),
        ("flush-ios", disk.flush_ios),
        ("write-sectors", write.sectors),
        ("write-merges", write.merges),
        ("write-ticks", write.ticks),
        ("ios-pgr", disk.ios_in_progress),
        ("read-sectors", read.sectors),
        ("read-merges", read.merges),
        ("total-ticks", disk.total_ticks),
        ("discard-merges", discard.merges),
        ("flush-ticks", disk.flush_ticks),
        ("read-ticks", read.ticks),
    ] {
        if let Some(value) = value {
            reply.key(key).unsigned(value);
        }
    }
    reply.end_object();
    reply.key("minor").unsigned(disk.minor).key("major").unsigned(disk.major).end_object();
}
