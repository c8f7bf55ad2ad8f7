//! The last words of an image that has found itself in the wrong
//!
//! [`entry!`](crate::entry) makes the panic handler of these and of the board's way to reset: a guest that hangs helps
//! nobody, one that restarts is back in a tenth of a second.

use core::panic::PanicInfo;

/// Logs where and, if it is a plain text, why.
///
/// A message with values in it is left out: formatting would bring `core::fmt` into the image for this line alone.
pub fn report(info: &PanicInfo<'_>) {
    #[cfg(feature = "defmt")]
    {
        let (file, line) = info.location().map_or(("?", 0), |place| (place.file(), place.line()));
        defmt::error!(
            "panic at {=str}:{=u32}: {=str}",
            file,
            line,
            info.message().as_str().unwrap_or("(a message with values)")
        );
    }
    #[cfg(not(feature = "defmt"))]
    let _ = info;
}
