//! The capability to tell how busy the guest is: `/proc/stat` and `/proc/loadavg` (proc(5)).

use agent_core::{LoadAverage, ProcessorTimes, Usage};
use rustix::io::Errno;

use super::{
    errno::words,
    kernel_files::{KernelFiles, number},
};

/// How long a tick of the kernel's counters is: they count `USER_HZ`, 100 in a second.
const TICK_MS: u64 = 10;

/// What the kernel counts.
#[derive(Debug)]
pub(super) struct Counters {
    files: KernelFiles,
}

impl Counters {
    pub(super) const fn new(files: KernelFiles) -> Self {
        Self { files }
    }
}

impl Usage for Counters {
    fn processors(
        &mut self,
        visit: &mut dyn FnMut(&ProcessorTimes),
    ) -> Result<(), agent_core::Errno> {
        let text = self.files.read("proc/stat").map_err(words)?;
        for line in text.lines() {
            // The line of all together has no number.
            if let Some(line) = line.strip_prefix("cpu").filter(|line| !line.starts_with(' ')) {
                visit(&times(line).map_err(words)?);
            }
        }
        Ok(())
    }

    fn load(&mut self) -> Result<LoadAverage, agent_core::Errno> {
        self.files.read("proc/loadavg").and_then(|text| load(&text)).map_err(words)
    }
}

/// Reads a processor's line behind its first three letters. The counters at its end came with
/// Linux 2.6 one after the other.
fn times(line: &str) -> Result<ProcessorTimes, Errno> {
    let mut fields = line.split_ascii_whitespace();
    let logical_id = number(fields.next().ok_or(Errno::BADMSG)?)?;
    let mut next = || {
        let ticks: Option<u64> = fields.next().map(number).transpose()?;
        Ok(ticks.map(|ticks| ticks.saturating_mul(TICK_MS)))
    };
    Ok(ProcessorTimes {
        logical_id,
        user: next()?.ok_or(Errno::BADMSG)?,
        nice: next()?.ok_or(Errno::BADMSG)?,
        system: next()?.ok_or(Errno::BADMSG)?,
        idle: next()?.ok_or(Errno::BADMSG)?,
        iowait: next()?,
        irq: next()?,
        softirq: next()?,
        steal: next()?,
        guest: next()?,
        guestnice: next()?,
    })
}

/// Reads `0.20 0.18 0.12 1/80 11206`.
fn load(text: &str) -> Result<LoadAverage, Errno> {
    let mut fields = text.split_ascii_whitespace();
    let mut next = || {
        let average: f64 = number(fields.next().ok_or(Errno::BADMSG)?)?;
        // JSON has no other numbers.
        if average.is_finite() { Ok(average) } else { Err(Errno::BADMSG) }
    };
    Ok(LoadAverage { one_minute: next()?, five_minutes: next()?, fifteen_minutes: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        let all = ProcessorTimes {
            logical_id: 11,
            user: 10,
            nice: 20,
            system: 30,
            idle: u64::MAX,
            iowait: Some(50),
            irq: Some(60),
            softirq: Some(70),
            steal: Some(80),
            guest: Some(90),
            guestnice: Some(100),
        };
        let line = format!("11 1 2 3 {} 5 6 7 8 9 10", u64::MAX);
        assert_eq!(times(&line), Ok(all));
        assert_eq!(times(&format!("{line} 11")), Ok(all));
        let few = ProcessorTimes { idle: 40, user: 10, nice: 20, system: 30, ..Default::default() };
        assert_eq!(times("0 1 2 3 4"), Ok(few));
        assert_eq!(times("0 1 2 3 4 5"), Ok(ProcessorTimes { iowait: Some(50), ..few }));
        for bad in ["", "0", "0 1 2 3", "x 1 2 3 4", "0 1 2 3 -4", "0 1 2 3 18446744073709551616"] {
            assert_eq!(times(bad), Err(Errno::BADMSG), "{bad}");
        }
    }

    #[test]
    fn loads() {
        let expected =
            LoadAverage { one_minute: 0.2, five_minutes: 0.18, fifteen_minutes: 12345.67 };
        assert_eq!(load("0.20 0.18 12345.67 1/80 11206\n"), Ok(expected));
        for bad in ["", "0.20 0.18", "a b c", "1 2 nan", "1 2 inf"] {
            assert_eq!(load(bad), Err(Errno::BADMSG), "{bad}");
        }
    }

    #[test]
    fn of_this_machine() {
        let mut counters = Counters::new(KernelFiles::default());
        let mut busy = 0;
        counters.processors(&mut |times| busy += times.user + times.system).unwrap();
        assert!(busy > 0);
        assert!(counters.load().unwrap().fifteen_minutes >= 0.0);
    }
}
