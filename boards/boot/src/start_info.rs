//! What the hypervisor says at the start
//!
//! `hvm_start_info` and `hvm_memmap_table_entry` of Xen's
//! `xen/include/public/arch-x86/hvm/start_info.h`, versions 0 and 1, checked once: after
//! [`StartInfo::read`] every slice lies in readable memory and every length has a bound.

use core::ops::Range;

use hal_x86::memory::PhysicalMemory;
use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

/// The longest command line that is looked at, in bytes. QEMU passes up to 4095, and Linux takes
/// 2048 on this architecture: what a user has written is never cut, least of all a list of what is
/// not allowed.
const MAX_COMMAND_LINE: usize = 64 * 1024;
/// The most memory regions that are looked at; real machines have about ten.
const MAX_REGIONS: usize = 128;

/// "xEn3" with the high bit of the "E" set.
const MAGIC: u32 = 0x336E_C578;

/// What the hypervisor says at the start; empty where it says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartInfo<'m> {
    rsdp: Option<u64>,
    command_line: &'m [u8],
    regions: &'m [RawRegion],
}

impl<'m> StartInfo<'m> {
    /// Reads the start info at `address`.
    ///
    /// # Errors
    ///
    /// It cannot be read or is not one. Parts of it that cannot be read are left out.
    pub fn read(memory: &'m impl PhysicalMemory, address: u64) -> Result<Self, StartInfoError> {
        let raw: Raw = read(memory, address).ok_or(StartInfoError::Unreadable)?;
        if raw.magic.get() != MAGIC {
            return Err(StartInfoError::Magic);
        }
        let rsdp = raw.rsdp.get();
        let command_line = match raw.command_line.get() {
            0 => &[],
            address => until_zero(memory, address),
        };
        Ok(Self {
            rsdp: (rsdp != 0).then_some(rsdp),
            command_line,
            regions: if raw.version.get() == 0 { &[] } else { regions(memory, address) },
        })
    }

    /// Where ACPI's root pointer lies, if the hypervisor says so.
    pub const fn rsdp(&self) -> Option<u64> {
        self.rsdp
    }

    /// Whether `place` is memory that the program may have: memory by the map, nothing else by the
    /// map, and nothing of what is read through this.
    pub fn is_free(&self, place: Range<u64>) -> bool {
        let of = |start: u64, len_bytes: u64| start..start.saturating_add(len_bytes);
        let apart = |other: Range<u64>| other.end <= place.start || place.end <= other.start;
        let mut is_memory = false;
        for region in self.memory_map() {
            let range = of(region.start, region.len_bytes);
            if region.kind == MemoryKind::Ram {
                is_memory |= range.start <= place.start && place.end <= range.end;
            } else if !apart(range) {
                return false;
            }
        }
        let command_line = self.command_line.as_ptr_range();
        let regions = self.regions.as_ptr_range();
        is_memory
            && apart(command_line.start as u64..command_line.end as u64)
            && apart(regions.start as u64..regions.end as u64)
    }

    /// The kernel's command line, without its final zero; not necessarily text.
    pub const fn command_line(&self) -> &'m [u8] {
        self.command_line
    }

    /// What lies where in physical memory. The hypervisor's word: nothing is promised about order
    /// or overlap.
    pub fn memory_map(&self) -> impl Iterator<Item = MemoryRegion> + Clone + use<'m> {
        self.regions.iter().map(|region| MemoryRegion {
            start: region.start.get(),
            len_bytes: region.len_bytes.get(),
            kind: MemoryKind::from_type(region.kind.get()),
        })
    }
}

/// A part of physical memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemoryRegion {
    /// Its first address.
    pub start: u64,
    /// Its length.
    pub len_bytes: u64,
    /// What it is for.
    pub kind: MemoryKind,
}

/// What a part of memory is for; `XEN_HVM_MEMMAP_TYPE_*`, which are the types of ACPI 6.5 §15.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryKind {
    /// Free to use.
    Ram,
    /// Not to be touched, or not memory at all.
    Reserved,
    /// ACPI tables; free once they have been read.
    Acpi,
    /// ACPI's own, to be kept across sleep.
    AcpiNvs,
    /// Memory with errors.
    Unusable,
    /// Any other type.
    Other(u32),
}

impl MemoryKind {
    const fn from_type(number: u32) -> Self {
        match number {
            1 => Self::Ram,
            2 => Self::Reserved,
            3 => Self::Acpi,
            4 => Self::AcpiNvs,
            5 => Self::Unusable,
            other => Self::Other(other),
        }
    }
}

/// Why there is no start info.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartInfoError {
    /// It does not begin with the right number.
    Magic,
    /// It does not lie in readable memory.
    Unreadable,
}

impl core::fmt::Display for StartInfoError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Magic => "the start info does not begin with its magic number",
            Self::Unreadable => "the start info does not lie in readable memory",
        })
    }
}

impl core::error::Error for StartInfoError {}

/// Version 0, common to all.
#[derive(FromBytes)]
#[repr(C)]
struct Raw {
    magic: U32,
    version: U32,
    _flags: U32,
    _module_count: U32,
    _modules: U64,
    command_line: U64,
    rsdp: U64,
}

/// What version 1 has behind it.
#[derive(FromBytes)]
#[repr(C)]
struct RawMap {
    address: U64,
    entries: U32,
    _reserved: U32,
}

/// An entry of the memory map.
#[derive(
    Clone, Copy, Debug, FromBytes, zerocopy::Immutable, zerocopy::KnownLayout, zerocopy::Unaligned,
)]
#[repr(C)]
struct RawRegion {
    start: U64,
    len_bytes: U64,
    kind: U32,
    _reserved: U32,
}

/// The `T` at `address`.
fn read<T: FromBytes>(memory: &impl PhysicalMemory, address: u64) -> Option<T> {
    T::read_from_bytes(memory.bytes(address, size_of::<T>())?).ok()
}

/// The memory map of a start info of version 1 or later at `address`; empty where it cannot be
/// read.
fn regions(memory: &impl PhysicalMemory, address: u64) -> &[RawRegion] {
    let place = address.saturating_add(size_of::<Raw>() as u64);
    let Some(map) = read::<RawMap>(memory, place) else { return &[] };
    let entries =
        usize::try_from(map.entries.get()).map_or(MAX_REGIONS, |entries| entries.min(MAX_REGIONS));
    memory
        .bytes(map.address.get(), entries * size_of::<RawRegion>())
        .and_then(|bytes| <[RawRegion]>::ref_from_bytes(bytes).ok())
        .unwrap_or(&[])
}

/// The bytes from `address` up to the first zero, the longest command line or the end of readable
/// memory.
fn until_zero(memory: &impl PhysicalMemory, address: u64) -> &[u8] {
    let mut line: &[u8] = &[];
    for len in 1..=MAX_COMMAND_LINE {
        match memory.bytes(address, len) {
            Some(longer) if longer.last() != Some(&0) => line = longer,
            _ => break,
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes from an address on.
    struct Memory {
        start: u64,
        bytes: Vec<u8>,
    }

    impl PhysicalMemory for Memory {
        fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
            let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
            self.bytes.get(offset..offset.checked_add(length)?)
        }
    }

    const START: u64 = 0x6000;

    /// A start info at `START` and `rest` behind it (at `START + 56`).
    fn memory(version: u32, command_line: u64, map: u64, entries: u32, rest: &[u8]) -> Memory {
        let mut bytes = Vec::new();
        for number in [MAGIC, version, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [0, command_line, 0xF_5A20, map] {
            bytes.extend(u64::to_le_bytes(number));
        }
        bytes.extend(entries.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(rest);
        Memory { start: START, bytes }
    }

    fn entry(start: u64, len_bytes: u64, kind: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(start.to_le_bytes());
        bytes.extend(len_bytes.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn everything_is_read() {
        let map =
            [entry(0, 0x9_FC00, 1), entry(0xF_0000, 0x1_0000, 2), entry(1 << 32, 1 << 30, 77)]
                .concat();
        let rest = [map, b"agent.channel=com1\0junk".to_vec()].concat();
        let memory = memory(1, START + 56 + 72, START + 56, 3, &rest);
        let info = StartInfo::read(&memory, START).unwrap();
        assert_eq!(info.rsdp(), Some(0xF_5A20));
        assert_eq!(info.command_line(), b"agent.channel=com1");
        assert_eq!(
            info.memory_map().collect::<Vec<_>>(),
            [
                MemoryRegion { start: 0, len_bytes: 0x9_FC00, kind: MemoryKind::Ram },
                MemoryRegion { start: 0xF_0000, len_bytes: 0x1_0000, kind: MemoryKind::Reserved },
                MemoryRegion { start: 1 << 32, len_bytes: 1 << 30, kind: MemoryKind::Other(77) },
            ]
        );
    }

    #[test]
    fn version_0_has_no_memory_map() {
        let memory = memory(0, 0, START + 56, 1, &entry(0, 0x9_FC00, 1));
        let info = StartInfo::read(&memory, START).unwrap();
        assert_eq!(info.memory_map().count(), 0);
        assert_eq!(info.command_line(), b"");
    }

    #[test]
    fn a_place_is_free_where_only_memory_is() {
        let ram = |start, len_bytes| entry(start, len_bytes, 1);
        let reserved = |start, len_bytes| entry(start, len_bytes, 2);
        for (map, expected) in [
            (vec![ram(0, 0x9_FC00)], true),
            (vec![ram(0x8000, 0x1000)], true),
            (vec![ram(0x8001, 0x1000)], false),
            (vec![ram(0x8000, 0xFFF)], false),
            (vec![ram(0, 0x8800), ram(0x8800, 0x8800)], false),
            (vec![ram(0, 0x9_FC00), reserved(0x9000, 0x1000), reserved(0, 0x8000)], true),
            (vec![ram(0, 0x9_FC00), reserved(0x8FFF, 1)], false),
            (vec![reserved(0, u64::MAX), ram(0, 0x9_FC00)], false),
            (vec![ram(1, u64::MAX)], true),
            (vec![], false),
        ] {
            let entries = u32::try_from(map.len()).unwrap();
            let memory = memory(1, 0, START + 56, entries, &map.concat());
            let info = StartInfo::read(&memory, START).unwrap();
            assert_eq!(info.is_free(0x8000..0x9000), expected, "{:?}", info.regions);
        }
    }

    #[test]
    fn a_place_is_not_free_where_the_command_line_or_the_map_lies() {
        let map = entry(0, u64::MAX, 1);
        let rest = [map, b"agent.channel=com1\0junk".to_vec()].concat();
        let memory = memory(1, START + 56 + 24, START + 56, 1, &rest);
        let info = StartInfo::read(&memory, START).unwrap();
        let map = info.regions.as_ptr() as u64;
        let line = info.command_line.as_ptr() as u64;
        for (place, expected) in [
            (map - 0x1000..map, true),
            (map..map + 1, false),
            (map + 23..map + 24, false),
            (line..line + 1, false),
            (line + 17..line + 100, false),
            (line + 18..line + 100, true),
        ] {
            assert_eq!(info.is_free(place.clone()), expected, "{place:x?}");
        }
    }

    #[test]
    fn hostile_numbers_are_cut_down() {
        // A command line without an end, a map that is longer than memory, and either where nothing
        // is.
        let long = vec![b'a'; 100_000];
        let info = memory(1, START + 56, 0, 0, &long);
        assert_eq!(StartInfo::read(&info, START).unwrap().command_line().len(), MAX_COMMAND_LINE);
        let info = memory(1, START + 56, START + 56, u32::MAX, &[1; 49]);
        let info = StartInfo::read(&info, START).unwrap();
        assert_eq!((info.command_line().len(), info.memory_map().count()), (49, 0));
        let info = memory(1, 0, START, u32::MAX, &vec![0; 1 << 20]);
        assert_eq!(StartInfo::read(&info, START).unwrap().memory_map().count(), MAX_REGIONS);
        let info = memory(1, u64::MAX, u64::MAX, u32::MAX, &[]);
        let info = StartInfo::read(&info, START).unwrap();
        assert_eq!((info.command_line().len(), info.memory_map().count()), (0, 0));
    }

    #[test]
    fn what_is_no_start_info_is_refused() {
        let mut short = memory(0, 0, 0, 0, &[]);
        short.bytes.truncate(39);
        for (memory, address, error) in [
            (short, START, StartInfoError::Unreadable),
            (memory(1, 0, 0, 0, &[]), START + 4, StartInfoError::Magic),
            (memory(1, 0, 0, 0, &[]), 0, StartInfoError::Unreadable),
            (memory(1, 0, 0, 0, &[]), u64::MAX, StartInfoError::Unreadable),
        ] {
            assert_eq!(StartInfo::read(&memory, address).unwrap_err(), error, "{address:#x}");
        }
    }
}
