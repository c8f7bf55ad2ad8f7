//! Suspending to memory: the capability, and the machine's part

use agent_core::{Suspend, SuspendError, SuspendMode};
use hal_x86::suspend::{StillAwake, Suspension};

use crate::machine::{Machine, reset};
use crate::serve::Platform as _;

/// A suspend to memory, noted until the main loop carries it out.
#[derive(Debug, Default)]
pub struct SuspendToRam {
    is_requested: bool,
}

impl SuspendToRam {
    /// Whether it was asked for since this was asked last.
    pub const fn take(&mut self) -> bool {
        core::mem::replace(&mut self.is_requested, false)
    }
}

impl Suspend for SuspendToRam {
    fn supports(&mut self, mode: SuspendMode) -> bool {
        mode == SuspendMode::Ram
    }

    fn suspend(&mut self, mode: SuspendMode) -> Result<(), SuspendError> {
        if !self.supports(mode) {
            return Err(SuspendError::Unsupported);
        }
        self.is_requested = true;
        Ok(())
    }
}

impl Machine<'_> {
    /// Suspends the machine by `suspension`, and returns when it has been woken, with the
    /// interrupts as they were. Every other device has been reset then, and all other processors
    /// wait to be started. The [uptime](crate::Platform::uptime_ms) goes on where it was.
    ///
    /// # Errors
    ///
    /// It did not fall asleep.
    pub fn suspend_by(&self, suspension: &Suspension) -> Result<(), StillAwake> {
        let Some(interrupts) = self.interrupts().save() else {
            crate::error!("too many interrupts to keep");
            return Err(StillAwake);
        };
        let uptime_ms = self.uptime_ms();
        // SAFETY: interrupts are off but while the machine idles, and starting it has loaded the
        // descriptors.
        unsafe { suspension.sleep() }?;
        self.set_uptime(uptime_ms);
        if let Err(failure) = self.interrupts().restore(self.ports(), &interrupts) {
            crate::error!("interrupts: {}", failure);
            // Nothing would ever wake the CPU.
            reset()
        }
        // Firmware starts them to set them up, and may leave them anywhere: SeaBIOS does not wait
        // for all of them, and then they run what is no code.
        if let Err(failure) = self.interrupts().inter_processor().init_others() {
            crate::error!("the other processors: {}", failure);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_suspend_to_memory_is_noted_and_only_once() {
        let mut suspend = SuspendToRam::default();
        for (mode, expected) in
            [(SuspendMode::Disk, false), (SuspendMode::Ram, true), (SuspendMode::Hybrid, false)]
        {
            assert_eq!(suspend.supports(mode), expected, "{mode:?}");
            assert_eq!(suspend.suspend(mode).is_ok(), expected, "{mode:?}");
            assert_eq!(suspend.take(), expected, "{mode:?}");
            assert!(!suspend.take());
        }
    }
}
