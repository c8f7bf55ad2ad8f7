//! The lexer alone: it ends on every input, and its fast path says what its slow path says.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| agent_core::fuzzing::lexer(input));
