//! Who is logged in: records of utmp(5), in the layout of the GNU C library and musl for x86-64.

/// Bytes of a record.
const RECORD: usize = 384;
/// Where its type is, and the type of a log-in.
const TYPE: usize = 0;
const USER_PROCESS: [u8; 2] = 7_i16.to_ne_bytes();
/// Where the user's name is, and how long it can be.
const USER: usize = 44;
const USER_BYTES: usize = 32;
/// Where the time is: seconds and microseconds, 32 bits each.
const TIME: usize = 340;

/// The users with the time of their first log-in, in seconds since 1970, in the order of the
/// records.
pub(super) fn read(records: &[u8]) -> Vec<(String, f64)> {
    let mut users: Vec<(String, f64)> = Vec::new();
    for record in records.chunks_exact(RECORD) {
        let Some((name, login_time_s)) = log_in(record) else { continue };
        match users.iter_mut().find(|(known, _)| *known == name) {
            Some((_, first_s)) => *first_s = first_s.min(login_time_s),
            None => users.push((name, login_time_s)),
        }
    }
    users
}

fn log_in(record: &[u8]) -> Option<(String, f64)> {
    if array(record, TYPE)? != USER_PROCESS {
        return None;
    }
    let name = record.get(USER..)?.get(..USER_BYTES)?;
    let name = name.split(|&byte| byte == 0).next()?;
    let seconds = i32::from_ne_bytes(array(record, TIME)?);
    let micros = i32::from_ne_bytes(array(record, TIME + 4)?);
    let login_time_s = f64::from(seconds) + f64::from(micros) / 1_000_000.0;
    Some((String::from_utf8_lossy(name).into_owned(), login_time_s))
}

fn array<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(r#type: i16, name: &[u8], seconds: i32, micros: i32) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[TYPE..TYPE + 2].copy_from_slice(&r#type.to_ne_bytes());
        record[USER..USER + name.len()].copy_from_slice(name);
        record[TIME..TIME + 4].copy_from_slice(&seconds.to_ne_bytes());
        record[TIME + 4..TIME + 8].copy_from_slice(&micros.to_ne_bytes());
        record
    }

    #[test]
    fn first_log_ins() {
        let records = [
            record(2, b"reboot", 1, 0),
            record(7, b"root", 1_500_000_100, 250_000),
            record(8, b"gone", 1, 0),
            record(7, b"admin", 7, 0),
            record(7, b"root", 1_500_000_000, 500_000),
            record(7, b"root", 1_500_000_200, 0),
            record(7, &[b'x'; 32], -1, 0),
            record(7, b"\xFF", 0, 1),
        ]
        .concat();
        let expected = [
            ("root".to_owned(), 1_500_000_000.5),
            ("admin".to_owned(), 7.0),
            ("x".repeat(32), -1.0),
            ("\u{FFFD}".to_owned(), 0.000_001),
        ];
        assert_eq!(read(&records), expected);
        // A record that is still being written is none.
        assert_eq!(read(&records[..2 * RECORD - 1]), []);
        assert_eq!(read(&[]), []);
    }
}
