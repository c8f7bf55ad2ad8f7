//! What the guest is called and what it runs, as its application or the kernel command line says
//!
//! [`command_line::identity`](crate::command_line::identity) puts what the host says over what the
//! image says of itself. Nobody logs in to an image, so there are no users.

use agent_core::{Errno, Identity, OsInfo, Timezone};

/// What a guest says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nameplate<'i> {
    /// Its name, as in DNS.
    pub host_name: &'i str,
    /// The system.
    pub os: OsInfo<'i>,
    /// The time zone.
    pub timezone: Timezone<'i>,
}

impl Nameplate<'static> {
    /// An image that is the agent and nothing else, called `tinyqga`. `variant_id` is the board.
    pub const fn image(variant_id: &'static str) -> Self {
        const VERSION: &str = env!("CARGO_PKG_VERSION");
        Self {
            host_name: "tinyqga",
            os: OsInfo {
                id: Some("tinyqga"),
                name: Some("tinyqga"),
                pretty_name: Some(concat!("tinyqga ", env!("CARGO_PKG_VERSION"))),
                version: Some(VERSION),
                version_id: Some(VERSION),
                variant: None,
                variant_id: Some(variant_id),
                kernel_release: Some(VERSION),
                kernel_version: None,
                machine: Some("x86_64"),
            },
            timezone: Timezone::UTC,
        }
    }
}

impl Identity for Nameplate<'_> {
    fn host_name(&mut self) -> Result<&str, Errno> {
        Ok(self.host_name)
    }

    fn os_info(&mut self) -> Result<OsInfo<'_>, Errno> {
        // oVirt's vdsm reads the release where there is an id, and gives up where it is not there.
        let id = self.os.kernel_release.and(self.os.id);
        Ok(OsInfo { id, ..self.os })
    }

    fn timezone(&mut self) -> Timezone<'_> {
        self.timezone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_comes_without_a_kernel_release() {
        for (kernel_release, id) in [(Some("6.1"), Some("tinyqga")), (None, None)] {
            let mut nameplate = Nameplate::image("pc");
            nameplate.os.kernel_release = kernel_release;
            let os = nameplate.os_info().unwrap();
            assert_eq!((os.kernel_release, os.id), (kernel_release, id));
            assert_eq!(os.name, Some("tinyqga"));
        }
    }
}
