//! The whole agent: chunks make no difference, every reply is a line, and a client can always sync.
#![no_main]

#[path = "../../agent-core/tests/guest/mod.rs"]
mod guest;
#[path = "../../agent-core/tests/whole/mod.rs"]
mod whole;

use agent_core::{Agent, Buffers, Policy};
use whole::{Whole, with_whole};

/// Plays an input in chunks of these sizes, over and over, in and out.
fn play(agent: &mut Agent<'_, Whole<'_>>, mut input: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    loop {
        let chunk = input.len().min(sizes.next().unwrap());
        let taken = agent.receive(&input[..chunk]);
        input = &input[taken..];
        let pending = agent.pending();
        let sent = pending.len().min(sizes.next().unwrap());
        output.extend_from_slice(&pending[..sent]);
        agent.sent(sent);
        if input.is_empty() && agent.pending().is_empty() {
            return output;
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((sizes, input)) = data.split_at_checked(4) else { return };
    let sizes: Vec<usize> = sizes.iter().map(|&size| usize::from(size) + 1).collect();
    let policy = Policy::Block(b"guest-set-time");

    // Small, so that what does not fit is met often.
    let mut buffers: Buffers<512, 8192> = Buffers::new();
    let chunked = with_whole(|guest| {
        let mut agent = Agent::new(guest, &mut buffers).with_policy(policy);
        let chunked = play(&mut agent, input, &sizes);
        let sync = br#"{"execute":"guest-sync-delimited","arguments":{"id":4711}}"#;
        let synced = play(&mut agent, &[b"\xff", &sync[..]].concat(), &sizes);
        assert!(synced.ends_with(b"\n\xff{\"return\": 4711}\n"), "{synced:?}");
        chunked
    });

    let mut buffers: Buffers<512, 8192> = Buffers::new();
    let whole = with_whole(|guest| {
        let mut agent = Agent::new(guest, &mut buffers).with_policy(policy);
        play(&mut agent, input, &[usize::MAX])
    });
    assert_eq!(chunked, whole, "chunks make a difference");

    for line in chunked.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_prefix(b"\xff").unwrap_or(line);
        let whole = line.starts_with(b"{") && line.ends_with(b"}\n");
        assert!(whole && line.is_ascii(), "{line:?}");
    }
});
