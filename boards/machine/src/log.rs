//! Log lines that cost nothing without defmt
//!
//! defmt needs a logger to link, which only an image has. Without the feature `defmt` a line is
//! nothing but a use of its values.

#[cfg(feature = "defmt")]
#[doc(hidden)]
pub use defmt;

/// Logs what has gone wrong.
#[cfg(feature = "defmt")]
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => {{
        use $crate::log::defmt;
        defmt::error!($($line)+)
    }};
}

/// Logs what is not as it should be.
#[cfg(feature = "defmt")]
#[macro_export]
macro_rules! warning {
    ($($line:tt)+) => {{
        use $crate::log::defmt;
        defmt::warn!($($line)+)
    }};
}

/// Logs what happens.
#[cfg(feature = "defmt")]
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => {{
        use $crate::log::defmt;
        defmt::info!($($line)+)
    }};
}

/// Logs what has gone wrong.
#[cfg(not(feature = "defmt"))]
#[macro_export]
macro_rules! error {
    ($line:literal $(, $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}

/// Logs what is not as it should be.
#[cfg(not(feature = "defmt"))]
#[macro_export]
macro_rules! warning {
    ($line:literal $(, $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}

/// Logs what happens.
#[cfg(not(feature = "defmt"))]
#[macro_export]
macro_rules! info {
    ($line:literal $(, $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}
