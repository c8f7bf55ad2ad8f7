//! What the kernel command line says to the agent
//!
//! ```text
//! words          the line, taken apart as Linux does it
//!   channel      agent.channel: where the agent listens
//!   freeze       agent.freeze_timeout: how long a freeze may last
//!   identity     agent.host_name, agent.os.*, agent.timezone: what the guest is called
//!   policy       agent.block, agent.allow: which commands may be used
//!   virtio_mmio  virtio_mmio.device: devices that nothing else tells of
//! ```
//!
//! Words that the agent does not know are left to others; of several with one key the last one
//! counts, but for `virtio_mmio.device`. A value with white space stands in double quotes.

mod channel;
mod freeze;
mod identity;
mod policy;
mod virtio_mmio;
mod words;

pub use channel::{Choice, channel};
pub use freeze::freeze_timeout_ms;
pub use identity::identity;
pub use policy::policy;
pub use virtio_mmio::virtio_mmio;

#[cfg(test)]
mod tests {
    use crate::identity::Nameplate;

    use super::*;

    /// The host writes the line, whatever it may be.
    #[test]
    fn no_line_is_too_strange() {
        const PARTS: [&[u8]; 24] = [
            b"agent.",
            b"channel=",
            b"freeze_timeout=",
            b"host_name=",
            b"os.id=",
            b"timezone=",
            b"block=",
            b"allow=",
            b"virtio_mmio.device=",
            b"\"",
            b" ",
            b"=",
            b"+",
            b"-",
            b":",
            b"@",
            b"0x",
            b"1",
            b"99999999999999999999",
            b"K",
            b".",
            b"\xC3\xA9",
            b"\xC3",
            b"\0",
        ];
        // Numerical Recipes' generator: the same lines each time.
        let mut state = 5_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 16).unwrap()
        };
        let image = Nameplate::image("pc");
        for _ in 0..20_000 {
            let parts = (0..random() % 24).map(|_| PARTS[random() % PARTS.len()]);
            let line = parts.collect::<Vec<_>>().concat();
            let _ = channel(&line);
            let _ = freeze_timeout_ms(&line);
            let _ = policy(&line);
            let _ = virtio_mmio(&line).count();
            let nameplate = identity(&line, image);
            assert!(!nameplate.host_name.is_empty(), "{}", line.escape_ascii());
            assert!(nameplate.timezone.offset_s.abs() < 86_400, "{}", line.escape_ascii());
        }
    }
}
