//! The capability to list processors and to take them off and on line: sysfs.

use agent_core::{Processor, ProcessorError, Processors};
use rustix::io::Errno;

use super::{errno::words, kernel_files::KernelFiles};
use crate::log::Log;

/// Where there is a directory for each processor.
const DIRECTORY: &str = "sys/devices/system/cpu";

/// The processors that the kernel knows.
#[derive(Debug)]
pub(super) struct LogicalProcessors {
    log: Log,
    dry_run: bool,
    files: KernelFiles,
}

impl LogicalProcessors {
    pub(super) const fn new(log: Log, dry_run: bool, files: KernelFiles) -> Self {
        Self { log, dry_run, files }
    }

    /// Whether a processor runs; `None` where it always does.
    fn online(&self, logical_id: i64) -> Result<Option<bool>, Errno> {
        match self.files.value(format!("{DIRECTORY}/cpu{logical_id}/online")) {
            Ok(value) if value.is_empty() => Err(Errno::BADMSG),
            Ok(value) => Ok(Some(value != "0")),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Processors for LogicalProcessors {
    /// In the order of the directory, as in qemu-ga's list.
    fn list(&mut self, visit: &mut dyn FnMut(&Processor)) -> Result<(), agent_core::Errno> {
        let names = self.files.names(DIRECTORY).map_err(words)?;
        // `cpufreq` and `cpuidle` are something else.
        for logical_id in names.iter().filter_map(|name| name.strip_prefix("cpu")?.parse().ok()) {
            let online = self.online(logical_id).map_err(words)?;
            let can_offline = online.is_some();
            visit(&Processor { logical_id, online: online.unwrap_or(true), can_offline });
        }
        Ok(())
    }

    fn set_online(&mut self, logical_id: i64, online: bool) -> Result<(), ProcessorError> {
        let directory = format!("{DIRECTORY}/cpu{logical_id}");
        self.files.names(&directory).map_err(|error| ProcessorError::NotFound(words(error)))?;
        match self.online(logical_id) {
            Ok(None) if !online => Err(ProcessorError::MustRun),
            Ok(known) if known.unwrap_or(true) == online => Ok(()),
            Ok(_) if self.dry_run => {
                self.log.note(format_args!("dry run: processor {logical_id} stays as it is"));
                Ok(())
            }
            Ok(_) => {
                self.log.detail(format_args!("processor {logical_id}: online {online}"));
                self.files.set(format!("{directory}/online"), if online { "1" } else { "0" })
            }
            .map_err(|error| ProcessorError::Failed(words(error))),
            Err(error) => Err(ProcessorError::Failed(words(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use agent_core::Errno as Words;
    use tempfile::TempDir;

    use super::*;

    /// Processors by number, each with what its file `online` says, if there is one.
    fn tree(processors: &[(i64, Option<&str>)]) -> TempDir {
        let root = TempDir::new().unwrap();
        let directory = root.path().join(DIRECTORY);
        for other in ["cpufreq", "cpuidle", "power"] {
            fs::create_dir_all(directory.join(other)).unwrap();
        }
        fs::write(directory.join("online"), "0-3\n").unwrap();
        for (logical_id, online) in processors {
            let directory = directory.join(format!("cpu{logical_id}"));
            fs::create_dir(&directory).unwrap();
            if let Some(online) = online {
                fs::write(directory.join("online"), online).unwrap();
            }
        }
        root
    }

    fn processors(root: &TempDir, dry_run: bool) -> LogicalProcessors {
        LogicalProcessors::new(Log::default(), dry_run, KernelFiles::under(root.path()))
    }

    fn list(processors: &mut LogicalProcessors) -> Vec<(i64, bool, bool)> {
        let mut found = Vec::new();
        let listed = processors.list(&mut |processor| {
            found.push((processor.logical_id, processor.online, processor.can_offline));
        });
        assert_eq!(listed, Ok(()));
        found.sort_unstable();
        found
    }

    #[test]
    fn are_listed() {
        let root = tree(&[(0, None), (1, Some("1\n")), (2, Some("0\n")), (10, Some("1\n"))]);
        assert_eq!(
            list(&mut processors(&root, false)),
            [(0, true, false), (1, true, true), (2, false, true), (10, true, true)]
        );
        let none = TempDir::new().unwrap();
        let listed = processors(&none, false).list(&mut |_| panic!("none is there"));
        assert_eq!(listed, Err(Words("No such file or directory")));
    }

    #[test]
    fn go_off_and_on_line() {
        let root = tree(&[(0, None), (1, Some("1\n"))]);
        let mut processors = processors(&root, false);
        assert_eq!(processors.set_online(1, true), Ok(()));
        assert_eq!(processors.set_online(1, false), Ok(()));
        assert_eq!(list(&mut processors), [(0, true, false), (1, false, true)]);
        assert_eq!(processors.set_online(1, false), Ok(()));
        assert_eq!(processors.set_online(1, true), Ok(()));
        assert_eq!(list(&mut processors), [(0, true, false), (1, true, true)]);
        assert_eq!(processors.set_online(0, true), Ok(()));
        assert_eq!(processors.set_online(0, false), Err(ProcessorError::MustRun));
        for absent in [2, -1, i64::MAX] {
            let expected = ProcessorError::NotFound(Words("No such file or directory"));
            assert_eq!(processors.set_online(absent, false), Err(expected));
        }
    }

    #[test]
    fn stay_as_they_are_in_a_dry_run() {
        let root = tree(&[(1, Some("1\n"))]);
        let mut processors = processors(&root, true);
        assert_eq!(processors.set_online(1, false), Ok(()));
        assert_eq!(list(&mut processors), [(1, true, true)]);
    }

    #[test]
    fn that_tell_nothing_are_an_error() {
        let root = tree(&[(1, Some(""))]);
        let mut processors = processors(&root, false);
        assert_eq!(processors.list(&mut |_| {}), Err(Words("Bad message")));
        let expected = ProcessorError::Failed(Words("Bad message"));
        assert_eq!(processors.set_online(1, false), Err(expected));
    }
}
