//! Everything public in agent-core, called with values that the compiler cannot know.
//!
//! This program is never run. It is linked, and the system tests look for what of `core::panicking`
//! has been linked with it: nothing, or agent-core could panic. The panic handler itself is
//! needed to link at all, and is not there either when nothing calls it.
#![no_std]
#![no_main]

mod guest;

use core::{convert::Infallible, hint::black_box};

use agent_core::{
    Agent, Buffers, COMMANDS, Functions, Handle, Handles, Invocation, OpenMode, Output, Policy,
    Pump, Stream,
};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use guest::Guest;

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
    let mut function = |program: &mut Invocation<'_, '_>, output: &mut Output<'_>| {
        program.arguments.for_each(|argument| output.write(black_box(Stream::Error), argument));
        black_box(0_i64)
    };
    let mut functions = [("function", &mut function as _)];
    let guest = Guest { functions: Functions::new(&mut functions) };
    let mut agent =
        Agent::new(guest, &mut buffers).with_policy(black_box(Policy::Block(b"guest-ping")));
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
