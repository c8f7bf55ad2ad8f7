//! Suspending the machine: noted when it is asked for, carried out by the main loop.
//!
//! Linux, Documentation/admin-guide/pm/sleep-states.rst: the kernel sleeps in the write to
//! `/sys/power/state` and returns from it when it is woken up.

use std::time::Instant;

use agent_core::{Suspend, SuspendError, SuspendMode};
use rustix::io::Errno;

use super::kernel_files::KernelFiles;
use crate::log::Log;

/// What the kernel can do, in words with blanks between them; it does what is written.
const STATE: &str = "sys/power/state";
/// What it does when the memory is on the disk; the word in brackets is chosen.
const AFTER_DISK: &str = "sys/power/disk";
/// There: sleep in memory.
const IN_MEMORY: &str = "suspend";

/// The sleep that was asked for, if any.
#[derive(Debug)]
pub(crate) struct Sleep {
    log: Log,
    dry_run: bool,
    files: KernelFiles,
    noted: Option<(SuspendMode, Instant)>,
}

impl Sleep {
    pub(super) const fn new(log: Log, dry_run: bool, files: KernelFiles) -> Self {
        Self { log, dry_run, files, noted: None }
    }

    /// What was asked for last, and when this began.
    pub(crate) fn noted(&self) -> Option<(SuspendMode, Instant)> {
        self.noted
    }

    /// Does what was asked for, and returns when the machine is awake again.
    pub(super) fn carry_out(&mut self) {
        let Some((mode, _)) = self.noted.take() else { return };
        if self.dry_run {
            self.log.note(format_args!("dry run: not suspended ({mode:?})"));
            return;
        }
        self.log.detail(format_args!("suspending ({mode:?})"));
        match self.sleep(mode) {
            Ok(()) => self.log.detail(format_args!("awake again")),
            Err(error) => self.log.note(format_args!("cannot suspend: {error}")),
        }
    }

    fn sleep(&self, mode: SuspendMode) -> Result<(), Errno> {
        match mode {
            SuspendMode::Disk => self.files.set(STATE, "disk"),
            SuspendMode::Ram => self.files.set(STATE, "mem"),
            SuspendMode::Hybrid => {
                let usual = self.files.value(AFTER_DISK)?;
                self.files.set(AFTER_DISK, IN_MEMORY)?;
                let slept = self.files.set(STATE, "disk");
                // The choice is the administrator's, and not for ever.
                if let Some(usual) = chosen(&usual) {
                    self.files.set(AFTER_DISK, usual)?;
                }
                slept
            }
        }
    }

    /// Whether the kernel can do it.
    fn is_possible(&self, mode: SuspendMode) -> bool {
        let offers = |file, word| {
            // A file that is not there offers nothing.
            let words = self.files.value(file).unwrap_or_default();
            words.split(' ').any(|offered| offered.trim_matches(['[', ']']) == word)
        };
        match mode {
            SuspendMode::Disk => offers(STATE, "disk"),
            SuspendMode::Ram => offers(STATE, "mem"),
            SuspendMode::Hybrid => offers(STATE, "disk") && offers(AFTER_DISK, IN_MEMORY),
        }
    }
}

impl Suspend for Sleep {
    /// As with qemu-ga there are always all of them: what a kernel can do may change, for instance
    /// when swap space is found.
    fn supports(&mut self, _: SuspendMode) -> bool {
        true
    }

    fn suspend(&mut self, mode: SuspendMode) -> Result<(), SuspendError> {
        if !self.is_possible(mode) {
            return Err(SuspendError::Unsupported);
        }
        // A host that repeats itself does not get more time to take the replies.
        let since = self.noted.map_or_else(Instant::now, |(_, since)| since);
        self.noted = Some((mode, since));
        Ok(())
    }
}

/// The word in brackets.
fn chosen(words: &str) -> Option<&str> {
    Some(words.split_once('[')?.1.split_once(']')?.0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Never the files of this machine here.
    fn tree(state: &str, after_disk: &str) -> TempDir {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("sys/power")).unwrap();
        fs::write(root.path().join(STATE), state).unwrap();
        fs::write(root.path().join(AFTER_DISK), after_disk).unwrap();
        root
    }

    fn sleep(root: &TempDir, dry_run: bool) -> Sleep {
        Sleep::new(Log::default(), dry_run, KernelFiles::under(root.path()))
    }

    #[test]
    fn what_the_kernel_can_do() {
        use SuspendMode::{Disk, Hybrid, Ram};
        for (state, after_disk, expected) in [
            (
                "freeze standby mem disk\n",
                "[platform] shutdown suspend\n",
                &[Disk, Hybrid, Ram][..],
            ),
            ("mem disk\n", "[platform] shutdown\n", &[Disk, Ram]),
            ("disk\n", "shutdown [suspend]\n", &[Disk, Hybrid]),
            ("freeze mem\n", "[disabled]\n", &[Ram]),
            ("memory disks\n", "suspend\n", &[]),
            ("\n", "suspend\n", &[]),
        ] {
            let root = tree(state, after_disk);
            for mode in [Disk, Hybrid, Ram] {
                let mut sleep = sleep(&root, true);
                let possible = expected.contains(&mode);
                assert_eq!(sleep.suspend(mode).is_ok(), possible, "{mode:?} {state} {after_disk}");
                assert_eq!(sleep.noted().is_some(), possible);
                assert!(sleep.supports(mode));
            }
        }
        let none = TempDir::new().unwrap();
        assert_eq!(sleep(&none, false).suspend(Ram), Err(SuspendError::Unsupported));
    }

    #[test]
    fn a_sleep_is_noted_and_then_carried_out_once() {
        let root = tree("mem disk\n", "[platform] suspend\n");
        let mut sleep = sleep(&root, false);
        assert_eq!(sleep.suspend(SuspendMode::Disk), Ok(()));
        let (_, since) = sleep.noted().unwrap();
        assert_eq!(sleep.suspend(SuspendMode::Ram), Ok(()));
        assert_eq!(sleep.noted(), Some((SuspendMode::Ram, since)));
        assert_eq!(fs::read(root.path().join(STATE)).unwrap(), b"mem disk\n");
        sleep.carry_out();
        assert!(sleep.noted().is_none());
        assert_eq!(fs::read(root.path().join(STATE)).unwrap(), b"mem");
    }

    #[test]
    fn a_hybrid_sleep_leaves_the_choice_as_it_was() {
        let root = tree("mem disk\n", "[platform] suspend\n");
        let mut sleep = sleep(&root, false);
        assert_eq!(sleep.suspend(SuspendMode::Hybrid), Ok(()));
        sleep.carry_out();
        assert_eq!(fs::read(root.path().join(STATE)).unwrap(), b"disk");
        assert_eq!(fs::read(root.path().join(AFTER_DISK)).unwrap(), b"platform");
    }

    #[test]
    fn a_dry_run_stays_awake() {
        let root = tree("mem disk\n", "[platform] suspend\n");
        let mut sleep = sleep(&root, true);
        assert_eq!(sleep.suspend(SuspendMode::Ram), Ok(()));
        sleep.carry_out();
        assert!(sleep.noted().is_none());
        assert_eq!(fs::read(root.path().join(STATE)).unwrap(), b"mem disk\n");
    }
}
