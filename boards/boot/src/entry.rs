//! The first instructions: PVH start, long mode, stack, Rust
//!
//! A hypervisor that speaks PVH (Xen's `docs/misc/pvh.pandoc`, "x86/HVM direct boot ABI") finds the
//! address of `pvh_start` in an ELF note and jumps there in 32-bit protected mode with flat
//! segments, paging off, interrupts off, and the address of `hvm_start_info` in EBX. The code below
//! builds just enough page tables to switch to 64-bit mode; [`paging`] refines them in Rust.
//! Register bits: Intel SDM volume 3, 2.2.1 (EFER), 2.5 (CR0, CR4), 3.4.5 (segment descriptors),
//! 4.5 (4-level paging).

use core::arch::global_asm;

use crate::outside::Outside;
use crate::paging::{self, PAGE_DIRECTORIES, PML4, POINTERS};
use crate::rights::{PRESENT, WHOLE, WRITABLE};
use crate::start_info::{StartInfo, StartInfoError};

/// `XEN_ELFNOTE_PHYS32_ENTRY` of Xen's `elfnote.h`.
const NOTE_PHYS32_ENTRY: u32 = 18;

/// CPUID leaf `0x8000_0001`, EDX: the CPU has 64-bit mode.
const CPUID_LONG_MODE: u32 = 1 << 29;

/// The extended feature register and the one bit set before Rust runs: long mode enable.
const MSR_EFER: u32 = 0xC000_0080;
const EFER_LME: u32 = 1 << 8;

/// PAE: 8-byte page table entries, needed by long mode.
const CR4_PAE: u32 = 1 << 5;
/// OSFXSR: SSE instructions are allowed; Rust's x86-64 code uses them everywhere.
const CR4_OSFXSR: u32 = 1 << 9;
/// OSXMMEXCPT: an unmasked SSE fault would be #XM rather than #UD. All are masked (MXCSR's reset
/// value).
const CR4_OSXMMEXCPT: u32 = 1 << 10;

/// PE: protected mode, as on entry.
const CR0_PE: u32 = 1 << 0;
/// MP: with TS clear, WAIT does not trap. EM, bit 2, stays clear: the FPU and SSE are there.
const CR0_MP: u32 = 1 << 1;
/// ET: fixed to 1 on every 64-bit CPU.
const CR0_ET: u32 = 1 << 4;
/// NE: floating-point errors are exceptions, not the PC's IRQ 13.
const CR0_NE: u32 = 1 << 5;
/// WP: read-only pages are read-only for this code too.
const CR0_WP: u32 = 1 << 16;
/// PG: paging. TS, NW and CD stay clear: no lazy FPU switch, caches on.
const CR0_PG: u32 = 1 << 31;

/// Selectors of the two descriptors below.
const CODE: u32 = 0x08;
const DATA: u32 = 0x10;

// Section names are those that the compiler uses, so that the linker script needs no case of its
// own.
global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4                         # length of the name
    .long 8                         # length of the description: QEMU reads 8 bytes
    .long {NOTE_PHYS32_ENTRY}
    .asciz "Xen"
    .quad pvh_start

    .section .rodata.gdt, "a"
    .balign 8
gdt:
    .quad 0                         # the null descriptor
    # Both: base 0, limit 4 GiB, present, ring 0, accessed.
    .quad 0x00AF9B000000FFFF        # code: execute and read, L = 64-bit
    .quad 0x00CF93000000FFFF        # data: read and write
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

    .section .text.entry, "ax"
    .code32
    .globl pvh_start
pvh_start:
    cld
    cli
    mov ebp, ebx                    # start info, out of the way of CPUID and REP

    # No loader knows of what the program writes: the linker script says why.
    mov esi, offset __data_load
    mov edi, offset __data_start
    mov ecx, offset __data_end
    sub ecx, edi
    shr ecx, 2
    rep movsd
    xor eax, eax
    mov edi, offset __bss_start
    mov ecx, offset __bss_end
    sub ecx, edi
    shr ecx, 2
    rep stosd

    mov eax, 0x80000000             # is there a leaf that tells of long mode?
    cpuid
    cmp eax, 0x80000001
    jb 9f
    mov eax, 0x80000001
    cpuid
    test edx, {CPUID_LONG_MODE}
    jz 9f

    # PML4[0] -> POINTERS[0..4] -> four page directories of 512 pages of 2 MiB: the first 4 GiB,
    # one to one.
    mov eax, offset {POINTERS}
    or eax, {TABLE}
    mov [{PML4}], eax
    mov eax, offset {PAGE_DIRECTORIES}
    or eax, {TABLE}
    xor ecx, ecx
2:  mov [{POINTERS} + ecx * 8], eax
    add eax, 0x1000
    inc ecx
    cmp ecx, 4
    jb 2b
    mov eax, {LARGE_PAGE}
    xor ecx, ecx
3:  mov [{PAGE_DIRECTORIES} + ecx * 8], eax
    add eax, 0x200000
    inc ecx
    cmp ecx, 4 * 512
    jb 3b

    mov eax, {CR4}
    mov cr4, eax
    mov eax, offset {PML4}
    mov cr3, eax
    mov ecx, {MSR_EFER}
    rdmsr
    or eax, {EFER_LME}
    wrmsr
    mov eax, {CR0}                  # paging on: the CPU enters long mode, compatibility sub-mode
    mov cr0, eax

    mov esp, offset __stack_top
    lgdt [gdt_pointer]
    push {CODE}                     # a far return loads CS with the 64-bit descriptor
    mov eax, offset long_mode
    push eax
    retf

9:  hlt                             # a CPU without long mode: nobody to tell, nothing to do
    jmp 9b

    .code64
long_mode:
    mov eax, {DATA}
    mov ds, eax
    mov es, eax
    mov ss, eax
    xor eax, eax
    mov fs, eax
    mov gs, eax
    mov rsp, offset __stack_top     # the upper half was undefined in 32-bit mode
    fninit
    mov edi, ebp                    # first argument; clears the upper half
    xor ebp, ebp                    # the outermost frame
    call boot_main
    ud2
    "#,
    NOTE_PHYS32_ENTRY = const NOTE_PHYS32_ENTRY,
    CPUID_LONG_MODE = const CPUID_LONG_MODE,
    POINTERS = sym POINTERS,
    PML4 = sym PML4,
    PAGE_DIRECTORIES = sym PAGE_DIRECTORIES,
    TABLE = const PRESENT | WRITABLE,
    LARGE_PAGE = const PRESENT | WRITABLE | WHOLE,
    MSR_EFER = const MSR_EFER,
    EFER_LME = const EFER_LME,
    CR4 = const CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
    CR0 = const CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG,
    CODE = const CODE,
    DATA = const DATA,
);

/// Finishes what the assembly began and runs the board's `main`; [`entry!`](macro@crate::entry)
/// calls it.
///
/// # Safety
///
/// Called once, by the entry code, with the address that the hypervisor gave.
pub unsafe fn start(start_info: u64, main: fn(&StartInfo<'_>, &Outside) -> !) -> ! {
    // SAFETY: the entry code has just switched to these tables, nothing else uses them, and this is
    // the first call.
    let mapped_bytes = unsafe { paging::refine() };
    #[cfg(feature = "defmt")]
    crate::logger::start();

    // SAFETY: so the tables map it, and they are not changed again. The image is all that the
    // program uses as memory, and firmware tables lie outside of it.
    let memory = unsafe { Outside::new(paging::image(), mapped_bytes) };
    // The agent can do without: ACPI is found by a scan, and an empty command line says nothing.
    let info = StartInfo::read(&memory, start_info).unwrap_or_else(without);
    main(&info, &memory)
}

fn without<'m>(error: StartInfoError) -> StartInfo<'m> {
    #[cfg(feature = "defmt")]
    defmt::warn!("{}", error);
    #[cfg(not(feature = "defmt"))]
    let _ = error;
    StartInfo::default()
}
