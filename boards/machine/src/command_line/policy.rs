//! `agent.block=<name>,…` and `agent.allow=<name>,…`: which commands may be used
//!
//! The lists are those of qemu-ga's `--block-rpcs` and `--allow-rpcs`. With both qemu-ga does not
//! start; here nothing is allowed then, nor with a list that is not ASCII, as all names are: a list
//! is there to keep somebody out, so one that cannot be understood keeps everybody out.

use agent_core::Policy;

use super::words;

/// The policy that the command line sets. What is wrong with it is in the log.
pub fn policy(line: &[u8]) -> Policy<'_> {
    let block = words::last(line, b"agent.block=");
    let allow = words::last(line, b"agent.allow=");
    match (block.or(allow).map(ascii), allow.is_some()) {
        (None, _) => Policy::AllowAll,
        (Some(Some(names)), true) if block.is_none() => Policy::Allow(names),
        (Some(Some(names)), false) => Policy::Block(names),
        _ => {
            crate::warning!("agent.block and agent.allow: both, or no list: nothing is allowed");
            Policy::Allow("")
        }
    }
}

/// The text that bytes are, if that is ASCII.
fn ascii(bytes: &[u8]) -> Option<&str> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8. (`str::from_utf8` is safe, and as large as the rest of this
        // folder together, which the smallest image has no room for.)
        Some(unsafe { str::from_utf8_unchecked(bytes) })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let nothing = Policy::Allow("");
        for (line, expected) in [
            (&b""[..], Policy::AllowAll),
            (b"quiet agent.blocks=a agent.allow", Policy::AllowAll),
            (b"agent.block=guest-ping", Policy::Block("guest-ping")),
            (b"agent.block=a,b ro", Policy::Block("a,b")),
            (b"agent.block=a agent.block=b", Policy::Block("b")),
            (b"agent.block=", Policy::Block("")),
            (b"agent.allow=guest-ping,guest-info", Policy::Allow("guest-ping,guest-info")),
            (b"agent.allow=", nothing),
            (b"agent.allow=a agent.block=b", nothing),
            (b"agent.block=b agent.allow=a", nothing),
            (b"agent.block= agent.allow=a", nothing),
            (b"agent.block=guest-exec,\xFF", nothing),
            (b"agent.allow=guest-exec,\xFF", nothing),
        ] {
            assert_eq!(policy(line), expected, "{}", line.escape_ascii());
        }
    }
}
