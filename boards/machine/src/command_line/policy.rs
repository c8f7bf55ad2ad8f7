//! `agent.block=<name>,…` and `agent.allow=<name>,…`: which commands may be used
//!
//! The lists are those of qemu-ga's `--block-rpcs` and `--allow-rpcs`. With both qemu-ga does not
//! start; here nothing is allowed then: a list is there to keep somebody out, so what cannot be
//! meant keeps everybody out.

use agent_core::Policy;

use super::words;

/// The policy that the command line sets. What is wrong with it is in the log.
pub fn policy(line: &[u8]) -> Policy<'_> {
    let block = words::last(line, b"agent.block=");
    let allow = words::last(line, b"agent.allow=");
    match (block, allow) {
        (None, None) => Policy::AllowAll,
        (None, Some(names)) => Policy::Allow(names),
        (Some(names), None) => Policy::Block(names),
        (Some(_), Some(_)) => {
            crate::warning!("agent.block and agent.allow: nothing is allowed");
            Policy::Allow(b"")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let nothing = Policy::Allow(b"");
        for (line, expected) in [
            (&b""[..], Policy::AllowAll),
            (b"quiet agent.blocks=a agent.allow", Policy::AllowAll),
            (b"agent.block=guest-ping", Policy::Block(b"guest-ping")),
            (b"agent.block=a,b ro", Policy::Block(b"a,b")),
            (b"agent.block=a agent.block=b", Policy::Block(b"b")),
            (b"agent.block=", Policy::Block(b"")),
            (b"agent.allow=guest-ping,guest-info", Policy::Allow(b"guest-ping,guest-info")),
            (b"agent.allow=", nothing),
            (b"agent.allow=a agent.block=b", nothing),
            (b"agent.block=b agent.allow=a", nothing),
            (b"agent.block= agent.allow=a", nothing),
            (b"agent.block=guest-exec,\xFF", Policy::Block(b"guest-exec,\xFF")),
        ] {
            assert_eq!(policy(line), expected, "{}", line.escape_ascii());
        }
    }
}
