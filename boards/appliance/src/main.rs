//! The agent in an appliance: the pc image with files and a network
//!
//! ```text
//! main          memory, the search for a disk and for the channel, the main loop
//!   board       what the guest can do: the pc image's capabilities, files, the network
//!     storage   the file system at /, in memory where there is no disk
//!       mounted the first FAT volume of the disks
//!         disk  a virtio disk that waits asleep, and not for ever
//!     disks     all virtio disks, as the host is told of them
//!       counters what has been done to a disk
//!     network   an interface for each virtio network device, its addresses, a page at port 80
//! ```
//!
//! There is no application in it. One that is built around it is an [`application::Application`], as
//! the feature `demonstration` has one, puts its hooks where [`board::Appliance::new`] has none, and
//! reads and writes the same files.

#![no_std]
#![no_main]

mod application;
mod board;
mod counters;
#[cfg(feature = "demonstration")]
mod demonstration;
mod disk;
mod disks;
mod dma;
mod mounted;
mod network;
mod storage;

use agent_core::{Agent, Buffers};
use boot::{Outside, StartInfo};
use hal_x86::acpi::Tables;
use machine::{FREEZE_TIMEOUT_MS, Machine, command_line, info};
use pc::{Devices, Drivers, Pc, Place, Sleeper, search};
use static_cell::ConstStaticCell;

use crate::application::Application;
use crate::board::Appliance;
use crate::disks::Disks;
use crate::dma::Dma;
use crate::network::Network;
use crate::storage::Storage;

boot::entry!(main, reset = machine::reset, stack_bytes = STACK_BYTES);
critical_section::set_impl!(hal_x86::critical_section::SingleCore);

/// Twice what was seen in use, which is 55 KiB; unoptimised code keeps each value of an expression
/// in a place of its own.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 512 } else { 128 } * 1024;

/// Bytes of the longest request: 64 KiB of a file's content as Proxmox VE and Ansible send it, in
/// base64 with a line feed, as two characters, after every 76 of them; and the rest of the request.
const REQUEST: usize = 96 * 1024;
/// Twice the bytes of the longest result, which is that of guest-get-diskstats for 26 disks. What is
/// read from files is not limited by it.
const REPLY: usize = 32 * 1024;

static BUFFERS: ConstStaticCell<Buffers<REQUEST, REPLY>> = ConstStaticCell::new(Buffers::new());

#[cfg(not(feature = "demonstration"))]
fn main(start: &StartInfo<'_>, memory: &Outside) -> ! {
    run(start, memory, ())
}

#[cfg(feature = "demonstration")]
fn main(start: &StartInfo<'_>, memory: &Outside) -> ! {
    demonstration::with(|application| run(start, memory, application))
}

/// Runs the appliance with an application.
fn run(start: &StartInfo<'_>, memory: &Outside, application: impl Application) -> ! {
    info!("tinyqga {=str} for an appliance", env!("CARGO_PKG_VERSION"));
    let tables = Tables::find(memory, start.rsdp()).ok();
    // SAFETY: this is the first thing that the image does, and boot has made the page tables.
    let (machine, guest) = unsafe { Machine::start(memory.map(), tables.as_ref()) };
    let devices = Devices::new(&machine, memory, tables.as_ref(), start);

    let mut drivers = Drivers::new();
    let mut disks = Disks::new(machine.ticks_per_ms());
    let storage = Storage::find(&devices, &mut drivers, &mut disks);
    let network = Network::find(&devices, &mut drivers);
    let mut place = Place::<Dma>::new();
    search(&devices, &mut drivers, &mut place);

    let sleeper = Sleeper::new(&machine, memory, tables.as_ref(), start);
    let line = start.command_line();
    let nameplate = command_line::identity(line, application.nameplate());
    let pc = Pc::new(guest, nameplate, drivers, &machine, start, sleeper.suspend_to_ram());
    let timeout_ms = command_line::freeze_timeout_ms(line).unwrap_or(FREEZE_TIMEOUT_MS);
    let board = Appliance::new(application, pc, disks, storage, timeout_ms, network);
    let mut agent = Agent::new(board, BUFFERS.take()).with_policy(command_line::policy(line));
    place.serve(&mut agent, &sleeper)
}
