//! A guest that can do everything, for tests: what it tells stands still, and what it is asked to
//! do it does to itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use agent_core::{
    AuthorizedKeys, Board, Call, Clock, Command, Device, Devices, Disk, DiskAddress,
    DiskStatistics, Disks, Errno, Error, Field, Files, Filesystems, Function, Functions, Identity,
    Interface, InterfaceAddress, InterfaceStatistics, Invocation, KeysError, LoadAverage, Memory,
    MemoryBlock, MemoryBlockError, Network, OsInfo, Output, Password, Passwords, PciAddress, PciId,
    Power, Processor, ProcessorError, ProcessorTimes, Processors, Programs, Route, RouteDetails,
    Stream, Suspend, SuspendError, SuspendMode, Timezone, Transfers, Type, Usage, User, Vendor,
};
use ramfs::{Arena, RamFs};

use crate::guest::Guest;

/// A guest with every capability.
pub(crate) struct Whole<'w> {
    guest: Guest,
    files: RamFs<'w>,
    programs: Functions<'w, 2, 64>,
    keys: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    processors: [bool; 4],
    lamp: bool,
}

/// Gives a guest to `play` for as long as that takes.
pub(crate) fn with_whole<R>(play: impl FnOnce(Whole<'_>) -> R) -> R {
    let mut arena: Box<Arena<64, 8>> = Box::default();
    let mut files = RamFs::new(&mut arena);
    // The files that the recorded exchanges with qemu-ga begin with.
    files.write_file(b"hello.txt", b"Hello World!\n").unwrap();
    files.write_file(b"abc", b"abcdefghijklmnopqrstuvwxyz").unwrap();
    files.write_file(b"empty", b"").unwrap();
    let (mut echo, mut both, mut cat, mut succeed) = (echo, both, cat, succeed);
    let mut programs = [
        ("/bin/echo", &mut echo as Function<'_>),
        ("both", &mut both),
        ("cat", &mut cat),
        ("/bin/true", &mut succeed),
    ];
    play(Whole {
        guest: Guest::default(),
        files,
        programs: Functions::new(&mut programs),
        keys: BTreeMap::from([(b"root".to_vec(), vec![b"ssh-ed25519 AAAA root".to_vec()])]),
        processors: [true, true, false, false],
        lamp: false,
    })
}

fn echo(program: &mut Invocation<'_, '_>, output: &mut Output<'_>) -> i64 {
    for argument in &mut *program.arguments {
        output.write(Stream::Output, argument);
        output.write(Stream::Output, b"\n");
    }
    for name in program.environment.iter_mut().flatten() {
        output.write(Stream::Output, name);
    }
    0
}

fn both(_: &mut Invocation<'_, '_>, output: &mut Output<'_>) -> i64 {
    for _ in 0..2 {
        output.write(Stream::Output, b"stdout\n");
        output.write(Stream::Error, b"stderr\n");
    }
    3
}

fn succeed(_: &mut Invocation<'_, '_>, _: &mut Output<'_>) -> i64 {
    0
}

fn cat(program: &mut Invocation<'_, '_>, output: &mut Output<'_>) -> i64 {
    let mut buffer = [0; 7];
    while let Some(input) = &mut program.input
        && let count @ 1.. = input(&mut buffer)
    {
        output.write(Stream::Output, &buffer[..count]);
    }
    0
}

impl Network for Whole<'_> {
    fn interfaces(&mut self, visit: &mut dyn FnMut(&Interface<'_>)) -> Result<(), Errno> {
        let statistics = InterfaceStatistics {
            rx_bytes: 1,
            rx_packets: 2,
            rx_errors: 3,
            rx_dropped: 4,
            tx_bytes: 5,
            tx_packets: 6,
            tx_errors: 7,
            tx_dropped: u64::MAX,
        };
        let v4 = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 15));
        let v6 = IpAddr::V6(Ipv6Addr::new(0xFE80, 0, 0, 0, 0x5054, 0xFF, 0xFE12, 0x3456));
        visit(&Interface {
            name: "eth0",
            hardware_address: Some([0x52, 0x54, 0, 0x12, 0x34, 0x56]),
            addresses: &[
                InterfaceAddress { address: v4, prefix: 24 },
                InterfaceAddress { address: v6, prefix: 64 },
            ],
            statistics: Some(statistics),
        });
        visit(&Interface {
            name: "eth1",
            hardware_address: None,
            addresses: &[],
            statistics: None,
        });
        Ok(())
    }

    fn routes(&mut self, visit: &mut dyn FnMut(&Route<'_>)) -> Result<(), Errno> {
        visit(&Route {
            interface: "eth0",
            destination: InterfaceAddress { address: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 },
            source: None,
            gateway: Some(Ipv4Addr::new(10, 0, 2, 2).into()),
            metric: 100,
            flags: 3,
            details: RouteDetails {
                references: Some(0),
                uses: Some(0),
                mtu: Some(1500),
                window: Some(0),
                initial_round_trip_ms: Some(0),
            },
        });
        let link: IpAddr = Ipv6Addr::new(0xFEC0, 0, 0, 0, 0, 0, 0, 0).into();
        visit(&Route {
            interface: "eth0",
            destination: InterfaceAddress { address: link, prefix: 64 },
            source: None,
            gateway: None,
            metric: -1,
            flags: 1,
            details: RouteDetails::default(),
        });
        Ok(())
    }
}

impl Processors for Whole<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Processor)) -> Result<(), Errno> {
        for (logical_id, online) in (0..).zip(self.processors) {
            visit(&Processor { logical_id, online, can_offline: logical_id != 0 });
        }
        Ok(())
    }

    /// The last one does not start.
    fn set_online(&mut self, logical_id: i64, online: bool) -> Result<(), ProcessorError> {
        match logical_id {
            0 if !online => Err(ProcessorError::MustRun),
            3 if online => Err(ProcessorError::Failed(Errno::IO)),
            0..=3 => {
                self.processors[usize::try_from(logical_id).unwrap()] = online;
                Ok(())
            }
            _ => Err(ProcessorError::NotFound(Errno::NOT_FOUND)),
        }
    }
}

impl Usage for Whole<'_> {
    fn processors(&mut self, visit: &mut dyn FnMut(&ProcessorTimes)) -> Result<(), Errno> {
        visit(&ProcessorTimes {
            logical_id: 0,
            user: 1,
            nice: 2,
            system: 3,
            idle: 4,
            iowait: Some(5),
            irq: Some(6),
            softirq: Some(7),
            steal: Some(8),
            guest: Some(9),
            guestnice: Some(10),
        });
        visit(&ProcessorTimes { logical_id: 1, idle: 40, ..ProcessorTimes::default() });
        Ok(())
    }

    fn load(&mut self) -> Result<LoadAverage, Errno> {
        Ok(LoadAverage { one_minute: 0.5, five_minutes: 0.1, fifteen_minutes: 0.0 })
    }
}

impl Memory for Whole<'_> {
    fn block_bytes(&mut self) -> Result<u64, Errno> {
        Ok(128 << 20)
    }

    fn blocks(&mut self, visit: &mut dyn FnMut(&MemoryBlock)) -> Result<(), Errno> {
        visit(&MemoryBlock { index: 0, online: true, can_offline: false });
        visit(&MemoryBlock { index: 32, online: true, can_offline: false });
        Ok(())
    }

    fn set_online(&mut self, index: u64, online: bool) -> Result<(), MemoryBlockError> {
        match (index, online) {
            (0 | 32, true) => Ok(()),
            (0, false) => Err(MemoryBlockError::Unsupported),
            (32, false) => Err(MemoryBlockError::Failed(16)),
            _ => Err(MemoryBlockError::NotFound),
        }
    }
}

impl Suspend for Whole<'_> {
    fn supports(&mut self, _mode: SuspendMode) -> bool {
        true
    }

    /// It turns out not to have a place on its disk.
    fn suspend(&mut self, mode: SuspendMode) -> Result<(), SuspendError> {
        match mode {
            SuspendMode::Ram => Ok(()),
            SuspendMode::Disk | SuspendMode::Hybrid => Err(SuspendError::Unsupported),
        }
    }
}

impl Identity for Whole<'_> {
    fn host_name(&mut self) -> Result<&str, Errno> {
        Ok("lighthouse \"α\"")
    }

    fn os_info(&mut self) -> Result<OsInfo<'_>, Errno> {
        Ok(OsInfo {
            id: Some("id"),
            name: Some("name"),
            pretty_name: Some("pretty name"),
            version: Some("version"),
            version_id: Some("version-id"),
            variant: Some("variant"),
            variant_id: Some("variant-id"),
            kernel_release: Some("kernel-release"),
            kernel_version: Some("kernel-version"),
            machine: Some("machine"),
        })
    }

    fn timezone(&mut self) -> Timezone<'_> {
        Timezone { zone: Some("NST"), offset_s: -12_600 }
    }

    fn users(&mut self, visit: &mut dyn FnMut(&User<'_>)) {
        visit(&User { name: "keeper", login_time_s: 1_767_323_045.25 });
    }
}

impl Disks for Whole<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Disk<'_>)) -> Result<(), Errno> {
        let address = DiskAddress {
            bus_type: "virtio",
            bus: 0,
            target: 0,
            unit: 0,
            pci: Some(PciAddress { domain: 0, bus: 1, slot: 2, function: 3 }),
            serial: Some("serial"),
            dev: Some("/dev/vda"),
        };
        visit(&Disk {
            name: "/dev/vda",
            partition: false,
            dependencies: &[],
            address: Some(address),
            alias: Some("alias"),
        });
        visit(&Disk {
            name: "/dev/vda1",
            partition: true,
            dependencies: &["/dev/vda"],
            address: None,
            alias: None,
        });
        Ok(())
    }

    fn statistics(&mut self, visit: &mut dyn FnMut(&DiskStatistics<'_>)) -> Result<(), Errno> {
        let transfers = |first| Transfers {
            ios: Some(first),
            merges: Some(first + 1),
            sectors: Some(first + 2),
            ticks: Some(first + 3),
        };
        let disk = DiskStatistics {
            name: "vda",
            major: 254,
            minor: 0,
            read: transfers(1),
            write: transfers(5),
            discard: transfers(9),
            flush_ios: Some(13),
            flush_ticks: Some(14),
            ios_in_progress: Some(15),
            total_ticks: Some(16),
            weight_ticks: Some(17),
        };
        visit(&disk);
        let none = Transfers::default();
        visit(&DiskStatistics {
            name: "vdb",
            minor: 16,
            read: none,
            write: Transfers { ios: Some(1), ..none },
            discard: none,
            flush_ios: None,
            flush_ticks: None,
            ios_in_progress: None,
            total_ticks: None,
            weight_ticks: None,
            ..disk
        });
        Ok(())
    }
}

impl Devices for Whole<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), Errno> {
        visit(&Device {
            driver_name: "virtio_console",
            driver_version: Some("0.1.0"),
            driver_date_ns: Some(1_767_323_045_000_000_000),
            pci: Some(PciId { vendor: 0x1AF4, device: 0x1003 }),
        });
        visit(&Device {
            driver_name: "serial",
            driver_version: None,
            driver_date_ns: None,
            pci: None,
        });
        Ok(())
    }
}

impl Passwords for Whole<'_> {
    fn set(&mut self, user: &[u8], password: Password<'_>) -> Result<(), Errno> {
        match (user, password) {
            (b"root", Password::Plain(b"secret") | Password::Crypted(b"$6$x$y")) => Ok(()),
            (b"root", _) => Err(Errno::INVALID_ARGUMENT),
            _ => Err(Errno::NOT_FOUND),
        }
    }
}

impl AuthorizedKeys for Whole<'_> {
    fn list(&mut self, user: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), KeysError> {
        self.keys(user)?.iter().for_each(|key| visit(key));
        Ok(())
    }

    fn add(
        &mut self,
        user: &[u8],
        keys: &mut dyn Iterator<Item = &[u8]>,
        reset: bool,
    ) -> Result<(), KeysError> {
        let kept = self.keys(user)?;
        if reset {
            kept.clear();
        }
        for key in keys {
            if !kept.iter().any(|other| other == key) {
                kept.push(key.to_vec());
            }
        }
        Ok(())
    }

    fn remove(
        &mut self,
        user: &[u8],
        selected: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), KeysError> {
        self.keys(user)?.retain(|key| !selected(key));
        Ok(())
    }
}

impl Whole<'_> {
    fn keys(&mut self, user: &[u8]) -> Result<&mut Vec<Vec<u8>>, KeysError> {
        self.keys.get_mut(user).ok_or(KeysError::NoSuchUser(Errno("Success")))
    }

    fn set_lamp(call: &mut Call<'_, '_, Self>) -> Result<(), Error> {
        let on = call.arguments.boolean("on") == Some(true);
        if call.arguments.string("colour") == Some(b"black") {
            return Err(Error::refusal("black is \"no\" colour: 100 %"));
        }
        call.reply.begin_object().key("was").boolean(call.board.lamp);
        if let Some(brightness) = call.arguments.number("brightness") {
            call.reply.key("brightness").double(brightness);
        }
        call.reply.end_object();
        call.board.lamp = on;
        Ok(())
    }
}

const SET_LAMP: Command = Command {
    about: "Switches the lamp.",
    arguments: &[
        Field::new("on", Type::BOOLEAN),
        Field::optional("colour", Type::STRING),
        Field::optional("brightness", Type::NUMBER),
    ],
    returns: "AcmeLamp",
    ..Command::new("acme-set-lamp", "1.0")
};

impl Board for Whole<'_> {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        Some(self)
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.guest.clock()
    }

    fn devices(&mut self) -> Option<&mut dyn Devices> {
        Some(self)
    }

    fn disks(&mut self) -> Option<&mut dyn Disks> {
        Some(self)
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(&mut self.files)
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(&mut self.files)
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        Some(self)
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        Some(self)
    }

    fn network(&mut self) -> Option<&mut dyn Network> {
        Some(self)
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        Some(self)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        self.guest.power()
    }

    fn processors(&mut self) -> Option<&mut dyn Processors> {
        Some(self)
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        Some(&mut self.programs)
    }

    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        Some(self)
    }

    fn usage(&mut self) -> Option<&mut dyn Usage> {
        Some(self)
    }

    fn vendor_commands(&self) -> &[Vendor<Self>] {
        &[Vendor { command: SET_LAMP, handler: Self::set_lamp }]
    }
}
