//! `agent.channel=virtio|com1|com2|com3|com4`: where the agent listens, instead of a search

use core::fmt;

use hal_x86::uart::ComPort;

use super::words;

/// Where the agent is to listen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// On this UART.
    Com(ComPort),
    /// On the virtio port `org.qemu.guest_agent.0`.
    Virtio,
}

/// A channel that does not exist.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NoSuchChannel<'l>(pub &'l [u8]);

impl fmt::Display for NoSuchChannel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent.channel={}: not virtio or com1 to com4", self.0.escape_ascii())
    }
}

impl core::error::Error for NoSuchChannel<'_> {}

/// The channel that the command line asks for, if it does.
///
/// # Errors
///
/// There is no such channel.
pub fn channel(line: &[u8]) -> Result<Option<Choice>, NoSuchChannel<'_>> {
    let Some(name) = words::last(line, b"agent.channel=") else { return Ok(None) };
    match name {
        b"virtio" => Ok(Choice::Virtio),
        b"com1" => Ok(Choice::Com(ComPort::Com1)),
        b"com2" => Ok(Choice::Com(ComPort::Com2)),
        b"com3" => Ok(Choice::Com(ComPort::Com3)),
        b"com4" => Ok(Choice::Com(ComPort::Com4)),
        other => Err(NoSuchChannel(other)),
    }
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_the_last_one_named() {
        for (line, expected) in [
            (&b""[..], Ok(None)),
            (b"console=ttyS0 quiet", Ok(None)),
            (b"agent.channel=virtio", Ok(Some(Choice::Virtio))),
            (b"  quiet\tagent.channel=com1\nro", Ok(Some(Choice::Com(ComPort::Com1)))),
            (b"agent.channel=com1 agent.channel=com4", Ok(Some(Choice::Com(ComPort::Com4)))),
            (b"agent.channel=com5 agent.channel=com2", Ok(Some(Choice::Com(ComPort::Com2)))),
            (b"agent.channel=com3 agent.channel=com5", Err(NoSuchChannel(b"com5"))),
            (b"agent.channel=", Err(NoSuchChannel(b""))),
            (b"agent.channel=COM1", Err(NoSuchChannel(b"COM1"))),
            (b"agent.channel=\xFF\xFE", Err(NoSuchChannel(b"\xFF\xFE"))),
            (b"xagent.channel=com1 agent.channels=com1 agent.channel", Ok(None)),
        ] {
            assert_eq!(channel(line), expected, "{}", line.escape_ascii());
        }
    }
}
