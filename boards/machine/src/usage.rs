//! How busy the processors are, as they tell themselves
//!
//! All that a processor does is the system's: there are no programs beside it.

use agent_core::{Errno, LoadAverage, ProcessorTimes, Usage};
use hal_x86::processors::Times;

use crate::processors::ProcessorSet;

impl Usage for ProcessorSet<'_> {
    fn processors(&mut self, visit: &mut dyn FnMut(&ProcessorTimes)) -> Result<(), Errno> {
        let ticks_per_ms = self.ticks_per_ms();
        for (logical_id, index) in (0..).zip(0..self.len()) {
            let Some(Times { busy_ticks, idle_ticks }) = self.times(index) else { continue };
            let ms = |ticks: u64| ticks.checked_div(ticks_per_ms).unwrap_or(0);
            let (system, idle) = (ms(busy_ticks), ms(idle_ticks));
            visit(&ProcessorTimes { logical_id, system, idle, ..ProcessorTimes::default() });
        }
        Ok(())
    }

    fn load(&mut self) -> Result<LoadAverage, Errno> {
        Ok(self.averages())
    }
}
