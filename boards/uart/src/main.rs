//! The agent at its smallest: COM1, a clock, power, and nothing else
//!
//! For guests whose host has given them a serial line and no virtio port. The machine may be pc,
//! q35 or microvm.

#![no_std]
#![no_main]

use agent_core::{Agent, Buffers};
use boot::{Outside, StartInfo};
use hal_x86::acpi::Tables;
use hal_x86::uart::ComPort;
use machine::{Line, Machine, Platform as _, command_line, error, info, serve};
use static_cell::ConstStaticCell;

boot::entry!(main, reset = machine::reset, stack_bytes = STACK_BYTES);
critical_section::set_impl!(hal_x86::critical_section::SingleCore);

/// Unoptimised code keeps each value of an expression in a place of its own.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 64 } else { 16 } * 1024;

/// Bytes of the longest request, and twice the bytes of the longest result.
const REQUEST: usize = 4 * 1024;
const REPLY: usize = 4 * 1024;

static BUFFERS: ConstStaticCell<Buffers<REQUEST, REPLY>> = ConstStaticCell::new(Buffers::new());

fn main(start: &StartInfo<'_>, memory: &Outside) -> ! {
    info!("tinyqga {=str} for a UART", env!("CARGO_PKG_VERSION"));
    let tables = Tables::find(memory, start.rsdp()).ok();
    // SAFETY: this is the first thing that the image does, and boot has made the page tables.
    let (machine, guest) = unsafe { Machine::start(memory.map(), tables.as_ref()) };
    let mut agent =
        Agent::new(guest, BUFFERS.take()).with_policy(command_line::policy(start.command_line()));
    let Some(mut line) = Line::open(ComPort::Com1, &machine) else {
        error!("no UART at COM1");
        machine.rest();
    };
    serve(&mut line, &mut agent, &machine)
}
