//! The agent as an image for QEMU's pc, q35 and microvm machines
//!
//! One image for all of them: what the machine has is found at run time. The agent listens at the
//! virtio port `org.qemu.guest_agent.0`, or at a UART ([`pc::search`] says which).

#![no_std]
#![no_main]

use agent_core::{Agent, Buffers};
use boot::{Outside, StartInfo};
use hal_virtio::dma::{Memory, Pages, Pool};
use hal_x86::acpi::Tables;
use machine::{Machine, Nameplate, command_line, info};
use pc::{DMA_PAGES, Devices, Drivers, Pc, Place, Sleeper, search};
use static_cell::ConstStaticCell;

boot::entry!(main, reset = machine::reset, stack_bytes = STACK_BYTES);
critical_section::set_impl!(hal_x86::critical_section::SingleCore);

/// Unoptimised code keeps each value of an expression in a place of its own.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 256 } else { 64 } * 1024;

/// Bytes of the longest request, and twice the bytes of the longest result.
const REQUEST: usize = 16 * 1024;
const REPLY: usize = 16 * 1024;

static BUFFERS: ConstStaticCell<Buffers<REQUEST, REPLY>> = ConstStaticCell::new(Buffers::new());

/// The memory that the console's device reads and writes.
static POOL: Pool<DMA_PAGES> = Pool::new();

/// The image's pool.
#[derive(Debug)]
enum Dma {}

// SAFETY: the image is mapped one to one, all of it lies in the machine's memory, and without an
// IOMMU (or with one that was left as the firmware had it) devices reach all of that by the same
// addresses.
unsafe impl Memory for Dma {
    fn pool() -> &'static dyn Pages {
        &POOL
    }
}

fn main(start: &StartInfo<'_>, memory: &Outside) -> ! {
    info!("tinyqga {=str} for pc", env!("CARGO_PKG_VERSION"));
    let tables = Tables::find(memory, start.rsdp()).ok();
    // SAFETY: this is the first thing that the image does, and boot has made the page tables.
    let (machine, guest) = unsafe { Machine::start(memory.map(), tables.as_ref()) };

    let mut place = Place::<Dma>::new();
    let mut drivers = Drivers::new();
    search(&Devices::new(&machine, memory, tables.as_ref(), start), &mut drivers, &mut place);

    let sleeper = Sleeper::new(&machine, memory, tables.as_ref(), start);
    let line = start.command_line();
    let nameplate = command_line::identity(line, Nameplate::image("pc"));
    let board = Pc::new(guest, nameplate, drivers, &machine, start, sleeper.suspend_to_ram());
    let mut agent = Agent::new(board, BUFFERS.take()).with_policy(command_line::policy(line));
    place.serve(&mut agent, &sleeper)
}
