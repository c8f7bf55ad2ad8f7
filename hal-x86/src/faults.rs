//! Processor exceptions, handed to the board as a [`Fault`].
//!
//! None is expected: a fault is a bug or a broken machine. The board's handler logs it and resets,
//! so that a guest never hangs. The handler is given to [`crate::descriptors::install`], runs on a
//! stack of its own, and must not return; a fault inside it resets at once.

use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use x86_64::registers::control::Cr2;

use crate::descriptors::triple_fault;

/// What the processor says of an exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fault {
    /// 0 to 31.
    pub vector: u8,
    /// The error code, 0 for exceptions that have none.
    pub error_code: u64,
    /// Address of the instruction (for traps, of the next one).
    pub rip: u64,
    /// Stack pointer then.
    pub rsp: u64,
    /// Flags then.
    pub rflags: u64,
    /// The address that a page fault is about; what is left of an earlier one otherwise.
    pub cr2: u64,
}

impl Fault {
    /// The manual's abbreviation, for instance `#GP`.
    pub const fn mnemonic(&self) -> &'static str {
        match self.vector {
            0 => "#DE",
            1 => "#DB",
            2 => "NMI",
            3 => "#BP",
            4 => "#OF",
            5 => "#BR",
            6 => "#UD",
            7 => "#NM",
            8 => "#DF",
            10 => "#TS",
            11 => "#NP",
            12 => "#SS",
            13 => "#GP",
            14 => "#PF",
            16 => "#MF",
            17 => "#AC",
            18 => "#MC",
            19 => "#XF",
            21 => "#CP",
            28 => "#HV",
            29 => "#VC",
            30 => "#SX",
            _ => "reserved",
        }
    }
}

/// What the stub of a vector leaves on the stack, from the stack pointer upwards.
#[repr(C)]
struct Frame {
    vector: u64,
    error_code: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The board's handler, a `fn(&Fault) -> !`, or null.
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static FAULTED: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_handler(handler: fn(&Fault) -> !) {
    HANDLER.store(handler as *mut (), Ordering::Relaxed);
}

/// Address of the code that the gate of an exception leads to.
pub(crate) fn stub(vector: u8) -> u64 {
    (&raw const hal_x86_fault_stubs) as u64 + u64::from(vector) * STUB_BYTES
}

/// Distance of the stubs: two pushes and a jump, of 2, 2 and up to 5 bytes.
const STUB_BYTES: u64 = 16;

unsafe extern "C" {
    /// The first of 32 stubs.
    static hal_x86_fault_stubs: u8;
}

// A stub makes the frames of all exceptions alike: it pushes 0 where the processor has pushed no
// error code (the mask has a bit for each vector that has one: 8, 10 to 14, 17, 21, 29 and 30), and
// the vector. The entry calls Rust on an aligned stack and does not come back.
global_asm!(
    ".pushsection .text.hal_x86_fault_stubs, \"ax\", @progbits",
    ".balign {size}",
    "hal_x86_fault_stubs:",
    ".set .Lhal_x86_vector, 0",
    ".rept 32",
    ".balign {size}",
    ".if ((0x60227d00 >> .Lhal_x86_vector) & 1) == 0",
    ".byte 0x6a, 0", // push 0
    ".endif",
    ".byte 0x6a, .Lhal_x86_vector", // push vector
    "jmp .Lhal_x86_fault",
    ".set .Lhal_x86_vector, .Lhal_x86_vector + 1",
    ".endr",
    ".Lhal_x86_fault:",
    "cld",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {entry}",
    "ud2",
    ".popsection",
    size = const STUB_BYTES,
    entry = sym entry,
);

extern "C" fn entry(frame: &Frame) -> ! {
    let handler = HANDLER.load(Ordering::Relaxed);
    if handler.is_null() || FAULTED.swap(true, Ordering::Relaxed) {
        triple_fault()
    }
    let fault = Fault {
        vector: u8::try_from(frame.vector).unwrap_or(u8::MAX),
        error_code: frame.error_code,
        rip: frame.rip,
        rsp: frame.rsp,
        rflags: frame.rflags,
        cr2: Cr2::read_raw(),
    };
    // SAFETY: `HANDLER` is only written by `set_handler`, with a function of this type.
    let handler = unsafe { core::mem::transmute::<*mut (), fn(&Fault) -> !>(handler) };
    handler(&fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vector_has_its_stub() {
        for vector in 0..32u8 {
            let stub =
                core::ptr::with_exposed_provenance::<u8>(usize::try_from(stub(vector)).unwrap());
            // SAFETY: the stubs are code of this program, 16 bytes each.
            let code = unsafe { core::slice::from_raw_parts(stub, 4) };
            let has_error_code = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(&vector);
            let expected: &[u8] =
                if has_error_code { &[0x6a, vector] } else { &[0x6a, 0, 0x6a, vector] };
            assert!(code.starts_with(expected), "{vector}: {code:x?}");
        }
    }
}
