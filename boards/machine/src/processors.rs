//! The machine's processors, for the agent

use agent_core::{Errno, LoadAverage, Processor, ProcessorError, Processors};
use hal_x86::processors::{self, ProcessorError as Failure, Times};
use hal_x86::real_mode::StartPage;
use hal_x86::tsc::{Counter as _, Rdtsc};

use crate::load::Load;
use crate::machine::Machine;

/// The processors of the machine that the agent runs on, and how busy they are.
///
/// Their logical numbers are their places in the list: 0 is the boot processor, on which the agent
/// runs.
#[derive(Debug)]
pub struct ProcessorSet<'s> {
    machine: &'s Machine<'s>,
    set: processors::Processors,
    load: Load,
}

impl<'s> ProcessorSet<'s> {
    /// Brings all processors on line, as a host expects it of its guest. Without a page they can be
    /// started in they are listed only.
    ///
    /// A second call returns `None`.
    pub fn start(machine: &'s Machine<'s>, page: Option<StartPage>) -> Option<Self> {
        if page.is_none() {
            crate::warning!("no memory to start processors in");
        }
        let mut set = machine.processors(page)?;
        let online = set.bring_all_online();
        crate::info!("processors: {=usize} of {=usize} on line", online, set.len());
        let load = Load::new(machine.ticks_per_ms());
        let mut processors = Self { machine, set, load };
        processors.count_from_now();
        Some(processors)
    }

    /// Notes how busy they are, whenever the guest has woken up.
    pub fn attend(&mut self) {
        self.load.look(Rdtsc.ticks(), self.busy_ticks());
    }

    /// Brings those on line again that were so before the machine slept (ACPI S3), which reset all.
    pub fn resume(&mut self) {
        self.machine.count_from_now();
        let online = self.set.restart();
        crate::info!("processors: {=usize} of {=usize} on line", online, self.set.len());
        self.count_from_now();
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.set.len()
    }

    pub(crate) const fn ticks_per_ms(&self) -> u64 {
        self.machine.ticks_per_ms()
    }

    /// What processor `index` has spent its time on, if it is on line. It is asked: one that does
    /// not answer is off line then.
    pub(crate) fn times(&mut self, index: usize) -> Option<Times> {
        if index == 0 {
            return Some(self.machine.times());
        }
        match self.set.times(index) {
            Ok(times) => Some(times),
            Err(Failure::Offline) => None,
            Err(failure) => {
                crate::warning!("processor {=usize}: {}", index, failure);
                None
            }
        }
    }

    /// How many processors were busy on average.
    pub(crate) fn averages(&mut self) -> LoadAverage {
        self.load.averages(Rdtsc.ticks(), self.busy_ticks())
    }

    fn count_from_now(&mut self) {
        self.load.count_from(Rdtsc.ticks(), self.busy_ticks());
    }

    /// How long all of them together have been busy. The others are not asked: they work for
    /// nobody but [`Self::times`].
    fn busy_ticks(&self) -> u64 {
        let told = (1..self.len()).map(|index| self.set.told(index).busy_ticks);
        told.fold(self.machine.times().busy_ticks, u64::wrapping_add)
    }
}

impl Processors for ProcessorSet<'_> {
    fn list(&mut self, visit: &mut dyn FnMut(&Processor)) -> Result<(), Errno> {
        for (logical_id, index) in (0..).zip(0..self.set.len()) {
            let online = self.set.is_online(index);
            visit(&Processor { logical_id, online, can_offline: index != 0 });
        }
        Ok(())
    }

    fn set_online(&mut self, logical_id: i64, online: bool) -> Result<(), ProcessorError> {
        let index =
            usize::try_from(logical_id).map_err(|_| ProcessorError::NotFound(Errno::NOT_FOUND))?;
        let done = if online { self.set.bring_online(index) } else { self.set.take_offline(index) };
        done.map_err(|failure| match failure {
            Failure::Absent => ProcessorError::NotFound(Errno::NOT_FOUND),
            Failure::Boot => ProcessorError::MustRun,
            _ => {
                crate::warning!("processor {=usize}: {}", index, failure);
                ProcessorError::Failed(Errno::IO)
            }
        })
    }
}
