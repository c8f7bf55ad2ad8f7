//! What a PC can do for the agent

use agent_core::{Board, Clock, Identity, Power, ShutdownMode};
use machine::{Guest, Nameplate, Served};

use crate::drivers::Drivers;

/// The guest's capabilities, also of an image that has more of them.
#[derive(Debug)]
pub struct Pc<'m> {
    guest: Guest,
    nameplate: Nameplate<'m>,
    drivers: Drivers,
}

impl<'m> Pc<'m> {
    /// A guest that calls itself what `nameplate` says, with the devices of `drivers`.
    pub const fn new(guest: Guest, nameplate: Nameplate<'m>, drivers: Drivers) -> Self {
        Self { guest, nameplate, drivers }
    }
}

impl Board for Pc<'_> {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        self.guest.clock()
    }

    fn devices(&mut self) -> Option<&mut dyn agent_core::Devices> {
        Some(&mut self.drivers)
    }

    fn identity(&mut self) -> Option<&mut dyn Identity> {
        Some(&mut self.nameplate)
    }

    fn power(&mut self) -> Option<&mut dyn Power> {
        self.guest.power()
    }
}

impl Served for Pc<'_> {
    fn requested_shutdown(&self) -> Option<ShutdownMode> {
        self.guest.requested_shutdown()
    }
}
