//! `guest-get-cpustats` and `guest-get-load`.
//!
//! `GuestCpuStats`, of which there is one kind, `GuestLinuxCpuStats` (qga/qapi-schema.json, since
//! 7.1), and `GuestLoadAverage` (since 10.0).

use super::{Call, Command, Needs, call::present};
use crate::{
    board::Board,
    capability::{LoadAverage, ProcessorTimes},
    error::Error,
    wire::ReplyWriter,
};

pub(super) const GET_CPUSTATS: Command = Command {
    about: "Tells what the processors have spent their time on.",
    returns: "['GuestCpuStats']",
    needs: Needs::Usage,
    ..Command::new("guest-get-cpustats", "7.1")
};

pub(super) const GET_LOAD: Command = Command {
    about: "Tells how many processors were busy on average.",
    returns: "GuestLoadAverage",
    needs: Needs::Usage,
    ..Command::new("guest-get-load", "10.0")
};

/// Tells what the processors have spent their time on.
pub(super) fn get_cpustats<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.usage())?
        .processors(&mut |times| write_times(reply, times))
        .map_err(Error::failed("open(\\\"/proc/stat\\\")"))?;
    reply.end_array();
    Ok(())
}

fn write_times(reply: &mut ReplyWriter<'_>, times: &ProcessorTimes) {
    reply.begin_object().key("cpu").integer(times.logical_id);
    let mut optional = |key, ticks: Option<u64>| {
        if let Some(ticks) = ticks {
            reply.key(key).unsigned(ticks);
        }
    };
    optional("guestnice", times.guestnice);
    optional("idle", Some(times.idle));
    optional("steal", times.steal);
    optional("iowait", times.iowait);
    optional("system", Some(times.system));
    optional("guest", times.guest);
    optional("nice", Some(times.nice));
    optional("irq", times.irq);
    reply.key("type").string(b"linux").key("user").unsigned(times.user);
    if let Some(ticks) = times.softirq {
        reply.key("softirq").unsigned(ticks);
    }
    reply.end_object();
}

/// Tells how many processors were busy on average.
pub(super) fn get_load<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let LoadAverage { one_minute, five_minutes, fifteen_minutes } =
        present(call.board.usage())?.load().map_err(Error::failed("cannot query load average"))?;
    call.reply.begin_object();
    call.reply.key("load15m").double(fifteen_minutes);
    call.reply.key("load5m").double(five_minutes);
    call.reply.key("load1m").double(one_minute).end_object();
    Ok(())
}
