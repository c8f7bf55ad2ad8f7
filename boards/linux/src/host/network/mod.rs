//! The capability to tell what the guest's network is: the kernel's.

mod interfaces;
mod routes;

use agent_core::{Interface, Network, Route};
use rustix::io::Errno;

use self::interfaces::Found;
use super::{errno::words, kernel_files::KernelFiles};

/// The kernel's network stack.
#[derive(Debug)]
pub(super) struct Stack {
    files: KernelFiles,
}

impl Stack {
    pub(super) const fn new(files: KernelFiles) -> Self {
        Self { files }
    }
}

impl Network for Stack {
    fn interfaces(
        &mut self,
        visit: &mut dyn FnMut(&Interface<'_>),
    ) -> Result<(), agent_core::Errno> {
        let found = interfaces::read().map_err(words)?;
        // What cannot be read counts nothing, as with qemu-ga.
        let counters = self.files.read("proc/net/dev").unwrap_or_default();
        for Found { name, hardware_address, addresses } in &found {
            // qemu-ga counts for interfaces with an address only.
            let counted = Some(&counters).filter(|_| !addresses.is_empty());
            let statistics = counted.and_then(|counters| interfaces::statistics(counters, name));
            visit(&Interface { name, hardware_address: *hardware_address, addresses, statistics });
        }
        Ok(())
    }

    fn routes(&mut self, visit: &mut dyn FnMut(&Route<'_>)) -> Result<(), agent_core::Errno> {
        let table = self.files.read("proc/net/route").map_err(words)?;
        // The first line has the names of the fields.
        for line in table.lines().skip(1) {
            visit(&routes::ipv4(line).map_err(words)?);
        }
        let table = match self.files.read("proc/net/ipv6_route") {
            // A kernel without IPv6.
            Err(Errno::NOENT) => return Ok(()),
            table => table.map_err(words)?,
        };
        for line in table.lines() {
            visit(&routes::ipv6(line).map_err(words)?);
        }
        Ok(())
    }
}
