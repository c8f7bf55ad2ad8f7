//! Everything public in agent-core, called with values that the compiler cannot know.
//!
//! This program is never run. It is linked, and the system tests look for what of `core::panicking`
//! has been linked with it: nothing, or agent-core could panic. The panic handler itself is
//! needed to link at all, and is not there either when nothing calls it.
#![no_std]
#![no_main]

use core::{convert::Infallible, hint::black_box};

use agent_core::{
    Agent, Board, Buffers, COMMANDS, Clock, ClockError, DiskAddress, Errno, Extent, Files,
    Filesystem, Filesystems, FreezeError, Handle, Handles, OpenMode, Policy, Power, PowerError,
    Pump, ShutdownMode, Trim, TrimError, UnixNanos,
};
use embedded_io::{ErrorType, Read, ReadReady, SeekFrom, Write, WriteReady};

struct Guest;

impl Clock for Guest {
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

impl Power for Guest {
    fn shutdown(&mut self, mode: ShutdownMode) -> Result<(), PowerError> {
        black_box(mode);
        black_box(Err(PowerError::Unsupported))
    }
}

impl Files for Guest {
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

impl Filesystems for Guest {
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

impl Board for Guest {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        black_box(Some(self))
    }

    fn files(&mut self) -> Option<&mut dyn Files> {
        black_box(Some(self))
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        black_box(Some(self))
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        black_box(Some(self))
    }
}

struct Channel;

impl ErrorType for Channel {
    type Error = Infallible;
}

impl Read for Channel {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        black_box(bytes);
        Ok(black_box(1))
    }
}

impl ReadReady for Channel {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(black_box(true))
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        black_box(bytes);
        Ok(black_box(1))
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl WriteReady for Channel {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(black_box(true))
    }
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let mut buffers: Buffers = Buffers::default();
    let mut agent =
        Agent::new(Guest, &mut buffers).with_policy(black_box(Policy::Block(b"guest-ping")));
    let mut pump = Pump::default();
    let mut handles: Handles<u32, 4> = Handles::default();
    loop {
        black_box(agent.receive(black_box(b"{")));
        black_box(agent.pending());
        agent.sent(black_box(1));
        black_box(agent.board_mut());
        black_box(pump.run(&mut Channel, &mut agent).is_ok());
        black_box(COMMANDS);
        black_box(agent.is_frozen());
        black_box(agent.thaw().is_ok());
        black_box(handles.insert(black_box(1)).is_ok());
        black_box(handles.is_full());
        black_box(handles.get_mut(black_box(Handle(1))));
        black_box(handles.remove(black_box(Handle(1))));
        handles.iter_mut().for_each(|file| *file = black_box(*file));
        black_box(OpenMode::parse(black_box(b"r")));
        black_box(black_box(Policy::Allow(b"guest-ping")).allows(black_box("guest-info")));
    }
}

// As in the images: clippy and rustdoc look at the workspace as a whole, with std.
#[cfg(any(clippy, doc))]
extern crate std;

#[cfg_attr(not(any(clippy, doc)), panic_handler)]
#[cfg_attr(any(clippy, doc), expect(dead_code, reason = "std has its own"))]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

// `memcpy` and its like, which the compiler expects of any target.
#[link(name = "c")]
unsafe extern "C" {}
