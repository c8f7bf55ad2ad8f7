//! The functions that the compiler calls by name
//!
//! `core` and compiled code expect `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp` with C's
//! meaning from whoever links a program. They are written in assembly because the compiler may turn
//! a loop that copies into a call of `memcpy`: in Rust, `memcpy` could become a call of itself. The
//! string instructions move eight bytes at a time, which suits interpreters as well as CPUs; the
//! direction flag is clear on entry and on return (System V ABI for x86-64, 3.2.1).

use core::arch::naked_asm;

/// Copies `len` bytes from `source` to `destination`, which do not overlap; returns `destination`.
///
/// # Safety
///
/// Both are valid for that long, the first for writing.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(destination: *mut u8, source: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep movsq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep movsb",
        "ret",
    )
}

/// Copies `len` bytes from `source` to `destination`, which may overlap; returns `destination`.
///
/// # Safety
///
/// Both are valid for that long, the first for writing.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(destination: *mut u8, source: *const u8, len: usize) -> *mut u8 {
    naked_asm!(
        // Upwards spoils the source only where destination lies inside it: 0 <= destination -
        // source < len.
        "mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx",
        "jae {memcpy}",
        // Downwards from the last byte.
        "mov rax, rdi",
        "mov rcx, rdx",
        "lea rdi, [rdi + rdx - 1]",
        "lea rsi, [rsi + rdx - 1]",
        "std",
        "rep movsb",
        "cld",
        "ret",
        memcpy = sym memcpy,
    )
}

/// Fills `len` bytes from `destination` on with the low byte of `value`; returns `destination`.
///
/// # Safety
///
/// They are valid for writing.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(destination: *mut u8, value: i32, len: usize) -> *mut u8 {
    naked_asm!(
        "mov r8, rdi",
        "movzx eax, sil",
        "mov rcx, 0x0101010101010101",
        "imul rax, rcx",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "mov ecx, edx",
        "and ecx, 7",
        "rep stosb",
        "mov rax, r8",
        "ret",
    )
}

/// Compares `len` bytes: negative, zero or positive as `left` is before, the same as, or after
/// `right`.
///
/// # Safety
///
/// Both are valid for reading that long.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    naked_asm!(
        "xor ecx, ecx",
        "2: cmp rcx, rdx",
        "je 3f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "je 2b",
        "ret",
        "3: xor eax, eax",
        "ret",
    )
}

/// Compares `len` bytes: zero if and only if they are the same.
///
/// # Safety
///
/// Both are valid for reading that long.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
    naked_asm!("jmp {memcmp}", memcmp = sym memcmp)
}
