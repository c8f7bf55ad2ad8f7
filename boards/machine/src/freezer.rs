//! Freezing where there is an application: its hooks, and the watchdog
//!
//! A file system knows how to be complete on its disk and to take no more writes. What it cannot
//! know is when the *files* are complete: that is what an application's hooks are for. [`Freezer`]
//! puts them around any [`Filesystems`], and tells the [`Watchdog`] of each freeze.

use agent_core::{Filesystem, Filesystems, FreezeError, Trim};

use crate::watchdog::Watchdog;

/// What an application does about a freeze.
pub trait FreezeHooks {
    /// Makes files what they should be in a backup, before they are frozen. Until
    /// [`after_thaw`](Self::after_thaw) nothing can be written.
    ///
    /// # Errors
    ///
    /// They cannot be made so now: then nothing is frozen, and the host is told. `after_thaw` is
    /// not called.
    fn before_freeze(&mut self) -> Result<(), Unready>;

    /// Goes on: files can be written again.
    fn after_thaw(&mut self);
}

/// An application's files are not ready to be frozen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unready;

/// No application, or one that does not mind.
impl FreezeHooks for () {
    fn before_freeze(&mut self) -> Result<(), Unready> {
        Ok(())
    }

    fn after_thaw(&mut self) {}
}

/// File systems with an application's hooks and a watchdog.
#[derive(Debug)]
pub struct Freezer<F, H = ()> {
    filesystems: F,
    hooks: H,
    watchdog: Watchdog,
}

impl<F: Filesystems, H: FreezeHooks> Freezer<F, H> {
    /// Puts the hooks around `filesystems`, of which none is frozen.
    pub const fn new(filesystems: F, hooks: H, watchdog: Watchdog) -> Self {
        Self { filesystems, hooks, watchdog }
    }

    /// The file systems.
    pub const fn filesystems_mut(&mut self) -> &mut F {
        &mut self.filesystems
    }

    /// The watchdog, to be looked after.
    pub const fn watchdog_mut(&mut self) -> &mut Watchdog {
        &mut self.watchdog
    }
}

impl<F: Filesystems, H: FreezeHooks> Filesystems for Freezer<F, H> {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        self.filesystems.list(visit);
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        // More of them may be frozen while some are; the application has heard of that.
        let begins = !self.watchdog.is_roused();
        if begins {
            self.hooks.before_freeze().map_err(|Unready| FreezeError::Hook)?;
        }
        let outcome = self.filesystems.freeze(selected);
        match outcome {
            Ok(1..) => self.watchdog.rouse(),
            Ok(0) if begins => self.hooks.after_thaw(),
            Ok(0) => {}
            Err(_) => {
                // All are thawed then.
                self.watchdog.calm();
                self.hooks.after_thaw();
            }
        }
        outcome
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        let thawed = self.filesystems.thaw()?;
        if self.watchdog.is_roused() {
            self.watchdog.calm();
            self.hooks.after_thaw();
        }
        Ok(thawed)
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        self.filesystems.trim(minimum, visit);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use core::cell::RefCell;
    use std::rc::Rc;

    use agent_core::Errno;

    use super::*;

    /// What was called, in order.
    pub(crate) type Calls = Rc<RefCell<Vec<&'static str>>>;

    /// A file system at `/`, and an application, that note what is asked of them and may refuse.
    #[derive(Clone, Default)]
    pub(crate) struct Noting {
        pub(crate) calls: Calls,
        pub(crate) refuses: Rc<RefCell<Option<&'static str>>>,
    }

    impl Noting {
        fn note(&self, call: &'static str) -> bool {
            self.calls.borrow_mut().push(call);
            *self.refuses.borrow() == Some(call)
        }
    }

    impl Filesystems for Noting {
        fn list(&mut self, _: &mut dyn FnMut(&Filesystem<'_>)) {}

        fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
            if self.note("freeze") {
                return Err(FreezeError::Disk { mountpoint: "/", errno: Errno::IO });
            }
            Ok(selected(b"/").into())
        }

        fn thaw(&mut self) -> Result<u32, FreezeError> {
            if self.note("thaw") {
                return Err(FreezeError::Disk { mountpoint: "/", errno: Errno::IO });
            }
            Ok(1)
        }

        fn trim(&mut self, _: u64, _: &mut dyn FnMut(&Trim<'_>)) {}
    }

    impl FreezeHooks for Noting {
        fn before_freeze(&mut self) -> Result<(), Unready> {
            if self.note("before") { Err(Unready) } else { Ok(()) }
        }

        fn after_thaw(&mut self) {
            self.note("after");
        }
    }

    const DISK: FreezeError = FreezeError::Disk { mountpoint: "/", errno: Errno::IO };

    #[test]
    fn hooks_run_around_every_freeze_and_only_around_one() {
        for (refuses, mountpoint, frozen, thawed, calls) in [
            (None, "/", Ok(1), Ok(1), &["before", "freeze", "thaw", "after"][..]),
            (None, "/srv", Ok(0), Ok(1), &["before", "freeze", "after", "thaw"]),
            (Some("before"), "/", Err(FreezeError::Hook), Ok(1), &["before", "thaw"]),
            (Some("freeze"), "/", Err(DISK), Ok(1), &["before", "freeze", "after", "thaw"]),
            (Some("thaw"), "/", Ok(1), Err(DISK), &["before", "freeze", "thaw"]),
        ] {
            let noting = Noting::default();
            *noting.refuses.borrow_mut() = refuses;
            let mut freezer = Freezer::new(noting.clone(), noting.clone(), Watchdog::default());
            let is_selected = &mut |path: &[u8]| path == mountpoint.as_bytes();
            assert_eq!(freezer.freeze(is_selected), frozen, "{calls:?}");
            assert_eq!(freezer.watchdog_mut().is_roused(), frozen == Ok(1), "{calls:?}");
            assert_eq!(freezer.thaw(), thawed, "{calls:?}");
            assert_eq!(freezer.watchdog_mut().is_roused(), thawed.is_err(), "{calls:?}");
            assert_eq!(*noting.calls.borrow(), calls);
        }
    }

    #[test]
    fn a_second_freeze_is_no_news_to_the_application() {
        let noting = Noting::default();
        let mut freezer = Freezer::new(noting.clone(), noting.clone(), Watchdog::default());
        assert_eq!(freezer.freeze(&mut |_| true), Ok(1));
        assert_eq!(freezer.freeze(&mut |_| false), Ok(0));
        assert!(freezer.watchdog_mut().is_roused());
        assert_eq!(freezer.thaw(), Ok(1));
        assert_eq!(*noting.calls.borrow(), ["before", "freeze", "freeze", "thaw", "after"]);
    }
}
