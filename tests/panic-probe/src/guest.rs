//! A guest with every capability, none of whose answers the compiler can know.

use core::{hint::black_box, net::IpAddr};

use agent_core::{
    AuthorizedKeys, Board, Call, Clock, ClockError, Command, Device, Devices, Disk, DiskAddress,
    DiskStatistics, Disks, Errno, Error, Extent, Field, Files, Filesystem, Filesystems,
    FreezeError, Functions, Handle, Identity, Interface, InterfaceAddress, KeysError, LoadAverage,
    Memory, MemoryBlock, MemoryBlockError, Network, OpenMode, OsInfo, Password, Passwords, Power,
    PowerError, Processor, ProcessorError, ProcessorTimes, Processors, Programs, Route,
    ShutdownMode, Suspend, SuspendError, SuspendMode, Trim, TrimError, Type, UnixNanos, Usage,
    User, Vendor,
};
use embedded_io::SeekFrom;

pub(crate) struct Guest<'f> {
    pub(crate) functions: Functions<'f, 2, 64>,
}

impl Clock for Guest<'_> {
    fn now(&mut self) -> Result<UnixNanos, ClockError> {
        black_box(Ok(UnixNanos(0)))
    }

    fn set(&mut self, time: UnixNanos) -> Result<(), ClockError> {
        black_box(time);
        black_box(Err(ClockError::OutOfRange))
    }

    fn set_from_rtc(&mut self) -> Result<(), ClockError> {
        black_box(Err(ClockError::Hardware))
    }
}

impl Power for Guest<'_> {
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError> {
        black_box(mode);
        black_box(Err(PowerError::Unsupported))
    }
}

impl Files for Guest<'_> {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno> {
        black_box((path, mode));
        black_box(Ok(Handle(1000)))
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        black_box(handle) == Handle(1000)
    }

    fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        black_box(handle);
        black_box(Err(Errno::IO))
    }

    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Errno> {
        black_box(handle);
        black_box(Ok(Extent { count: longest, end: true }))
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        black_box((handle, buffer));
        black_box(Ok(1))
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno> {
        black_box((handle, bytes));
        black_box(Ok(1))
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        black_box((handle, to));
        black_box(Ok(1))
    }

    fn flush(&mut self, handle: Handle) -> Result<(), Errno> {
        black_box(handle);
        black_box(Err(Errno::IO))
    }
}

impl Filesystems for Guest<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        let disk = DiskAddress {
            bus_type: "virtio",
            bus: 0,
            target: 0,
            unit: 0,
            pci: None,
            serial: Some("serial"),
            dev: Some("/dev/vda"),
        };
        let filesystem = Filesystem {
            name: "vda",
            mountpoint: "/",
            r#type: "vfat",
            used_bytes: Some(1),
            total_bytes: Some(2),
            disks: &[disk],
        };
        visit(black_box(&filesystem));
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        black_box(Ok(u32::from(selected(black_box(b"/")))))
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        black_box(Err(FreezeError::Hook))
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        black_box(minimum);
        visit(black_box(&Trim { path: "/", outcome: Err(TrimError::Unsupported) }));
    }
}

impl Network for Guest<'_> {
    fn interfaces(&mut self, visit: &mut dyn FnMut(&Interface<'_>)) -> Result<(), Errno> {
        let address = InterfaceAddress { address: black_box(IpAddr::from([1; 16])), prefix: 64 };
        visit(&Interface {
            name: black_box("eth0"),
            hardware_address: black_box(Some([1; 6])),
            addresses: black_box(&[address]),
            statistics: black_box(None),
        });
        black_box(Err(Errno::IO))
    }

    fn routes(&mut self, visit: &mut dyn FnMut(&Route<'_>)) -> Result<(), Errno> {
        let destination = InterfaceAddress { address: IpAddr::from([1; 4]), prefix: 33 };
        visit(black_box(&Route {
            interface: "eth0",
            destination,
            source: None,
            gateway: None,
            metric: 0,
            flags: 0,
            details: black_box(agent_core::RouteDetails::default()),
        }));
        black_box(Ok(()))
    }
}

impl Processors for Guest<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Processor)) -> Result<(), Errno> {
        visit(black_box(&Processor { logical_id: 0, online: true, can_offline: false }));
        black_box(Ok(()))
    }

    fn set_online(&mut self, logical_id: i64, online: bool) -> Result<(), ProcessorError> {
        black_box((logical_id, online));
        black_box(Err(ProcessorError::MustRun))
    }
}

impl Usage for Guest<'_> {
    fn processors(&mut self, visit: &mut dyn FnMut(&ProcessorTimes)) -> Result<(), Errno> {
        visit(black_box(&ProcessorTimes::default()));
        black_box(Ok(()))
    }

    fn load(&mut self) -> Result<LoadAverage, Errno> {
        black_box(Ok(LoadAverage::default()))
    }
}

impl Memory for Guest<'_> {
    fn block_bytes(&mut self) -> Result<u64, Errno> {
        black_box(Ok(1))
    }

    fn blocks(&mut self, visit: &mut dyn FnMut(&MemoryBlock)) -> Result<(), Errno> {
        visit(black_box(&MemoryBlock { index: 0, online: true, can_offline: false }));
        black_box(Ok(()))
    }

    fn set_online(&mut self, index: u64, online: bool) -> Result<(), MemoryBlockError> {
        black_box((index, online));
        black_box(Err(MemoryBlockError::Unsupported))
    }
}

impl Suspend for Guest<'_> {
    fn supports(&mut self, mode: SuspendMode) -> bool {
        black_box(mode);
        black_box(true)
    }

    fn suspend(&mut self, mode: SuspendMode) -> Result<(), SuspendError> {
        black_box(mode);
        black_box(Err(SuspendError::Unsupported))
    }
}

impl Identity for Guest<'_> {
    fn host_name(&mut self) -> Result<&str, Errno> {
        black_box(Ok("name"))
    }

    fn os_info(&mut self) -> Result<OsInfo<'_>, Errno> {
        black_box(Ok(OsInfo::default()))
    }

    fn users(&mut self, visit: &mut dyn FnMut(&User<'_>)) {
        visit(black_box(&User { name: "name", login_time_s: 0.1 }));
    }
}

impl Disks for Guest<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Disk<'_>)) -> Result<(), Errno> {
        let disk = Disk {
            name: "/dev/vda",
            partition: false,
            dependencies: &["/dev/vdb"],
            address: black_box(None),
            alias: None,
        };
        visit(black_box(&disk));
        black_box(Ok(()))
    }

    fn statistics(&mut self, visit: &mut dyn FnMut(&DiskStatistics<'_>)) -> Result<(), Errno> {
        let none = agent_core::Transfers::default();
        visit(black_box(&DiskStatistics {
            name: "vda",
            major: 254,
            minor: 0,
            read: none,
            write: none,
            discard: none,
            flush_ios: None,
            flush_ticks: None,
            ios_in_progress: None,
            total_ticks: None,
            weight_ticks: None,
        }));
        black_box(Ok(()))
    }
}

impl Devices for Guest<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Device<'_>)) -> Result<(), Errno> {
        visit(black_box(&Device {
            driver_name: "virtio_blk",
            driver_version: None,
            driver_date_ns: None,
            pci: None,
        }));
        black_box(Ok(()))
    }
}

impl Passwords for Guest<'_> {
    fn set(&mut self, user: &[u8], password: Password<'_>) -> Result<(), Errno> {
        black_box((user, password));
        black_box(Err(Errno::IO))
    }
}

impl AuthorizedKeys for Guest<'_> {
    fn list(&mut self, user: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), KeysError> {
        visit(black_box(user));
        black_box(Err(KeysError::Read(Errno::IO)))
    }

    fn add(
        &mut self,
        user: &[u8],
        keys: &mut dyn Iterator<Item = &[u8]>,
        reset: bool,
    ) -> Result<(), KeysError> {
        keys.for_each(|key| _ = black_box(key));
        black_box((user, reset));
        black_box(Ok(()))
    }

    fn remove(
        &mut self,
        user: &[u8],
        selected: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), KeysError> {
        black_box(selected(black_box(user)));
        black_box(Ok(()))
    }
}

const VENDOR: Command = Command {
    arguments: &[
        Field::new("unsigned", Type::UNSIGNED),
        Field::optional("number", Type::NUMBER),
        Field::optional("strings", Type::STRINGS),
        Field::optional("list", Type::structures("['One']", &[Field::new("x", Type::STRING)])),
    ],
    ..Command::new("acme-probe", "1.0")
};

fn vendor(call: &mut Call<'_, '_, Guest<'_>>) -> Result<(), Error> {
    let arguments = call.arguments;
    black_box((arguments.unsigned("unsigned"), arguments.number("number")));
    for one in arguments.structures("list").into_iter().flatten() {
        call.reply.string(one.string("x").unwrap_or_default());
    }
    for string in arguments.strings("strings").into_iter().flatten() {
        call.reply.string(string);
    }
    Err(Error::refusal(black_box("words")))
}

impl Board for Guest<'_> {
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        black_box(Some(self))
    }

    fn clock(&mut self) -> Option<&mut dyn Clock> {
        black_box(Some(self))
    }

    fn devices(&mut self) -> Option<&mut dyn Devices> {
        black_box(Some(self))
    }

    fn disks(&mut self) -> Option<&mut dyn Disks> {
        black_box(Some(self))
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        black_box(Some(self))
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        black_box(Some(self))
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        black_box(Some(self))
    }

    fn memory(&mut self) -> Option<&mut dyn Memory> {
        black_box(Some(self))
    }

    fn network(&mut self) -> Option<&mut dyn Network> {
        black_box(Some(self))
    }

    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        black_box(Some(self))
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        black_box(Some(self))
    }

    fn processors(&mut self) -> Option<&mut dyn Processors> {
        black_box(Some(self))
    }

    fn programs(&mut self) -> Option<&mut dyn Programs> {
        black_box(Some(&mut self.functions))
    }

    fn suspend(&mut self) -> Option<&mut dyn Suspend> {
        black_box(Some(self))
    }

    fn usage(&mut self) -> Option<&mut dyn Usage> {
        black_box(Some(self))
    }

    fn vendor_commands(&self) -> &[Vendor<Self>] {
        black_box(&[Vendor { command: VENDOR, handler: vendor }])
    }
}
