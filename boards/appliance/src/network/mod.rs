//! The machine's network devices, each as an interface with addresses and a page
//!
//! Interfaces are named as Linux names them, in the order in which the devices are found.

mod card;
mod seed;

use core::fmt;

use agent_core::{Board, Filesystems as _, UnixNanos};
use hal_virtio::{DeviceType, net};
use machine::{Machine, Platform, info, warning};
use network::{Buffers, Interface, Nic as _, Sockets};
use pc::{Devices, Drivers};
use static_cell::{ConstStaticCell, StaticCell};

use self::card::{Card, RECEIVE, TRANSMIT};
use crate::storage::Storage;

/// Interfaces; the machine's other devices are not used.
pub(crate) const INTERFACES: usize = 4;

/// Pages of DMA memory that all of them take.
pub(crate) const DMA_PAGES: usize = INTERFACES * net::dma_pages(RECEIVE, TRANSMIT);

type Interfaces = network::Network<'static, Card, INTERFACES>;

/// The guest's network.
#[derive(Debug)]
pub(crate) struct Network<'m> {
    interfaces: &'static mut Interfaces,
    machine: &'m Machine<'m>,
    moved: bool,
}

impl<'m> Network<'m> {
    /// An interface for each network device that there is, as `drivers` are told. To be called once.
    pub(crate) fn find(devices: &Devices<'m, 'm>, drivers: &mut Drivers) -> Self {
        static BUFFERS: ConstStaticCell<[Buffers; INTERFACES]> =
            ConstStaticCell::new([const { Buffers::new() }; INTERFACES]);
        // They do not begin as zeros, and would be in the image's file.
        static SOCKETS: StaticCell<[Sockets<'static>; INTERFACES]> = StaticCell::new();
        // They are large, and would be on the stack.
        static FOUND: StaticCell<Interfaces> = StaticCell::new();
        let machine = devices.machine();
        let interfaces = FOUND.init_with(Interfaces::new);
        let sockets = SOCKETS.init_with(|| [const { Sockets::new() }; INTERFACES]);
        let mut memory = sockets.iter_mut().zip(BUFFERS.take());
        devices.find(DeviceType::Network, &mut |location, transport| {
            match Card::open(transport) {
                Ok(Some(card)) => {
                    devices.wake(location, card.transport());
                    drivers.add("virtio_net", devices, location);
                    if let Some((sockets, buffers)) = memory.next() {
                        let seed = seed::seed(card.hardware_address());
                        let now_ms = machine.uptime_ms();
                        let interface = Interface::new(card, sockets, buffers, seed, now_ms);
                        let name = interfaces.add(interface).unwrap_or_default();
                        info!("a network device: {=str}", name);
                    }
                }
                Ok(None) => warning!("a network device without an address is not used"),
                Err(failure) => warning!("a network device: {}", failure),
            }
            interfaces.is_full()
        });
        Self { interfaces, machine, moved: true }
    }

    /// Looks after the devices, and lets their interrupts fall; then moves what there is to move.
    pub(crate) fn attend(&mut self, board: &mut dyn Board, storage: &mut Storage<'_>) {
        for interface in self.interfaces.interfaces_mut() {
            interface.nic_mut().attend();
        }
        let now_ms = self.machine.uptime_ms();
        let mut page = Page { board, storage, now_ms };
        self.moved |= self.interfaces.turn(&mut page, now_ms);
        for interface in self.interfaces.interfaces_mut() {
            self.moved |= interface.nic_mut().has_moved();
        }
    }

    /// Whether anything has moved since this was asked last.
    pub(crate) const fn has_moved(&mut self) -> bool {
        core::mem::replace(&mut self.moved, false)
    }

    /// How long the machine may sleep after a turn in which nothing moved.
    pub(crate) fn longest_sleep_ms(&mut self) -> Option<u64> {
        self.interfaces.longest_sleep_ms(self.machine.uptime_ms())
    }

    /// Starts the devices anew and begins to look for addresses, after the machine has slept.
    pub(crate) fn resume(&mut self) {
        for interface in self.interfaces.interfaces_mut() {
            interface.nic_mut().restart();
            interface.renew();
        }
    }

    /// The capability.
    pub(crate) const fn capability(&mut self) -> &mut dyn agent_core::Network {
        self.interfaces
    }
}

/// What the page tells beside the addresses.
struct Page<'p, 'm> {
    board: &'p mut dyn Board,
    storage: &'p mut Storage<'m>,
    now_ms: u64,
}

impl network::Guest for Page<'_, '_> {
    fn title(&self) -> &'static str {
        concat!("tinyqga ", env!("CARGO_PKG_VERSION"))
    }

    fn unix_s(&mut self) -> Option<u64> {
        let UnixNanos(now_ns) = self.board.clock()?.now().ok()?;
        u64::try_from(now_ns / 1_000_000_000).ok()
    }

    fn lines(&mut self, line: &mut dyn FnMut(&str, fmt::Arguments<'_>)) {
        line("uptime", format_args!("{} s", self.now_ms / 1000));
        self.storage.list(&mut |one| {
            let (used, total) = (one.used_bytes, one.total_bytes);
            if let (Some(used), Some(total)) = (used, total) {
                let (path, kind) = (one.mountpoint, one.r#type);
                line("files", format_args!("{path} {kind}, {used} of {total} bytes in use"));
            }
        });
    }
}
