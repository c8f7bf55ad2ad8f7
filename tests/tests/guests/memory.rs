//! guest-get-memory-blocks and guest-set-memory-blocks, against the memory that QEMU gives.

use core::ops::Range;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::Client;
use tests::files::Verdict as _;
use tests::image::Image;
use tests::qemu::Guest;

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("memory/2-mib", |guest| blocks_are(guest, MIB))
        .only_where(once_a_machine)
        .prepared(|launch| launch.memory_mib(2)),
    Case::new("memory/64-mib", |guest| blocks_are(guest, 8 * MIB))
        .only_where(once_a_machine)
        .prepared(|launch| launch.memory_mib(64)),
    Case::new("memory/512-mib", |guest| blocks_are(guest, 128 * MIB))
        .only_where(once_a_machine)
        .prepared(|launch| launch.memory_mib(512)),
    Case::new("memory/5-gib", |guest| blocks_are(guest, 128 * MIB))
        .only_where(once_a_machine)
        .prepared(|launch| launch.memory_mib(5 * 1024)),
    Case::new("memory/set", set)
        .only_where(once_a_machine)
        .prepared(|launch| launch.memory_mib(512)),
    Case::new("memory/none", none).only_where(|setup| setup.image == Image::Uart),
];

const MIB: u64 = 1 << 20;

/// Memory does not depend on the channel.
fn once_a_machine(setup: Setup) -> bool {
    setup.image == Image::Pc && setup.channel == setup.machine.usual_virtio()
}

/// The memory that the machine has, as QEMU's own map tells.
fn memory(guest: &mut Guest) -> Result<Vec<Range<u64>>> {
    let map = guest.qmp().monitor("info mtree")?;
    let ram = map.lines().filter(|line| line.contains("alias ram-") && line.contains("-4g "));
    let mut found = Vec::new();
    for line in ram {
        let (start, rest) = line.trim().split_once('-').context("no range")?;
        let (last, _) = rest.split_once(' ').context("no end of the range")?;
        let range = u64::from_str_radix(start, 16)?..u64::from_str_radix(last, 16)? + 1;
        // The map of every processor's bus lists it again.
        if !found.contains(&range) {
            found.push(range);
        }
    }
    ensure!(!found.is_empty(), "no memory in\n{map}");
    Ok(found)
}

fn indices(client: &mut Client) -> Result<Vec<u64>> {
    let blocks = client.call("guest-get-memory-blocks", &json!({})).granted()?;
    let index = |block: &Value| {
        ensure!(block["online"] == true && block["can-offline"] == false, "{block}");
        block["phys-index"].as_u64().context("no index")
    };
    blocks.as_array().context("no list")?.iter().map(index).collect()
}

/// The blocks have this size, and are those that hold memory and no others.
fn blocks_are(guest: &mut Guest, size: u64) -> Result<()> {
    let memory = memory(guest)?;
    let mut client = guest.connect_when_up()?;
    let told = client.call("guest-get-memory-block-info", &json!({})).granted()?;
    ensure!(told == json!({ "size": size }), "{told}");
    let found = indices(&mut client)?;
    let end = memory.iter().map(|range| range.end).max().unwrap_or(0);
    let holds = |index: &u64| {
        let block = index * size..(index + 1) * size;
        memory.iter().any(|range| range.start < block.end && block.start < range.end)
    };
    let expected: Vec<u64> = (0..end.div_ceil(size)).filter(holds).collect();
    ensure!(found == expected, "{found:?} is not {expected:?} ({memory:x?})");
    Ok(())
}

fn set(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let before = indices(&mut client)?;
    for (blocks, expected) in [
        (json!([]), json!([])),
        (
            json!([
                {"phys-index": 0, "online": false},
                {"phys-index": 3, "online": true, "can-offline": true},
                {"phys-index": 4, "online": false},
                {"phys-index": u64::MAX, "online": true}
            ]),
            json!([
                {"response": "operation-not-supported", "error-code": 2, "phys-index": 0},
                {"response": "success", "phys-index": 3},
                {"response": "not-found", "error-code": 2, "phys-index": 4},
                {"response": "not-found", "error-code": 2, "phys-index": u64::MAX}
            ]),
        ),
    ] {
        let arguments = json!({ "mem-blks": blocks });
        let found = client.call("guest-set-memory-blocks", &arguments).granted()?;
        ensure!(found == expected, "{found} is not {expected}");
    }
    let after = indices(&mut client)?;
    ensure!(after == before, "{after:?} is not {before:?}");
    Ok(())
}

/// The smallest image does not know its memory, and says so.
fn none(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let text = client.call("guest-get-memory-blocks", &json!({})).refused()?;
    ensure!(text == "The command guest-get-memory-blocks has not been found", "{text}");
    Ok(())
}
