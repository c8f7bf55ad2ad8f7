//! The programs of the demonstration: functions that write

use agent_core::{Invocation, Output, Stream};

/// Writes its arguments, with spaces between them and, unless the first is `-n`, a line feed.
pub(super) fn echo(program: &mut Invocation<'_, '_>, output: &mut Output<'_>) -> i64 {
    let mut arguments = program.arguments.peekable();
    let ends_line = arguments.next_if_eq(b"-n").is_none();
    for (number, argument) in arguments.enumerate() {
        if number > 0 {
            output.write(Stream::Output, b" ");
        }
        output.write(Stream::Output, argument);
    }
    if ends_line {
        output.write(Stream::Output, b"\n");
    }
    0
}

/// Writes to both streams in turns, as the script in QEMU's own test of `capture-output` does.
pub(super) fn streams(_: &mut Invocation<'_, '_>, output: &mut Output<'_>) -> i64 {
    for _ in 0..2 {
        output.write(Stream::Output, b"stdout\n");
        output.write(Stream::Error, b"stderr\n");
    }
    0
}
