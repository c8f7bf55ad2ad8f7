//! The time zone: `TZ` (POSIX.1-2024, 8.3), else `/etc/localtime`; files as in RFC 9636.

use core::error::Error;
use std::path::Path;

use tz::{TimeZone, TimeZoneSettings, TzError};

use crate::host::kernel_files;

/// Where zones are by their names.
const DATABASE: &str = "/usr/share/zoneinfo";

/// What the environment says of the time zone.
#[derive(Debug)]
pub(super) struct Zone {
    /// A rule, or the name of a file.
    tz: Option<String>,
    database: String,
}

/// The local time at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LocalTime {
    /// The zone's abbreviation, or nothing.
    pub(super) zone: String,
    /// How far it is ahead of UTC.
    pub(super) offset_s: i32,
}

impl Default for LocalTime {
    fn default() -> Self {
        Self { zone: "UTC".into(), offset_s: 0 }
    }
}

impl Zone {
    pub(super) fn new(tz: Option<String>, database: Option<String>) -> Self {
        Self { tz, database: database.unwrap_or_else(|| DATABASE.into()) }
    }

    /// The local time at a Unix time. Where no zone is known, it is UTC.
    pub(super) fn at(&self, unix_time_s: i64) -> LocalTime {
        self.find(unix_time_s).unwrap_or_default()
    }

    fn find(&self, unix_time_s: i64) -> Option<LocalTime> {
        let directories = [&*self.database];
        let settings = TimeZoneSettings::new(&directories, read);
        let zone = match self.tz.as_deref() {
            None => settings.parse_local().ok()?,
            Some(tz) => settings.parse_posix_tz(tz).ok()?,
        };
        local_time(&zone, unix_time_s)
    }
}

fn local_time(zone: &TimeZone, unix_time_s: i64) -> Option<LocalTime> {
    let local = match zone.find_local_time_type(unix_time_s) {
        Ok(local) => *local,
        // A file without a rule for what comes after it: the last change lasts.
        Err(TzError::NoAvailableLocalTimeType) => {
            let zone = zone.as_ref();
            let last = zone.transitions().last()?.local_time_type_index();
            *zone.local_time_types().get(last)?
        }
        Err(_) => return None,
    };
    Some(LocalTime { zone: local.time_zone_designation().to_owned(), offset_s: local.ut_offset() })
}

fn read(path: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    Ok(kernel_files::read_bytes(Path::new(path))?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const JANUARY_S: i64 = 1_768_000_000;
    const JULY_S: i64 = 1_784_000_000;
    const CENTRAL_EUROPE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// A file (RFC 9636, 3.1 to 3.3): local mean time, CET from 1970, and a rule.
    fn tzif(rule: &str) -> Vec<u8> {
        let header = |types: u32, times: u32, characters: u32| {
            let counts = [0, 0, 0, times, types, characters].map(u32::to_be_bytes);
            [&b"TZif2"[..], &[0; 15], &counts.concat()].concat()
        };
        let r#type = |offset_s: i32, name: u8| [&offset_s.to_be_bytes()[..], &[0, name]].concat();
        [
            header(1, 0, 4),
            r#type(0, 0),
            b"UTC\0".to_vec(),
            header(2, 1, 8),
            0_i64.to_be_bytes().to_vec(),
            vec![1],
            r#type(3208, 0),
            r#type(3600, 4),
            b"LMT\0CET\0".to_vec(),
            format!("\n{rule}\n").into_bytes(),
        ]
        .concat()
    }

    fn check(zone: &Zone, unix_time_s: i64, name: &str, offset_s: i32) {
        let expected = LocalTime { zone: name.into(), offset_s };
        assert_eq!(zone.at(unix_time_s), expected, "{zone:?} at {unix_time_s}");
    }

    #[test]
    fn rules() {
        let zone = |tz: &str| Zone::new(Some(tz.into()), Some("/nowhere".into()));
        check(&zone(CENTRAL_EUROPE), JANUARY_S, "CET", 3600);
        check(&zone(CENTRAL_EUROPE), JULY_S, "CEST", 7200);
        check(&zone("<-03>3"), JULY_S, "-03", -10_800);
        check(&zone("UTC0"), JULY_S, "UTC", 0);
        for unknown in ["UTC", "", ":", "Europe/Berlin", "nonsense,,", "/nowhere/zone"] {
            check(&zone(unknown), JULY_S, "UTC", 0);
        }
    }

    #[test]
    fn files() {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("Europe")).unwrap();
        fs::write(root.path().join("Europe/Berlin"), tzif(CENTRAL_EUROPE)).unwrap();
        fs::write(root.path().join("without_rule"), tzif("")).unwrap();
        fs::write(root.path().join("cut"), &tzif("")[..100]).unwrap();
        let database = root.path().to_str().unwrap();
        let zone = |tz: &str| Zone::new(Some(tz.into()), Some(database.into()));
        for name in ["Europe/Berlin", ":Europe/Berlin", &format!("{database}/Europe/Berlin")] {
            check(&zone(name), JANUARY_S, "CET", 3600);
            check(&zone(name), JULY_S, "CEST", 7200);
            check(&zone(name), -1, "LMT", 3208);
        }
        check(&zone("without_rule"), JULY_S, "CET", 3600);
        check(&zone("cut"), JULY_S, "UTC", 0);
    }
}
