//! Policy: which of the commands that a board offers may be used.

/// A list of commands that are allowed, or of commands that are not, as qemu-ga's `--allow-rpcs`
/// and `--block-rpcs` take it: names with commas between them.
///
/// A command that is not allowed is still listed by `guest-info`, with `enabled` false, and
/// answers that it has been disabled. Names that no command has are of no effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy<'p> {
    /// Everything is allowed.
    #[default]
    AllowAll,
    /// Only these are allowed.
    Allow(&'p [u8]),
    /// All but these are allowed.
    Block(&'p [u8]),
}

impl Policy<'_> {
    /// Whether a command may be used.
    pub fn allows(&self, command: &str) -> bool {
        let lists =
            |list: &[u8]| list.split(|&byte| byte == b',').any(|name| name == command.as_bytes());
        match self {
            Self::AllowAll => true,
            Self::Allow(list) => lists(list),
            Self::Block(list) => !lists(list),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let check = |policy: Policy<'_>, command, expected| {
            assert_eq!(policy.allows(command), expected, "{policy:?} {command}");
        };
        check(Policy::AllowAll, "guest-ping", true);
        check(Policy::Block(b"guest-ping,guest-info"), "guest-info", false);
        check(Policy::Block(b"guest-ping,guest-info"), "guest-sync", true);
        check(Policy::Block(b"guest-ping-not,guest"), "guest-ping", true);
        check(Policy::Block(b""), "guest-ping", true);
        check(Policy::Allow(b"guest-ping"), "guest-ping", true);
        check(Policy::Allow(b"guest-ping"), "guest-info", false);
    }
}
