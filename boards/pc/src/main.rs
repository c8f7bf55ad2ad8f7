//! The agent as an image for QEMU's pc, q35 and microvm machines
//!
//! One image for all of them: what the machine has is found at run time. The agent listens at the
//! virtio port `org.qemu.guest_agent.0`, or at a UART ([`search`] says which).

#![no_std]
#![no_main]

mod dma;
mod port;
mod search;

use agent_core::{Agent, Buffers};
use boot::{Outside, StartInfo};
use hal_x86::acpi::Tables;
use machine::{Machine, error, info, serve};
use static_cell::ConstStaticCell;

use crate::search::{Place, Search};

boot::entry!(main, reset = machine::reset, stack_bytes = STACK_BYTES);
critical_section::set_impl!(hal_x86::critical_section::SingleCore);

/// Unoptimised code keeps each value of an expression in a place of its own.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 256 } else { 64 } * 1024;

/// Bytes of the longest request, and twice the bytes of the longest result.
const REQUEST: usize = 16 * 1024;
const REPLY: usize = 8 * 1024;

static BUFFERS: ConstStaticCell<Buffers<REQUEST, REPLY>> = ConstStaticCell::new(Buffers::new());

fn main(start: &StartInfo<'_>, memory: &Outside) -> ! {
    info!("tinyqga {=str} for pc", env!("CARGO_PKG_VERSION"));
    let tables = Tables::find(memory, start.rsdp()).ok();
    // SAFETY: this is the first thing that the image does, and boot has made the page tables.
    let (mut machine, guest) = unsafe { Machine::start(memory.map(), tables.as_ref()) };
    let mut agent = Agent::new(guest, BUFFERS.take());
    let mut place = Place::new();
    let search =
        Search { machine: &mut machine, memory, tables: tables.as_ref(), start, place: &mut place };
    search.run();
    if let Some(port) = &mut place.port {
        serve(port, &mut agent, &mut machine);
    }
    if let Some(line) = &mut place.line {
        serve(line, &mut agent, &mut machine);
    }
    error!("no channel: neither a virtio port org.qemu.guest_agent.0 nor a UART");
    machine.rest()
}
