//! Page tables: everything one to one, each part of the image with its own rights
//!
//! The entry code maps the first 4 GiB with pages of 2 MiB, all writable. [`refine`] then takes
//! away what is not needed: the memory around the image gets pages of 4 KiB with the rights that
//! [`rights`](crate::rights) tells. Where the CPU has pages of 1 GiB, the map grows to 512 GiB, for
//! devices that the firmware put above 4 GiB.

use core::arch::asm;
use core::arch::x86_64::__cpuid;
use core::cell::UnsafeCell;
use core::ops::Range;

use crate::rights::{
    GIB, Layout, NO_EXECUTE, PRESENT, WRITABLE, huge_page, large_page, small_page,
};

/// CPUID leaf `0x8000_0001`, EDX: pages may be barred from execution; pages of 1 GiB exist.
const CPUID_NX: u32 = 1 << 20;
const CPUID_PDPE1GB: u32 = 1 << 26;

const MSR_EFER: u32 = 0xC000_0080;
/// NXE: bit 63 of an entry means "no execute" rather than being reserved.
const EFER_NXE: u32 = 1 << 11;

/// `N` consecutive page tables, which the CPU reads at any time.
#[repr(C, align(4096))]
#[derive(Debug)]
pub(crate) struct Tables<const N: usize>(UnsafeCell<[[u64; 512]; N]>);

// SAFETY: there is one CPU and one thread, and only the entry code and `refine`, which run once,
// write here.
unsafe impl<const N: usize> Sync for Tables<N> {}

impl<const N: usize> Tables<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([[0; 512]; N]))
    }

    /// The tables' address, which is also their physical one.
    fn address(&self) -> u64 {
        self.0.get() as u64
    }
}

/// The top level; its first entry covers 512 GiB.
pub(crate) static PML4: Tables<1> = Tables::new();
/// The page directory pointers: an entry per GiB.
pub(crate) static POINTERS: Tables<1> = Tables::new();
/// For the first 4 GiB: an entry per 2 MiB.
pub(crate) static PAGE_DIRECTORIES: Tables<4> = Tables::new();
/// For the image: an entry per 4 KiB.
static PAGES: Tables<IMAGE_TABLES> = Tables::new();

/// Tables of 2 MiB each that the image may reach into; the linker script knows.
const IMAGE_TABLES: usize = if cfg!(small) { 1 } else { 4 };

unsafe extern "C" {
    // The linker script's: only their addresses mean something.
    static __image_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __stack_guard: u8;
    static __image_end: u8;
}

/// Where the image lies, from its code to its stack.
pub(crate) fn image() -> Range<u64> {
    (&raw const __image_start) as u64..(&raw const __image_end) as u64
}

/// Gives every page the rights that it needs and no more; returns how many bytes from address 0 on
/// are mapped.
///
/// # Safety
///
/// Called once, on the tables as the entry code made them.
pub(crate) unsafe fn refine() -> u64 {
    let features = __cpuid(0x8000_0001).edx;
    let kept = if features & CPUID_NX == 0 { !NO_EXECUTE } else { !0 };
    if features & CPUID_NX != 0 {
        // SAFETY: the CPU says that it has the bit, and no entry uses bit 63 yet.
        unsafe { enable_no_execute() };
    }
    let text_end = (&raw const __text_end) as u64;
    let layout = Layout {
        text: image().start..text_end,
        rodata: text_end..(&raw const __rodata_end) as u64,
        guard: (&raw const __stack_guard) as u64,
    };

    // SAFETY: nothing else refers to the tables, by this function's contract. The CPU may read them
    // at any time, and each entry maps its page one to one before and after, with rights that cover
    // what its part of the image is used for.
    let (pages, directories, pointers) =
        unsafe { (&mut *PAGES.0.get(), &mut *PAGE_DIRECTORIES.0.get(), &mut *POINTERS.0.get()) };
    for (address, entry) in (0..).step_by(4 << 10).zip(pages.as_flattened_mut()) {
        *entry = small_page(address, &layout) & kept;
    }
    for (address, entry) in
        (0..).step_by(2 << 20).zip(directories.as_flattened_mut()).skip(IMAGE_TABLES)
    {
        *entry = large_page(address) & kept;
    }
    for (table, entry) in
        (PAGES.address()..).step_by(4 << 10).zip(&mut directories[0]).take(IMAGE_TABLES)
    {
        *entry = table | PRESENT | WRITABLE;
    }
    let mapped = if features & CPUID_PDPE1GB == 0 {
        4 * GIB
    } else {
        for (address, entry) in (0..).step_by(1 << 30).zip(pointers.as_flattened_mut()).skip(4) {
            *entry = huge_page(address) & kept;
        }
        512 * GIB
    };
    // SAFETY: loads the same table again, so that the CPU forgets the entries that it remembers.
    unsafe {
        asm!(
            "mov {cr3}, cr3", "mov cr3, {cr3}",
            cr3 = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    mapped
}

/// Makes bit 63 of page table entries mean "no execute".
///
/// # Safety
///
/// The CPU has the feature, and no entry has the bit set by accident.
unsafe fn enable_no_execute() {
    // SAFETY: EFER exists on every CPU with long mode; only NXE changes, as this function's
    // contract allows.
    unsafe {
        asm!(
            "rdmsr", "or eax, {nxe}", "wrmsr",
            nxe = const EFER_NXE, in("ecx") MSR_EFER, out("eax") _, out("edx") _,
            options(nostack, preserves_flags),
        );
    }
}
