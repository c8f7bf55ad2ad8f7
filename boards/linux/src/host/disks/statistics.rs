//! What has been done to a disk: a line of `/proc/diskstats` (Linux, Documentation/admin-guide/
//! iostats.rst).

use agent_core::{DiskStatistics, Transfers};
use rustix::io::Errno;

use crate::host::kernel_files::number;

/// Reads a line. Discards came with Linux 4.18, flushes with 5.5; partitions had but four numbers
/// before 2.6.25.
pub(super) fn parse(line: &str) -> Result<DiskStatistics<'_>, Errno> {
    let mut fields = line.split_ascii_whitespace();
    let mut next = || fields.next().ok_or(Errno::BADMSG);
    let (major, minor, name) = (number(next()?)?, number(next()?)?, next()?);
    let numbers = fields.map(number).collect::<Result<Vec<u64>, _>>()?;
    let mut statistics = DiskStatistics {
        name,
        major,
        minor,
        read: Transfers::default(),
        write: Transfers::default(),
        discard: Transfers::default(),
        flush_ios: None,
        flush_ticks: None,
        ios_in_progress: None,
        total_ticks: None,
        weight_ticks: None,
    };
    if let [read_ios, read_sectors, write_ios, write_sectors] = *numbers {
        let few = |ios, sectors| Transfers {
            ios: Some(ios),
            sectors: Some(sectors),
            ..Transfers::default()
        };
        statistics.read = few(read_ios, read_sectors);
        statistics.write = few(write_ios, write_sectors);
        return Ok(statistics);
    }
    let Some((&[r0, r1, r2, r3, w0, w1, w2, w3, in_progress, total, weight], rest)) =
        numbers.split_first_chunk()
    else {
        return Err(Errno::BADMSG);
    };
    statistics.read = transfers([r0, r1, r2, r3]);
    statistics.write = transfers([w0, w1, w2, w3]);
    statistics.ios_in_progress = Some(in_progress);
    statistics.total_ticks = Some(total);
    statistics.weight_ticks = Some(weight);
    let Some((&discard, rest)) = rest.split_first_chunk() else { return Ok(statistics) };
    statistics.discard = transfers(discard);
    if let [ios, ticks, ..] = *rest {
        statistics.flush_ios = Some(ios);
        statistics.flush_ticks = Some(ticks);
    }
    Ok(statistics)
}

fn transfers([ios, merges, sectors, ticks]: [u64; 4]) -> Transfers {
    Transfers { ios: Some(ios), merges: Some(merges), sectors: Some(sectors), ticks: Some(ticks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        line: &str,
        read: Transfers,
        write: Transfers,
        discard: Transfers,
        rest: [Option<u64>; 5],
    ) {
        let found = parse(line).unwrap();
        assert_eq!((found.name, found.major, found.minor), ("vda", 254, 1), "{line}");
        assert_eq!((found.read, found.write, found.discard), (read, write, discard), "{line}");
        let numbers = [
            found.ios_in_progress,
            found.total_ticks,
            found.weight_ticks,
            found.flush_ios,
            found.flush_ticks,
        ];
        assert_eq!(numbers, rest, "{line}");
    }

    #[test]
    fn lines() {
        let none = Transfers::default();
        let (read, write) = (transfers([1, 2, 3, 4]), transfers([5, 6, 7, 8]));
        let discard = transfers([12, 13, 14, 15]);
        let [a, b, c] = [Some(9), Some(10), Some(11)];
        check(" 254 1 vda 1 2 3 4 5 6 7 8 9 10 11", read, write, none, [a, b, c, None, None]);
        let line = " 254 1 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15";
        check(line, read, write, discard, [a, b, c, None, None]);
        let all = [a, b, c, Some(16), Some(17)];
        check(&format!("{line} 16 17"), read, write, discard, all);
        check(&format!("{line} 16 17 18"), read, write, discard, all);
        let few = |ios, sectors| Transfers { ios: Some(ios), sectors: Some(sectors), ..none };
        check("254 1 vda 1 2 3 4", few(1, 2), few(3, 4), none, [None; 5]);
    }

    #[test]
    fn lines_that_are_none() {
        for line in
            ["", "254 1", "254 1 vda", "254 1 vda 1 2 3", "254 1 vda 1 2 3 4 5", "a 1 vda 1 2 3 4"]
        {
            assert_eq!(parse(line).map(|_| ()), Err(Errno::BADMSG), "{line}");
        }
        assert_eq!(parse("254 1 vda 1 2 3 -4").map(|_| ()), Err(Errno::BADMSG));
    }
}
