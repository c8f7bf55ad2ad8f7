//! What a page may be used for, as page table entries
//!
//! The numbers behind [`paging`](crate): each part of the image has its own rights, so that code
//! cannot be written, data cannot be run, and the page below the stack is not there at all. Entry
//! layout: Intel SDM volume 3, 4.5, tables 4-15 to 4-20.

use core::ops::Range;

/// The entry is in use.
pub(crate) const PRESENT: u64 = 1 << 0;
/// Writes are allowed.
pub(crate) const WRITABLE: u64 = 1 << 1;
/// PCD: never cached, whatever the memory type registers say.
pub(crate) const UNCACHED: u64 = 1 << 4;
/// PS: the entry maps a page of 2 MiB or 1 GiB, not a table.
pub(crate) const WHOLE: u64 = 1 << 7;
/// XD: instructions are not fetched from here.
pub(crate) const NO_EXECUTE: u64 = 1 << 63;

pub(crate) const GIB: u64 = 1 << 30;

/// Where the image's parts lie, in whole pages.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) text: Range<u64>,
    pub(crate) rodata: Range<u64>,
    /// The page below the stack.
    pub(crate) guard: u64,
}

/// The entry for one of the 4 KiB pages of the image's surroundings.
pub(crate) fn small_page(address: u64, layout: &Layout) -> u64 {
    let rights = if address == layout.guard {
        return 0;
    } else if address == 0 {
        // The BIOS data area, which the search for ACPI reads; not writable, so that a null pointer
        // is noticed.
        PRESENT | NO_EXECUTE
    } else if layout.text.contains(&address) {
        PRESENT
    } else if layout.rodata.contains(&address) {
        PRESENT | NO_EXECUTE
    } else {
        PRESENT | WRITABLE | NO_EXECUTE
    };
    address | rights
}

/// The entry for one of the 2 MiB pages of the first 4 GiB.
pub(crate) fn large_page(address: u64) -> u64 {
    // PC machines keep the last GiB for devices: PCI windows, I/O APIC, local APIC, flash.
    let caching = if address < 3 * GIB { 0 } else { UNCACHED };
    address | PRESENT | WRITABLE | WHOLE | NO_EXECUTE | caching
}

/// The entry for a 1 GiB page above 4 GiB: memory or devices, told apart by the firmware's memory
/// type registers.
pub(crate) fn huge_page(address: u64) -> u64 {
    address | PRESENT | WRITABLE | WHOLE | NO_EXECUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pages_have_the_rights_of_their_part() {
        let layout =
            Layout { text: 0x10_0000..0x10_2000, rodata: 0x10_2000..0x10_3000, guard: 0x10_5000 };
        for (address, rights) in [
            (0x0, PRESENT | NO_EXECUTE),
            (0x1000, PRESENT | WRITABLE | NO_EXECUTE),
            (0xF_F000, PRESENT | WRITABLE | NO_EXECUTE),
            (0x10_0000, PRESENT),
            (0x10_1000, PRESENT),
            (0x10_2000, PRESENT | NO_EXECUTE),
            (0x10_3000, PRESENT | WRITABLE | NO_EXECUTE),
            (0x10_4000, PRESENT | WRITABLE | NO_EXECUTE),
            (0x10_6000, PRESENT | WRITABLE | NO_EXECUTE),
            (0x1F_F000, PRESENT | WRITABLE | NO_EXECUTE),
        ] {
            assert_eq!(small_page(address, &layout), address | rights, "{address:#x}");
        }
        assert_eq!(small_page(0x10_5000, &layout), 0, "the guard page is not there");
    }

    #[test]
    fn only_the_last_gib_below_four_is_uncached() {
        let rights = PRESENT | WRITABLE | WHOLE | NO_EXECUTE;
        for (address, caching) in
            [(0x20_0000, 0), (0xBFE0_0000, 0), (0xC000_0000, UNCACHED), (0xFEE0_0000, UNCACHED)]
        {
            assert_eq!(large_page(address), address | rights | caching, "{address:#x}");
        }
        assert_eq!(huge_page(4 * GIB), (4 * GIB) | rights);
    }
}
