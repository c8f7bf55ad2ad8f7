//! `agent.channel=virtio|com1|com2|com3|com4`: where the agent listens, instead of a search

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

/// The channel that the command line asks for, if it does. What is wrong with it is in the
/// log.
pub fn channel(line: &[u8]) -> Option<Choice> {
    let name = words::last(line, b"agent.channel=")?;
    match name {
        b"virtio" => Some(Choice::Virtio),
        b"com1" => Some(Choice::Com(ComPort::Com1)),
        b"com2" => Some(Choice::Com(ComPort::Com2)),
        b"com3" => Some(Choice::Com(ComPort::Com3)),
        b"com4" => Some(Choice::Com(ComPort::Com4)),
        _ => {
            crate::warning!("agent.channel={=[u8]:a}: not virtio or com1 to com4", name);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_the_last_one_named() {
        for (line, expected) in [
            (&b""[..], None),
            (b"console=ttyS0 quiet", None),
            (b"agent.channel=virtio", Some(Choice::Virtio)),
            (b"  quiet\tagent.channel=com1\nro", Some(Choice::Com(ComPort::Com1))),
            (b"agent.channel=com1 agent.channel=com4", Some(Choice::Com(ComPort::Com4))),
            (b"agent.channel=com5 agent.channel=com2", Some(Choice::Com(ComPort::Com2))),
            (b"agent.channel=com3 agent.channel=com5", None),
            (b"agent.channel=", None),
            (b"agent.channel=COM1", None),
            (b"agent.channel=\xFF\xFE", None),
            (b"xagent.channel=com1 agent.channels=com1 agent.channel", None),
        ] {
            assert_eq!(channel(line), expected, "{}", line.escape_ascii());
        }
    }
}
