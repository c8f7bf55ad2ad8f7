//! The last words of an image that has found itself in the wrong
//!
//! [`entry!`](macro@crate::entry) makes the panic handler of these and of the board's way to reset:
//! a guest that hangs helps nobody, one that restarts is back in a tenth of a second.

use core::panic::PanicInfo;

/// Logs where it happened.
///
/// What the message says is left out: only to look at it would bring all of them and `core::fmt`
/// into the image, 8 KiB.
pub fn report(info: &PanicInfo<'_>) {
    #[cfg(feature = "defmt")]
    {
        let (file, line) = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
        defmt::error!("panic at {=str}:{=u32}", file, line);
    }
    #[cfg(not(feature = "defmt"))]
    let _ = info;
}
