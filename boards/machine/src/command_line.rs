//! What the kernel command line says to the agent
//!
//! Words separated by white space, of which the agent knows three and leaves the rest to others;
//! of several of `agent.` the last one counts:
//!
//! - `agent.channel=virtio|com1|com2|com3|com4`: where the agent listens, instead of a search.
//! - `agent.freeze_timeout=<seconds>`, from 1 to 3600: when file systems that nobody thaws thaw by
//!   themselves, in images that have any.
//! - `virtio_mmio.device=<size>@<base>:<interrupt>[:<id>]`: a virtio-mmio device, as in Linux
//!   (admin-guide/kernel-parameters). Firecracker appends these words itself, and so does QEMU's
//!   microvm without ACPI.

use core::fmt;

use hal_x86::acpi::VirtioMmio;
use hal_x86::uart::ComPort;

/// Where the agent is to listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// On this UART.
    Com(ComPort),
    /// On the virtio port `org.qemu.guest_agent.0`.
    Virtio,
}

/// A channel that does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchChannel<'l>(pub &'l [u8]);

impl fmt::Display for NoSuchChannel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent.channel={}: not virtio or com1 to com4", self.0.escape_ascii())
    }
}

impl core::error::Error for NoSuchChannel<'_> {}

/// The channel that the command line asks for, if it does.
///
/// # Errors
///
/// There is no such channel.
pub fn channel(line: &[u8]) -> Result<Option<Choice>, NoSuchChannel<'_>> {
    let Some(name) = values(line, b"agent.channel=").last() else { return Ok(None) };
    match name {
        b"virtio" => Ok(Choice::Virtio),
        b"com1" => Ok(Choice::Com(ComPort::Com1)),
        b"com2" => Ok(Choice::Com(ComPort::Com2)),
        b"com3" => Ok(Choice::Com(ComPort::Com3)),
        b"com4" => Ok(Choice::Com(ComPort::Com4)),
        other => Err(NoSuchChannel(other)),
    }
    .map(Some)
}

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
    let Some(value) = values(line, b"agent.freeze_timeout=").last() else { return Ok(None) };
    let seconds = str::from_utf8(value).ok().filter(|text| !text.starts_with('+'));
    match seconds.and_then(|text| text.parse().ok()) {
        Some(seconds @ 1..=3600_u64) => Ok(Some(seconds * 1000)),
        _ => Err(NoSuchTime(value)),
    }
}

/// The virtio-mmio devices that the command line names; words that cannot be understood are passed
/// over.
pub fn virtio_mmio(line: &[u8]) -> impl Iterator<Item = VirtioMmio> {
    values(line, b"virtio_mmio.device=").filter_map(device)
}

/// What follows `key` in the words that begin with it.
fn values<'l>(line: &'l [u8], key: &'static [u8]) -> impl Iterator<Item = &'l [u8]> {
    line.split(u8::is_ascii_whitespace).filter_map(move |word| word.strip_prefix(key))
}

/// `<size>@<base>:<interrupt>[:<id>]`
fn device(value: &[u8]) -> Option<VirtioMmio> {
    let (size, place) = str::from_utf8(value).ok()?.split_once('@')?;
    let mut parts = place.split(':');
    let base = number(parts.next()?)?;
    let gsi = u32::try_from(number(parts.next()?)?).ok()?;
    Some(VirtioMmio { base, length: u32::try_from(number(size)?).ok()?, gsi })
}

/// A number as Linux' `memparse` reads it, but for octal ones: in decimal, or in hexadecimal after
/// `0x`, with K, M or G for the powers of 1024.
fn number(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    // `from_str_radix` takes a sign, too.
    let digits = Some(digits).filter(|digits| !digits.starts_with('+'))?;
    u64::from_str_radix(digits, radix).ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_the_last_one_named() {
        for (line, expected) in [
            (&b""[..], Ok(None)),
            (b"console=ttyS0 quiet", Ok(None)),
            (b"agent.channel=virtio", Ok(Some(Choice::Virtio))),
            (b"  quiet\tagent.channel=com1\nro", Ok(Some(Choice::Com(ComPort::Com1)))),
            (b"agent.channel=com1 agent.channel=com4", Ok(Some(Choice::Com(ComPort::Com4)))),
            (b"agent.channel=com5 agent.channel=com2", Ok(Some(Choice::Com(ComPort::Com2)))),
            (b"agent.channel=com3 agent.channel=com5", Err(NoSuchChannel(b"com5"))),
            (b"agent.channel=", Err(NoSuchChannel(b""))),
            (b"agent.channel=COM1", Err(NoSuchChannel(b"COM1"))),
            (b"agent.channel=\xFF\xFE", Err(NoSuchChannel(b"\xFF\xFE"))),
            (b"xagent.channel=com1 agent.channels=com1 agent.channel", Ok(None)),
        ] {
            assert_eq!(channel(line), expected, "{}", line.escape_ascii());
        }
    }

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

    #[test]
    fn virtio_mmio_devices_are_read_as_linux_reads_them() {
        let found = |length, base, gsi| Some(VirtioMmio { base, length, gsi });
        for (value, expected) in [
            ("512@0xfeb00e00:12", found(512, 0xFEB0_0E00, 12)),
            ("4K@0xd0000000:5", found(4096, 0xD000_0000, 5)),
            ("1m@4G:5:7", found(1 << 20, 1 << 32, 5)),
            ("0x200@0xfeb00e00:0x0c", found(512, 0xFEB0_0E00, 12)),
            ("", None),
            ("@:", None),
            ("512@0xfeb00e00", None),
            ("512@0xfeb00e00:", None),
            ("512@0xfeb00e00:-1", None),
            ("+512@0xfeb00e00:1", None),
            ("512@0xfeb00e00:4294967296", None),
            ("4G@0xfeb00e00:1", None),
            ("K@0xfeb00e00:1", None),
            ("99999999999999999999@0:1", None),
            ("512@17179869184G:1", None),
            ("512@0xé:1", None),
        ] {
            let line = format!("quiet virtio_mmio.device={value} ro");
            assert_eq!(virtio_mmio(line.as_bytes()).next(), expected, "{value}");
        }
        assert_eq!(virtio_mmio(b"virtio_mmio.device=\xFF virtio_mmio.device=1@2:3").count(), 1);
    }
}
