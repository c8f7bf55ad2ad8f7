//! Plays bytes at an agent as a channel would.

use agent_core::{Agent, Board};

/// Gives all of `input` to the agent and takes all that it answers, in pieces of `sizes` bytes at
/// most: in turns one in, one out.
pub(crate) fn play<B: Board>(
    agent: &mut Agent<'_, B>,
    mut input: &[u8],
    mut sizes: impl Iterator<Item = usize>,
) -> Vec<u8> {
    let mut next = || sizes.next().expect("endless sizes");
    let mut output = Vec::new();
    loop {
        let taken = agent.receive(&input[..input.len().min(next())]);
        input = &input[taken..];
        let pending = agent.pending();
        let sent = pending.len().min(next());
        output.extend_from_slice(&pending[..sent]);
        agent.sent(sent);
        if input.is_empty() && agent.pending().is_empty() {
            return output;
        }
    }
}
