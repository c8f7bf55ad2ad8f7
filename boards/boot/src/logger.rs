//! defmt's way out: the debug console at port 0xE9
//!
//! QEMU's `-device isa-debugcon` (and Bochs, and Cloud Hypervisor's `--debug-console`) takes each
//! byte written to the port. A real machine has nothing there, and neither has a QEMU that was not
//! asked: then nothing is written.

use core::cell::UnsafeCell;

use defmt::{Encoder, global_logger};
use hal_x86::debugcon::Debugcon;
use hal_x86::ports::Hardware;

/// The log's state. One CPU, one thread, and interrupt handlers do not log.
struct Log(UnsafeCell<State>);

struct State {
    /// Where it is there.
    console: Option<Debugcon>,
    /// Between `acquire` and `release`.
    in_frame: bool,
    encoder: Encoder,
}

// SAFETY: see `Log`.
unsafe impl Sync for Log {}

static LOG: Log =
    Log(UnsafeCell::new(State { console: None, in_frame: false, encoder: Encoder::new() }));

impl Log {
    /// Hands the encoder and the way out to `encode`, and what marks a frame.
    fn with(&self, encode: impl FnOnce(&mut Encoder, &mut dyn FnMut(&[u8]), &mut bool)) {
        // SAFETY: the functions below are the only callers; none of them calls another or logs
        // while it has the state.
        let State { console, in_frame, encoder } = unsafe { &mut *self.0.get() };
        let mut emit = |bytes: &[u8]| {
            if let Some(console) = console {
                console.write(bytes);
            }
        };
        encode(encoder, &mut emit, in_frame);
    }
}

/// Looks whether the debug console is there; before this nothing is written.
pub(crate) fn start() {
    // SAFETY: ring 0, and the debug console is only used here.
    let console = Debugcon::new(unsafe { Hardware::new() });
    // SAFETY: as in `Log::with`.
    let state = unsafe { &mut *LOG.0.get() };
    state.console = console.present().then_some(console);
}

#[global_logger]
struct DebugConsole;

// SAFETY: there is one thread, and defmt calls `write` and `release` between an `acquire` and its
// `release`. A fault's handler may come in between, but it does not return.
unsafe impl defmt::Logger for DebugConsole {
    fn acquire() {
        LOG.with(|encoder, emit, in_frame| {
            if *in_frame {
                // A fault amid a frame. What there is of it ends here, so that the decoder finds
                // the next one.
                encoder.end_frame(&mut *emit);
            }
            *in_frame = true;
            encoder.start_frame(emit);
        });
    }

    unsafe fn flush() {}

    unsafe fn release() {
        LOG.with(|encoder, emit, in_frame| {
            encoder.end_frame(emit);
            *in_frame = false;
        });
    }

    unsafe fn write(bytes: &[u8]) {
        LOG.with(|encoder, emit, _| encoder.write(bytes, emit));
    }
}
