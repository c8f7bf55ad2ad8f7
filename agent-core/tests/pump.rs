//! The pump over a channel that does everything a channel may do.

mod guest;

use agent_core::{Agent, Buffers, Pump};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use guest::Guest;

/// A channel that fails or does nothing on every other call, and moves a few bytes otherwise.
struct Unreliable {
    sends: Vec<u8>,
    takes: Vec<u8>,
    calls: usize,
}

impl Unreliable {
    /// What the next call does.
    fn turn(&mut self) -> Result<usize, ErrorKind> {
        self.calls += 1;
        match self.calls % 5 {
            1 => Err(ErrorKind::TimedOut),
            2 => Ok(0),
            bytes => Ok(bytes),
        }
    }
}

impl ErrorType for Unreliable {
    type Error = ErrorKind;
}

impl ReadReady for Unreliable {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.turn()? > 0)
    }
}

impl Read for Unreliable {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        // What a failed read leaves behind is not to be taken for bytes of the host.
        bytes.fill(b'}');
        let count = self.turn()?.min(bytes.len()).min(self.sends.len());
        for (place, byte) in bytes.iter_mut().zip(self.sends.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl WriteReady for Unreliable {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.turn()? > 0)
    }
}

impl Write for Unreliable {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let count = self.turn()?.min(bytes.len());
        self.takes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

#[test]
fn every_request_is_answered_once_whatever_the_channel_does() {
    let lines = |line: &dyn Fn(u32) -> String| (0..200).map(line).collect::<Vec<_>>().concat();
    let requests =
        lines(&|id| format!("{{\"execute\":\"guest-sync\",\"arguments\":{{\"id\":{id}}}}}\n"));
    let expected = lines(&|id| format!("{{\"return\": {id}}}\n"));
    for first in 0..5 {
        let mut channel =
            Unreliable { sends: requests.clone().into_bytes(), takes: Vec::new(), calls: first };
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Guest::default(), &mut buffers);
        let mut pump = Pump::new();
        // Errors and idle turns come in between; a bound, as a lost byte would never come.
        for _ in 0..100_000 {
            let _ = pump.run(&mut channel, &mut agent);
            if channel.takes.len() >= expected.len() {
                break;
            }
        }
        assert_eq!(String::from_utf8_lossy(&channel.takes), expected);
    }
}
