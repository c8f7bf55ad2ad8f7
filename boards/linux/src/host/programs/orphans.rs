//! What is left to process 1, or to a subreaper (prctl(2)): the children of those that have ended
//! before them.
//!
//! They keep their numbers until somebody waits for them, and in the end there would be none left
//! to start anything.

use rustix::process::{WaitOptions, child_subreaper, getpid, wait};

use super::Processes;

/// How many are dealt with before the main loop serves its channel again.
const AT_ONCE: usize = 64;

/// Waits for the children that have ended, if those of others are left to this process. Returns
/// whether there may be more of them.
pub(crate) fn reap(mut programs: Option<&mut Processes>) -> bool {
    let is_subreaper = child_subreaper().is_ok_and(|told| told.is_some());
    if !getpid().is_init() && !is_subreaper {
        return false;
    }
    for _ in 0..AT_ONCE {
        let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) else { return false };
        // One of them may be a program that was started here.
        if let Some(programs) = &mut programs {
            programs.end(pid, status);
        }
    }
    true
}
