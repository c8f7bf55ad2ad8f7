//! `agent.freeze_timeout=<seconds>`: when file systems that nobody thaws thaw by themselves
//!
//! From 1 to 3600; in images that have file systems.

use super::words;

/// How long a freeze may last, in milliseconds, if the command line tells. What is wrong is in the
/// log.
pub fn freeze_timeout_ms(line: &[u8]) -> Option<u64> {
    let value = words::last(line, b"agent.freeze_timeout=")?;
    let digits = str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
    let seconds = digits.and_then(|digits| digits.parse().ok());
    let told = seconds.filter(|seconds| (1..=3600_u64).contains(seconds));
    if told.is_none() {
        crate::warning!("agent.freeze_timeout={=[u8]:a}: not 1 to 3600 seconds", value);
    }
    told.map(|seconds| seconds * 1000)
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
            assert_eq!(freeze_timeout_ms(line.as_bytes()), expected, "{value}");
        }
        assert_eq!(freeze_timeout_ms(b"agent.freeze_timeout agent.channel=com1"), None);
    }
}
