//! What can be read from ACPI byte code without interpreting it (§20.2).
//!
//! The values of the sleep registers are a constant package, `Name (\_S5, Package () {5, 5})`, and
//! QEMU's microvm describes its virtio-mmio devices by constants too. Both are found by their
//! bytes, in one walk over the table; every length in there is checked against what is left.

use crate::acpi::{SleepState, SleepTypes, u8_at, u16_at, u32_at};

const ZERO_OP: u8 = 0x00;
const ONE_OP: u8 = 0x01;
const NAME_OP: u8 = 0x08;
const BYTE_PREFIX: u8 = 0x0a;
const WORD_PREFIX: u8 = 0x0b;
const DWORD_PREFIX: u8 = 0x0c;
const BUFFER_OP: u8 = 0x11;
const PACKAGE_OP: u8 = 0x12;
const ROOT_CHAR: u8 = b'\\';

/// The sleep register values of `state`, from the first package of its name that holds some.
pub(super) fn sleep_types(code: &[u8], state: SleepState) -> Option<SleepTypes> {
    suffixes(code).find_map(|code| sleep_package(code, state))
}

/// `DefName := NameOp NameString DefPackage`, the name with or without a leading backslash.
fn sleep_package(code: &[u8], state: SleepState) -> Option<SleepTypes> {
    let code = code.strip_prefix(&[NAME_OP])?;
    let code = code.strip_prefix(&[ROOT_CHAR]).unwrap_or(code);
    let code = code.strip_prefix(&state.name())?;
    let package = sized(code.strip_prefix(&[PACKAGE_OP])?)?;
    let (&count, elements) = package.split_first()?;
    let (first, rest) = integer(elements)?;
    // §7.4.2: SLP_TYPa and SLP_TYPb, then reserved. A single element has been seen to hold both,
    // the second in its upper byte.
    let (a, b) = match count {
        0 => return None,
        1 => (first & 0xff, first >> 8),
        _ => (first, integer(rest)?.0),
    };
    SleepTypes::new(a, b)
}

/// The virtio-mmio devices of a machine: an iterator over those that the DSDT describes.
///
/// They have the hardware id "LNRO0005", as Linux's virtio-mmio driver looks for, and a memory
/// window and an interrupt as their resources.
#[derive(Clone, Debug)]
pub struct VirtioMmioDevices<'m> {
    code: &'m [u8],
}

/// A virtio-mmio device, as the firmware describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioMmio {
    /// Physical address of its registers.
    pub base: u64,
    /// Bytes of its register window.
    pub length: u32,
    /// Global system interrupt that it raises.
    pub gsi: u32,
}

impl<'m> VirtioMmioDevices<'m> {
    /// The devices in the byte code `code`.
    pub(super) const fn new(code: &'m [u8]) -> Self {
        Self { code }
    }
}

impl Iterator for VirtioMmioDevices<'_> {
    type Item = VirtioMmio;

    fn next(&mut self) -> Option<VirtioMmio> {
        const STRING_PREFIX: u8 = 0x0d;
        const HARDWARE_ID: &[u8] = &[NAME_OP, b'_', b'H', b'I', b'D', STRING_PREFIX];
        const VIRTIO_MMIO: &[u8] = b"LNRO0005\0";
        while !self.code.is_empty() {
            let here =
                self.code.strip_prefix(HARDWARE_ID).and_then(|code| code.strip_prefix(VIRTIO_MMIO));
            match here {
                Some(rest) => {
                    self.code = rest;
                    if let Some(device) = resources(rest) {
                        return Some(device);
                    }
                }
                None => self.code = self.code.get(1..).unwrap_or_default(),
            }
        }
        None
    }
}

/// The window and the interrupt of the device whose hardware id has just ended.
fn resources(code: &[u8]) -> Option<VirtioMmio> {
    /// Bytes from the end of `_HID` within which `_CRS` starts. QEMU has `_UID` and `_CCA` in
    /// between.
    const REACH: usize = 64;
    const CURRENT_RESOURCES: &[u8] = &[NAME_OP, b'_', b'C', b'R', b'S', BUFFER_OP];
    const HARDWARE_ID: &[u8] = &[NAME_OP, b'_', b'H', b'I', b'D'];
    let buffer = suffixes(code)
        .take(REACH)
        .take_while(|code| !code.starts_with(HARDWARE_ID))
        .find_map(|code| code.strip_prefix(CURRENT_RESOURCES))?;
    let (_size, descriptors) = integer(sized(buffer)?)?;
    let (mut window, mut gsi) = (None, None);
    for (tag, body) in (Descriptors { rest: descriptors }) {
        match tag {
            // Information, base, length (§6.4.3.4).
            Descriptors::MEMORY_32_FIXED => {
                window = window.or(u32_at(body, 1).zip(u32_at(body, 5)));
            }
            // Flags, count, the first interrupt (§6.4.3.6).
            Descriptors::EXTENDED_INTERRUPT => gsi = gsi.or(u32_at(body, 2)),
            _ => {}
        }
    }
    let (base, length) = window?;
    Some(VirtioMmio { base: base.into(), length, gsi: gsi? })
}

/// Resource descriptors (§6.4): a tag and the body.
struct Descriptors<'m> {
    rest: &'m [u8],
}

impl Descriptors<'_> {
    const END: u8 = 0x78;
    const MEMORY_32_FIXED: u8 = 0x86;
    const EXTENDED_INTERRUPT: u8 = 0x89;
}

impl<'m> Iterator for Descriptors<'m> {
    type Item = (u8, &'m [u8]);

    fn next(&mut self) -> Option<(u8, &'m [u8])> {
        const LARGE: u8 = 0x80;
        let tag = u8_at(self.rest, 0)?;
        // A small descriptor has its length in the tag's lower three bits, a large one in the two
        // bytes after the tag.
        let (tag, header, length) = if tag & LARGE == 0 {
            (tag & 0x78, 1, usize::from(tag & 7))
        } else {
            (tag, 3, usize::from(u16_at(self.rest, 1)?))
        };
        if tag == Self::END {
            return None;
        }
        let body = self.rest.get(header..header + length)?;
        self.rest = self.rest.get(header + length..)?;
        Some((tag, body))
    }
}

/// `PkgLength` (§20.2.4) at the start of `code`: what it spans, after itself. It counts its own
/// bytes.
fn sized(code: &[u8]) -> Option<&[u8]> {
    let lead = u8_at(code, 0)?;
    let following = usize::from(lead >> 6);
    let length = match following {
        0 => usize::from(lead & 0x3f),
        _ => {
            code.get(1..=following)?
                .iter()
                .rev()
                .fold(0, |length, byte| length << 8 | usize::from(*byte))
                << 4
                | usize::from(lead & 0xf)
        }
    };
    code.get(1 + following..length)
}

/// A constant integer at the start of `code`, and what follows it.
fn integer(code: &[u8]) -> Option<(u32, &[u8])> {
    let (value, size) = match u8_at(code, 0)? {
        ZERO_OP => (0, 1),
        ONE_OP => (1, 1),
        BYTE_PREFIX => (u8_at(code, 1)?.into(), 2),
        WORD_PREFIX => (u16_at(code, 1)?.into(), 3),
        DWORD_PREFIX => (u32_at(code, 1)?, 5),
        _ => return None,
    };
    Some((value, code.get(size..)?))
}

/// `code` from its first byte, from its second, and so on.
fn suffixes(code: &[u8]) -> impl Iterator<Item = &[u8]> {
    (0..code.len()).filter_map(|start| code.get(start..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// `body` behind a package length of `size` bytes.
    fn package(size: usize, body: &[u8]) -> Vec<u8> {
        let length = size + body.len();
        let mut bytes = match size {
            1 => vec![u8::try_from(length).unwrap()],
            _ => vec![u8::try_from((size - 1) << 6 | length & 0xf).unwrap()],
        };
        bytes.extend((1..size).map(|byte| u8::try_from(length >> (8 * byte - 4) & 0xff).unwrap()));
        bytes.extend(body);
        bytes
    }

    #[test]
    fn package_lengths_of_every_size_are_read() {
        for size in 1..=4 {
            for length in [0, 1, 62, 63, 64, 300, 5000] {
                if length > [62, 4093, usize::MAX, usize::MAX][size - 1] {
                    continue;
                }
                let body: Vec<u8> =
                    (0..length).map(|index| u8::try_from(index & 0xff).unwrap()).collect();
                let mut code = package(size, &body);
                assert_eq!(sized(&code), Some(&body[..]), "{size} {length}");
                code.push(0xaa);
                assert_eq!(sized(&code), Some(&body[..]));
                code.truncate(size + length);
                code.pop();
                assert_eq!(sized(&code), None);
            }
        }
        for bad in [&[][..], &[0], &[0x40], &[0xc0, 0xff], &[0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(sized(bad), None, "{bad:?}");
        }
    }

    fn named(name: &[u8], elements: &[u8]) -> Vec<u8> {
        [&[0x5b, 0x80, NAME_OP][..], name, &[PACKAGE_OP], &package(1, elements), &[0x10, 0x20]]
            .concat()
    }

    #[test]
    fn sleep_packages_in_their_forms() {
        let types = |a, b| SleepTypes::new(a, b);
        for (name, elements, expected) in [
            (&b"_S5_"[..], &[4, 0x0a, 5, 0x0a, 6, 0, 0][..], types(5, 6)),
            (b"\\_S5_", &[4, ZERO_OP, ZERO_OP, ZERO_OP, ZERO_OP], types(0, 0)),
            (b"_S5_", &[2, ONE_OP, 0x0b, 7, 0], types(1, 7)),
            (b"_S5_", &[1, 0x0b, 5, 3], types(5, 3)),
            (b"_S5_", &[4, 0x0c, 5, 0, 0, 0, 1, 0, 0], types(5, 1)),
            (b"_S5_", &[4, 0x0a, 8, 0, 0, 0], None),
            (b"_S5_", &[0], None),
            (b"_S5_", &[4, 0x0a], None),
            (b"_S5_", &[4, 0x0a, 5], None),
            (b"_S5_", &[4, 0x0d, 5, 0], None),
            (b"_S3_", &[4, 1, 1, 0, 0], None),
        ] {
            assert_eq!(
                sleep_types(&named(name, elements), SleepState::S5),
                expected,
                "{elements:?}"
            );
        }
        let s3 = named(b"_S3_", &[4, 1, 1, 0, 0]);
        assert_eq!(sleep_types(&s3, SleepState::S3), SleepTypes::new(1, 1));
        // A false start does not hide the real one.
        let code = [named(b"_S5_", &[0]), named(b"_S5_", &[2, 0x0a, 5, 0x0a, 5])].concat();
        assert_eq!(sleep_types(&code, SleepState::S5), SleepTypes::new(5, 5));
    }

    fn device(window: [u32; 2], gsi: u32) -> Vec<u8> {
        let mut resources = vec![0x86, 9, 0, 1];
        resources.extend(window.iter().flat_map(|word| word.to_le_bytes()));
        resources.extend([0x89, 6, 0, 9, 1]);
        resources.extend(gsi.to_le_bytes());
        resources.extend([0x79, 0]);
        let mut buffer = vec![0x0a, u8::try_from(resources.len()).unwrap()];
        buffer.extend(resources);
        let body = [
            b"VR00\x08_HID\x0dLNRO0005\0\x08_UID\0\x08_CCA\x01\x08_CRS\x11",
            &package(1, &buffer)[..],
        ];
        [&[0x5b, 0x82][..], &package(2, &body.concat())].concat()
    }

    #[test]
    fn virtio_mmio_devices_are_listed() {
        let code = [
            &b"junk"[..],
            &device([0xfeb0_0000, 512], 24),
            &device([0xfeb0_0200, 512], 25),
            b"_HID",
        ]
        .concat();
        let found: Vec<_> = VirtioMmioDevices::new(&code).collect();
        let first = VirtioMmio { base: 0xfeb0_0000, length: 512, gsi: 24 };
        assert_eq!(found, [first, VirtioMmio { base: 0xfeb0_0200, gsi: 25, ..first }]);
        for cut in 0..code.len() {
            assert!(VirtioMmioDevices::new(&code[..cut]).count() <= 2);
        }
    }

    #[test]
    fn a_device_without_resources_does_not_take_those_of_the_next() {
        let bare = b"\x08_HID\x0dLNRO0005\0".to_vec();
        let code = [bare, device([0x1000, 512], 5)].concat();
        assert_eq!(
            VirtioMmioDevices::new(&code).map(|device| device.base).collect::<Vec<_>>(),
            [0x1000]
        );
    }
}
