//! Everything public in agent-core, called with values that the compiler cannot know.
//!
//! This program is never run. It is linked, and the system tests look for what of `core::panicking`
//! has been linked with it: nothing, or agent-core could panic. The panic handler itself is
//! needed to link at all, and is not there either when nothing calls it.
#![no_std]
#![no_main]

use core::{convert::Infallible, hint::black_box};

use agent_core::{
    Agent, Board, Buffers, COMMANDS, Clock, ClockError, Policy, Power, PowerError, Pump,
    ShutdownMode, UnixNanos,
};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

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

impl Board for Guest {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
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
        Agent::new(Guest, &mut buffers).with_policy(black_box(Policy::Block("guest-ping")));
    let mut pump = Pump::default();
    loop {
        black_box(agent.receive(black_box(b"{")));
        black_box(agent.pending());
        agent.sent(black_box(1));
        black_box(agent.board_mut());
        black_box(pump.run(&mut Channel, &mut agent).is_ok());
        black_box(COMMANDS);
        black_box(black_box(Policy::Allow("guest-ping")).allows(black_box("guest-info")));
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// `memcpy` and its like, which the compiler expects of any target.
#[link(name = "c")]
unsafe extern "C" {}
