//! `guest-get-memory-blocks`, `guest-get-memory-block-info` and `guest-set-memory-blocks`.

use super::{Call, Command, Field, Needs, Type, call::present};
use crate::{board::Board, capability::MemoryBlockError, error::Error};

const PHYS_INDEX: Field = Field::new("phys-index", Type::UNSIGNED);
const ONLINE: Field = Field::new("online", Type::BOOLEAN);
/// As the guest tells it; of no effect here.
const CAN_OFFLINE: Field = Field::optional("can-offline", Type::BOOLEAN);

const MEM_BLKS: Field = Field::new(
    "mem-blks",
    Type::structures("['GuestMemoryBlock']", &[PHYS_INDEX, ONLINE, CAN_OFFLINE]),
);

const fn command(name: &'static str) -> Command {
    Command { needs: Needs::Memory, ..Command::new(name, "2.3") }
}

pub(super) const GET_BLOCKS: Command = Command {
    about: "Lists the memory blocks.",
    returns: "['GuestMemoryBlock']",
    ..command("guest-get-memory-blocks")
};

pub(super) const SET_BLOCKS: Command = Command {
    about: "Takes memory blocks off or on line.",
    arguments: &[MEM_BLKS],
    returns: "['GuestMemoryBlockResponse']",
    ..command("guest-set-memory-blocks")
};

pub(super) const GET_BLOCK_INFO: Command = Command {
    about: "Tells the size of a memory block.",
    returns: "GuestMemoryBlockInfo",
    ..command("guest-get-memory-block-info")
};

/// `ENOENT`, which Linux says of a block that it does not have and of one that it cannot switch.
const NOT_FOUND: i64 = 2;

/// Lists the memory blocks.
pub(super) fn get_blocks<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let reply = &mut *call.reply;
    reply.begin_array();
    present(call.board.memory())?
        .blocks(&mut |block| {
            reply.begin_object();
            reply.key("online").boolean(block.online);
            reply.key("can-offline").boolean(block.can_offline);
            reply.key("phys-index").unsigned(block.index).end_object();
        })
        // qemu-ga's text: there is no space before the quotation mark.
        .map_err(Error::failed("Can't open directory\\\"/sys/devices/system/memory/\\\""))?;
    reply.end_array();
    Ok(())
}

/// Takes memory blocks off or on line; tells of each block what came of it.
pub(super) fn set_blocks<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let memory = present(call.board.memory())?;
    call.reply.begin_array();
    for block in call.arguments.structures(MEM_BLKS.name).into_iter().flatten() {
        let index =
            block.unsigned(PHYS_INDEX.name).ok_or_else(|| Error::missing(PHYS_INDEX.name))?;
        let online = block.boolean(ONLINE.name).ok_or_else(|| Error::missing(ONLINE.name))?;
        let (response, error_code) = match memory.set_online(index, online) {
            Ok(()) => ("success", None),
            Err(MemoryBlockError::NotFound) => ("not-found", Some(NOT_FOUND)),
            Err(MemoryBlockError::Unsupported) => ("operation-not-supported", Some(NOT_FOUND)),
            Err(MemoryBlockError::Failed(code)) => ("operation-failed", Some(code)),
        };
        call.reply.begin_object().key("response").string(response.as_bytes());
        if let Some(code) = error_code {
            call.reply.key("error-code").integer(code);
        }
        call.reply.key("phys-index").unsigned(index).end_object();
    }
    call.reply.end_array();
    Ok(())
}

/// Tells the size of a memory block in bytes.
pub(super) fn get_block_info<B: Board>(call: &mut Call<'_, '_, B>) -> Result<(), Error> {
    let bytes = present(call.board.memory())?
        .block_bytes()
        .map_err(Error::failed("open(\\\"/sys/devices/system/memory/block_size_bytes\\\")"))?;
    call.reply.begin_object().key("size").unsigned(bytes).end_object();
    Ok(())
}
