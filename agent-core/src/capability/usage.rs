//! The capability to tell how busy the guest is.

use super::Errno;

/// How busy the processors of a guest are.
pub trait Usage {
    /// Shows what each processor that runs has spent its time on to `visit`.
    ///
    /// # Errors
    ///
    /// Why that cannot be told.
    fn processors(&mut self, visit: &mut dyn FnMut(&ProcessorTimes)) -> Result<(), Errno>;

    /// How many processors were busy on average.
    ///
    /// # Errors
    ///
    /// Why that cannot be told.
    fn load(&mut self) -> Result<LoadAverage, Errno>;
}

/// What a processor has spent its time on since the guest has started, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// The processor's logical number.
    pub logical_id: i64,
    /// Programs.
    pub user: u64,
    /// Programs of low priority.
    pub nice: u64,
    /// The system itself.
    pub system: u64,
    /// Nothing.
    pub idle: u64,
    /// Waiting for input and output.
    pub iowait: Option<u64>,
    /// Interrupts.
    pub irq: Option<u64>,
    /// Deferred work of interrupts.
    pub softirq: Option<u64>,
    /// Waiting for the host, which ran something else.
    pub steal: Option<u64>,
    /// Running a guest.
    pub guest: Option<u64>,
    /// Running a guest of low priority.
    pub guestnice: Option<u64>,
}

/// How many processors were busy, or waited for, on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadAverage {
    /// Over the last minute.
    pub one_minute: f64,
    /// Over the last five minutes.
    pub five_minutes: f64,
    /// Over the last fifteen minutes.
    pub fifteen_minutes: f64,
}
