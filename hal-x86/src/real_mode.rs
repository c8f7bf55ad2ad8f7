//! From real mode to a function in 64-bit mode: what a processor runs first after a start-up
//! interrupt (Intel SDM volume 3, §10.4.4), and after the firmware has woken the machine from S3
//! (ACPI 6.5 §16.1.2, the waking vector).
//!
//! Both begin in real mode at the first byte of a page below 1 MiB. The [`StartPage`] holds a few
//! instructions, which switch to protected mode and go on in the program itself, and the values
//! that lead from there to a stack and a function in 64-bit mode, with the page tables and the
//! control registers of the processor that wrote them. The page needs no right to be executed:
//! while code runs in it, paging is off.

use core::arch::global_asm;
use core::mem::offset_of;

use x86_64::registers::control::{Cr0, Cr3, Cr4, Efer, EferFlags};

/// A function that a processor begins with. It is given the argument of its [`Start`].
pub type Entry = extern "sysv64" fn(u64) -> !;

/// What a processor that begins in real mode goes on with.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The function.
    pub entry: Entry,
    /// What it is given.
    pub argument: u64,
    /// The end of its stack, a multiple of 16.
    pub stack_top: u64,
}

/// The page below 1 MiB in which processors begin.
#[derive(Debug)]
pub struct StartPage(());

impl StartPage {
    /// Its number, which is what a start-up interrupt tells.
    pub const NUMBER: u8 = 8;
    /// Its size.
    pub const BYTES: u32 = 0x1000;
    /// Its physical address. A processor begins there with CS = 0x800 and IP = 0.
    pub const ADDRESS: u32 = Self::NUMBER as u32 * Self::BYTES;

    /// The right to write the page.
    ///
    /// # Safety
    ///
    /// The page is memory, mapped writable at its own address, and nothing uses it but values of this
    /// type, on one processor. The program lies below 4 GiB at its own addresses, and so do its page
    /// tables.
    pub const unsafe fn new() -> Self {
        Self(())
    }

    /// From now on a processor that begins in the page goes on with `start`, in 64-bit mode with
    /// the page tables and the control registers of this processor, interrupts off, the FPU in its
    /// initial state, and flat segments whose descriptors lie in the page.
    ///
    /// Processors begin one after another: two at a time would share the stack. So whoever has one
    /// begin prepares the page right before, whatever it holds.
    pub fn prepare(&self, start: Start) {
        let (page_tables, _) = Cr3::read_raw();
        // That the mode is active follows from paging; the bit is not for writing.
        let efer = Efer::read() - EferFlags::LONG_MODE_ACTIVE;
        let page = Page {
            code: code(),
            values: Values {
                segments: SEGMENTS,
                _align: 0,
                segments_limit: SEGMENTS_LIMIT,
                segments_base: Self::ADDRESS + SEGMENTS_AT,
                protected: Far::new(&raw const hal_x86_start_protected, CODE_32),
                long: Far::new(&raw const hal_x86_start_long, CODE_64),
                page_tables: page_tables.start_address().as_u64(),
                efer: efer.bits(),
                cr0: Cr0::read_raw(),
                cr4: Cr4::read_raw(),
                stack_top: start.stack_top,
                entry: start.entry as usize as u64,
                argument: start.argument,
            },
        };
        let place = core::ptr::with_exposed_provenance_mut::<Page>(Self::ADDRESS as usize);
        // SAFETY: `new`'s caller promised that the page is there and nobody else's, and nothing keeps
        // a reference into it. The write is volatile because whoever reads it is not this program.
        unsafe { place.write_volatile(page) };
    }
}

/// Bytes that the real-mode code may have.
const CODE_BYTES: usize = 0x20;
/// Where the descriptors lie in the page: right behind it.
const SEGMENTS_AT: u32 = 0x20;
const _: () = assert!(offset_of!(Page, values) + offset_of!(Values, segments) == 0x20);

/// What the page holds.
#[repr(C)]
struct Page {
    code: [u8; CODE_BYTES],
    values: Values,
}

#[repr(C)]
struct Values {
    segments: [u64; 4],
    /// The operand of LGDT, which is packed.
    _align: u16,
    segments_limit: u16,
    segments_base: u32,
    protected: Far,
    long: Far,
    page_tables: u64,
    efer: u64,
    cr0: u64,
    cr4: u64,
    stack_top: u64,
    entry: u64,
    argument: u64,
}

/// The operand of a far jump.
#[repr(C)]
struct Far {
    offset: u32,
    selector: u16,
    _reserved: u16,
}

impl Far {
    fn new(code: *const u8, selector: u16) -> Self {
        // The program lies below 4 GiB: the promise that made the page.
        Self { offset: (code as u64 & 0xffff_ffff) as u32, selector, _reserved: 0 }
    }
}

/// Flat segments of privilege level 0: base 0, limit 4 GiB, present, accessed (Intel SDM volume 3,
/// §3.4.5).
const SEGMENTS: [u64; 4] = [
    0,
    0x00af_9b00_0000_ffff, // code, 64-bit
    0x00cf_9300_0000_ffff, // data
    0x00cf_9b00_0000_ffff, // code, 32-bit
];
const SEGMENTS_LIMIT: u16 = 4 * 8 - 1;
/// Their selectors. Those of the 64-bit segments are the ones of [`crate::descriptors`] too.
const CODE_64: u16 = 0x08;
const DATA: u16 = 0x10;
const CODE_32: u16 = 0x18;

/// The real-mode code.
fn code() -> [u8; CODE_BYTES] {
    // SAFETY: the assembly below reserves so many bytes there, which are constant.
    unsafe { (&raw const hal_x86_start_real).cast::<[u8; CODE_BYTES]>().read() }
}

unsafe extern "C" {
    static hal_x86_start_real: u8;
    static hal_x86_start_protected: u8;
    static hal_x86_start_long: u8;
}

// DS becomes CS, which is the page, and keeps that base beyond the switch to protected mode, until
// it is loaded again. The order of the switch to 64-bit mode is that of Intel SDM volume 3,
// §10.8.5; from the instruction that turns paging on it is the page tables that must let this code
// run.
global_asm!(
    ".pushsection .rodata.hal_x86_start_real, \"a\", @progbits",
    ".code16",
    "hal_x86_start_real:",
    "cli",
    "mov ax, cs",
    "mov ds, ax",
    "lgdt [{segments_operand}]",
    "mov eax, cr0",
    "or al, 1", // PE
    "mov cr0, eax",
    "jmp fword ptr [{protected}]",
    ".balign {code_bytes}, 0xf4", // hlt; more code than that would move all that follows
    ".popsection",
    ".pushsection .text.hal_x86_start, \"ax\", @progbits",
    ".code32",
    "hal_x86_start_protected:",
    "mov eax, {data}",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "xor eax, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov ebx, {page}",
    "mov eax, [ebx + {cr4}]",
    "mov cr4, eax",
    "mov eax, [ebx + {page_tables}]",
    "mov cr3, eax",
    "mov ecx, {msr_efer}",
    "mov eax, [ebx + {efer}]",
    "xor edx, edx",
    "wrmsr",
    "mov eax, [ebx + {cr0}]",
    "mov cr0, eax",
    "jmp fword ptr [ebx + {long}]",
    ".code64",
    "hal_x86_start_long:",
    "mov ebx, ebx", // its upper half was undefined until here
    "mov rsp, [rbx + {stack_top}]",
    "mov rdi, [rbx + {argument}]",
    "xor ebp, ebp",
    "cld",
    "fninit",
    "call [rbx + {entry}]",
    "ud2",
    ".popsection",
    segments_operand = const offset_of!(Page, values) + offset_of!(Values, segments_limit),
    protected = const offset_of!(Page, values) + offset_of!(Values, protected),
    code_bytes = const CODE_BYTES,
    data = const DATA,
    page = const StartPage::ADDRESS,
    msr_efer = const 0xc000_0080u32,
    cr0 = const offset_of!(Page, values) + offset_of!(Values, cr0),
    cr4 = const offset_of!(Page, values) + offset_of!(Values, cr4),
    page_tables = const offset_of!(Page, values) + offset_of!(Values, page_tables),
    efer = const offset_of!(Page, values) + offset_of!(Values, efer),
    long = const offset_of!(Page, values) + offset_of!(Values, long),
    stack_top = const offset_of!(Page, values) + offset_of!(Values, stack_top),
    argument = const offset_of!(Page, values) + offset_of!(Values, argument),
    entry = const offset_of!(Page, values) + offset_of!(Values, entry),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_mode_code_fits_and_finds_its_operands() {
        let code = code();
        assert!(code.ends_with(&[0xf4]), "it ends in padding: {code:x?}");
        // LGDT m16&24 and JMP m16:32, each with the offset of its operand in the page.
        for (instruction, operand) in [
            (&[0x0f, 0x01, 0x16][..], offset_of!(Values, segments_limit)),
            (&[0x66, 0xff, 0x2e], offset_of!(Values, protected)),
        ] {
            let operand = u16::try_from(offset_of!(Page, values) + operand).unwrap();
            let expected = [instruction, &operand.to_le_bytes()].concat();
            assert!(code.windows(5).any(|bytes| bytes == expected), "{expected:x?} in {code:x?}");
        }
    }

    #[test]
    fn operands_are_packed_as_the_processor_reads_them() {
        assert_eq!(offset_of!(Values, segments_base), offset_of!(Values, segments_limit) + 2);
        assert_eq!(offset_of!(Far, selector), 4);
        assert!(size_of::<Page>() <= StartPage::BYTES as usize);
    }
}
