//! The request reader: what it keeps of a message is well-formed and echoes as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    agent_core::fuzzing::request(input, |json| {
        let json = core::str::from_utf8(json).expect("a reply is ASCII");
        let deep = json.bytes().filter(|byte| b"[{".contains(byte)).count() > 100;
        // serde_json refuses deep nesting, and numbers that qemu-ga writes as `inf`.
        if !deep && !json.contains("inf") {
            serde_json::from_str::<serde_json::Value>(json).expect("an echoed value is JSON");
        }
    });
});
