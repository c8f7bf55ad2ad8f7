//! What an application adds to what an appliance can do for the agent

use agent_core::{AuthorizedKeys, Passwords, Programs, Vendor};
use machine::Nameplate;

use crate::board::Appliance;

/// The application that an appliance is built for: nothing, unless it overrides something.
pub(crate) trait Application: Sized {
    /// Who may log in to it by SSH.
    fn authorized_keys(&mut self) -> Option<&mut dyn AuthorizedKeys> {
        None
    }

    /// What it says that the guest is; the kernel command line may say otherwise.
    fn nameplate(&self) -> Nameplate<'static> {
        Nameplate::image("appliance")
    }

    /// The passwords of its users.
    fn passwords(&mut self) -> Option<&mut dyn Passwords> {
        None
    }

    /// What of it the host may run.
    fn programs(&mut self) -> Option<&mut dyn Programs> {
        None
    }

    /// Commands of its own.
    fn vendor_commands<'m>(&self) -> &[Vendor<Appliance<'m, Self>>] {
        &[]
    }
}

/// No application.
impl Application for () {}
