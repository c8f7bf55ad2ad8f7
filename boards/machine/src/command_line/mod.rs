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

pub use channel::{Choice, NoSuchChannel, channel};
pub use freeze::{NoSuchTime, freeze_timeout_ms};
pub use identity::identity;
pub use policy::policy;
pub use virtio_mmio::virtio_mmio;
