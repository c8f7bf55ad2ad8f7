//! `agent.freeze_timeout=<seconds>`: when file systems that nobody thaws thaw by themselves
//!
//! From 1 to 3600; in images that have file systems.

use core::fmt;

use super::words;

/// A time for which file systems cannot be frozen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchTime<'l>(pub &'l [u8]);

impl fmt::Display for NoSuchTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent.freeze_timeout={}: not 1 to 3600 seconds", self.0.escape_ascii())
    }
}

impl core::error::Error for NoSuchTime<'_> {}

/// How long a freeze may last, in milliseconds, if the command line tells.
///
/// # Errors
///
/// That is no time, or too long a one.
pub fn freeze_timeout_ms(line: &[u8]) -> Result<Option<u64>, NoSuchTime<'_>> {
    let Some(value) = words::last(line, b"agent.freeze_timeout=") else { return Ok(None) };
    let seconds = str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
    match seconds.and_then(|text| text.parse().ok()) {
        Some(seconds @ 1..=3600_u64) => Ok(Some(seconds * 1000)),
        _ => Err(NoSuchTime(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_lasts_between_a_second_and_an_hour() {
        for (value, expected) in [
            ("1", Some(1000)),
            ("60", Some(60_000)),
            ("3600", Some(3_600_000)),
            ("0", None),
            ("3601", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1s", None),
            ("0x10", None),
            ("99999999999999999999", None),
        ] {
            let line = format!("quiet agent.freeze_timeout=7 agent.freeze_timeout={value} ro");
            let expected = expected.map(Some).ok_or(NoSuchTime(value.as_bytes()));
            assert_eq!(freeze_timeout_ms(line.as_bytes()), expected, "{value}");
        }
        assert_eq!(freeze_timeout_ms(b"agent.freeze_timeout agent.channel=com1"), Ok(None));
    }
}
