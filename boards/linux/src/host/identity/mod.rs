//! The capability to tell what the guest is: uname(2), os-release(5), utmp(5) and its time zone.

mod os_release;
mod timezone;
mod users;

use std::path::PathBuf;

use agent_core::{Identity, OsInfo, Timezone, User};
use rustix::system::uname;
use rustix::time::{ClockId, clock_gettime};

use self::{
    os_release::OsRelease,
    timezone::{LocalTime, Zone},
};
use super::kernel_files;

/// Where the system is described; the first file that can be read.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// Who is logged in.
const UTMP: &str = "/var/run/utmp";

/// The system around this process.
#[derive(Debug)]
pub(super) struct System {
    os_release: Vec<PathBuf>,
    zone: Zone,
    utmp: PathBuf,
    /// What was last found out; an answer points into it.
    found: Found,
}

#[derive(Debug, Default)]
struct Found {
    host_name: String,
    kernel_release: String,
    kernel_version: String,
    machine: String,
    os_release: OsRelease,
    local_time: LocalTime,
}

impl System {
    /// The system, described where the environment says, as for qemu-ga: `QGA_OS_RELEASE` is a
    /// file in place of the usual ones, `TZ` is the time zone.
    pub(super) fn from_environment() -> Self {
        let os_release = std::env::var_os("QGA_OS_RELEASE").map_or_else(
            || OS_RELEASE.map(PathBuf::from).to_vec(),
            |file| vec![PathBuf::from(file)],
        );
        let zone = Zone::new(std::env::var("TZ").ok(), std::env::var("TZDIR").ok());
        Self { os_release, zone, utmp: UTMP.into(), found: Found::default() }
    }
}

impl Identity for System {
    fn host_name(&mut self) -> Result<&str, agent_core::Errno> {
        self.found.host_name = uname().nodename().to_string_lossy().into_owned();
        Ok(&self.found.host_name)
    }

    fn os_info(&mut self) -> Result<OsInfo<'_>, agent_core::Errno> {
        let kernel = uname();
        self.found.kernel_release = kernel.release().to_string_lossy().into_owned();
        self.found.kernel_version = kernel.version().to_string_lossy().into_owned();
        self.found.machine = kernel.machine().to_string_lossy().into_owned();
        // A system that is not described anywhere has only its kernel.
        self.found.os_release =
            self.os_release.iter().find_map(|file| os_release::read(file)).unwrap_or_default();
        let Found { kernel_release, kernel_version, machine, os_release, .. } = &self.found;
        Ok(OsInfo {
            id: os_release.value("ID"),
            name: os_release.value("NAME"),
            pretty_name: os_release.value("PRETTY_NAME"),
            version: os_release.value("VERSION"),
            version_id: os_release.value("VERSION_ID"),
            variant: os_release.value("VARIANT"),
            variant_id: os_release.value("VARIANT_ID"),
            kernel_release: Some(kernel_release),
            kernel_version: Some(kernel_version),
            machine: Some(machine),
        })
    }

    fn timezone(&mut self) -> Timezone<'_> {
        let now_s = clock_gettime(ClockId::Realtime).tv_sec;
        self.found.local_time = self.zone.at(now_s);
        let LocalTime { zone, offset_s } = &self.found.local_time;
        let zone = Some(zone.as_str()).filter(|zone| !zone.is_empty());
        Timezone { zone, offset_s: *offset_s }
    }

    fn users(&mut self, visit: &mut dyn FnMut(&User<'_>)) {
        // Without the file nobody is logged in.
        let records = kernel_files::read_bytes(&self.utmp).unwrap_or_default();
        for (name, login_time_s) in users::read(&records) {
            visit(&User { name: &name, login_time_s });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn system(root: &TempDir) -> System {
        System {
            os_release: ["first", "second"].map(|file| root.path().join(file)).to_vec(),
            zone: Zone::new(Some("<+0545>-5:45".into()), None),
            utmp: root.path().join("utmp"),
            found: Found::default(),
        }
    }

    #[test]
    fn the_kernel_and_the_first_description() {
        let root = TempDir::new().unwrap();
        let mut system = system(&root);
        let info = system.os_info().unwrap();
        assert_eq!((info.id, info.name, info.variant_id), (None, None, None));
        assert_eq!(info.machine, Some(std::env::consts::ARCH));
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(info.kernel_release, Some(release.trim_end()));
        let version = fs::read_to_string("/proc/sys/kernel/version").unwrap();
        assert_eq!(info.kernel_version, Some(version.trim_end()));

        fs::write(root.path().join("second"), "ID=second\nVERSION_ID=2\n").unwrap();
        assert_eq!(system.os_info().unwrap().version_id, Some("2"));
        fs::write(root.path().join("first"), "ID=first\n").unwrap();
        let info = system.os_info().unwrap();
        assert_eq!((info.id, info.version_id), (Some("first"), None));
    }

    #[test]
    fn the_name_and_the_zone() {
        let mut system = system(&TempDir::new().unwrap());
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(system.host_name(), Ok(name.trim_end()));
        let expected = Timezone { zone: Some("+0545"), offset_s: 20_700 };
        assert_eq!(system.timezone(), expected);
        system.users(&mut |user| panic!("{user:?} is logged in"));
    }
}
