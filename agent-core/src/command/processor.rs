//! `guest-get-vcpus` and `guest-set-vcpus`.

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{
    board::Board,
    capability::{Errno, ProcessorError},
    error::Error,
    wire::Piece,
};

const LOGICAL_ID: Field = Field::new("logical-id", Type::INTEGER);
const ONLINE: Field = Field::new("online", Type::BOOLEAN);
/// As the guest tells it; of no effect here.
const CAN_OFFLINE: Field = Field::optional("can-offline", Type::BOOLEAN);

const VCPUS: Field = Field::new(
    "vcpus",
    Type::structures("['GuestLogicalProcessor']", &[LOGICAL_ID, ONLINE, CAN_OFFLINE]),
);

pub(super) const GET_VCPUS: Command = Command {
    about: "Lists the processors.",
    returns: "['GuestLogicalProcessor']",
    needs: Needs::Processors,
    ..Command::new("guest-get-vcpus", "1.5")
};

pub(super) const SET_VCPUS: Command = Command {
    about: "Takes processors off or on line; returns how many of the list.",
    arguments: &[VCPUS],
    returns: "int",
    needs: Needs::Processors,
    ..Command::new("guest-set-vcpus", "1.5")
};

/// Lists the processors.
pub(super) fn get_vcpus<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.processors())?
        .list(&mut |processor| {
            reply.begin_object();
            reply.key("online").boolean(processor.online);
            reply.key("can-offline").boolean(processor.can_offline);
            reply.key("logical-id").integer(processor.logical_id).end_object();
        })
        .map_err(Error::failed("failed to list entries: /sys/devices/system/cpu"))?;
    reply.end_array();
    Ok(())
}

/// Takes processors off or on line, one after another, until one fails. Returns how many it did;
/// only when the first fails that is an error.
pub(super) fn set_vcpus<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let processors = present(call.board.processors())?;
    let mut done = 0_u64;
    for processor in call.arguments.structures(VCPUS.name).into_iter().flatten() {
        let id =
            processor.integer(LOGICAL_ID.name).ok_or_else(|| Error::missing(LOGICAL_ID.name))?;
        let online = processor.boolean(ONLINE.name).ok_or_else(|| Error::missing(ONLINE.name))?;
        match processors.set_online(id, online) {
            Ok(()) => done = done.saturating_add(1),
            Err(error) if done == 0 => return Err(failed(id, error)),
            Err(_) => break,
        }
    }
    call.reply.unsigned(done);
    Ok(())
}

/// qemu-ga's texts, with the paths that it has in Linux.
fn failed(id: i64, error: ProcessorError) -> Error {
    let (text, why) = match error {
        ProcessorError::NotFound(Errno(why)) => {
            ("open(\\\"/sys/devices/system/cpu/cpu%/\\\"): %", why)
        }
        ProcessorError::MustRun => ("logical processor #% can't be offlined", ""),
        ProcessorError::Failed(Errno(why)) => {
            ("pwrite(\\\"/sys/devices/system/cpu/cpu%//online\\\"): %", why)
        }
    };
    Error::new(text, &[Piece::Integer(id), Piece::Words(why)])
}
