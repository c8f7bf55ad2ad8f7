//! The lock on the tables of users, which shadow-utils and `lckpwdf(3)` take too.

use core::time::Duration;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::fs::{FlockOperation, Mode, OFlags, fcntl_lock, openat};
use rustix::io::Errno;

/// How often the lock is tried to be had, and the pause in between: a second in all, in which
/// nothing else is answered. Who changes a table is done much sooner.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: OwnedFd,
}

impl Lock {
    /// Takes the lock of the tables in the folder `etc`.
    ///
    /// # Errors
    ///
    /// [`Errno::AGAIN`] where another process does not let go of it.
    pub(super) fn take(etc: impl AsFd) -> Result<Self, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(etc, ".pwd.lock", flags, Mode::RUSR | Mode::WUSR)?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                thread::sleep(PAUSE);
            }
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _file: file }),
                // POSIX lets fcntl(F_SETLK) say either.
                Err(Errno::ACCESS | Errno::AGAIN) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Errno::AGAIN)
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::{self, File};
    use std::io::{self, BufRead as _, BufReader, Read as _};
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::*;

    /// Tells this test, run in another process, the folder whose lock to hold.
    const HOLD: &str = "TINYQGA_TEST_HOLD";

    /// A lock of fcntl(2) belongs to a process, so another one has to hold it: this test once more.
    #[test]
    fn a_lock_that_another_process_holds_is_not_waited_for() {
        if let Some(etc) = env::var_os(HOLD) {
            let _lock = Lock::take(File::open(etc).unwrap()).unwrap();
            println!("held");
            io::stdin().read_to_end(&mut Vec::new()).unwrap();
            return;
        }
        let etc = TempDir::new().unwrap();
        let folder = File::open(etc.path()).unwrap();
        let mut holder = Command::new(env::current_exe().unwrap())
            .args([thread::current().name().unwrap(), "--exact", "--nocapture"])
            .env(HOLD, etc.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("held")), "the lock is not held");
        assert_eq!(Lock::take(&folder).unwrap_err(), Errno::AGAIN);
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        drop(Lock::take(&folder).unwrap());
        assert!(Lock::take(&folder).is_ok());
        assert_eq!(fs::read_dir(etc.path()).unwrap().count(), 1);
    }
}
