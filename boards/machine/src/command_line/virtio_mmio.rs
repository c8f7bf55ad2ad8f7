//! `virtio_mmio.device=<size>@<base>:<interrupt>[:<id>]`: a virtio-mmio device, as in Linux
//!
//! admin-guide/kernel-parameters has the syntax. Firecracker appends these words itself, and so does
//! QEMU's microvm without ACPI.

use hal_x86::acpi::VirtioMmio;

use super::words;

/// The virtio-mmio devices that the command line names; words that cannot be understood are passed
/// over.
pub fn virtio_mmio(line: &[u8]) -> impl Iterator<Item = VirtioMmio> {
    words::values(line, b"virtio_mmio.device=").filter_map(device)
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
