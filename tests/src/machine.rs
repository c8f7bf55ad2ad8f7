//! The machines and channels that QEMU is asked for, as its arguments.
//!
//! A [`Machine`] and a [`Channel`] make a combination; [`combinations`] lists those that exist.

use core::fmt;

/// The name of the port that clients expect the agent on.
pub const PORT_NAME: &str = "org.qemu.guest_agent.0";

/// A QEMU machine type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// i440FX, PCI.
    Pc,
    /// Q35, PCI Express.
    Q35,
    /// microvm: virtio-mmio, reduced-hardware ACPI.
    Microvm,
}

impl Machine {
    /// Every machine.
    pub const ALL: [Self; 3] = [Self::Pc, Self::Q35, Self::Microvm];

    /// QEMU's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::Microvm => "microvm",
        }
    }

    /// The virtio disk that one gets without asking for anything special.
    pub fn disk_device(self) -> &'static str {
        match self {
            Self::Pc | Self::Q35 => "virtio-blk-pci",
            Self::Microvm => "virtio-blk-device",
        }
    }

    /// The virtio channel that one gets without asking for anything special.
    pub fn usual_virtio(self) -> Channel {
        match self {
            Self::Pc | Self::Q35 => Channel::VirtioPci,
            Self::Microvm => Channel::VirtioMmioLegacy,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the agent's bytes enter and leave the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// virtio-serial on the root PCI bus: a transitional device (1af4:1003).
    VirtioPci,
    /// The same on the root bus, without the legacy interface (1af4:1043).
    VirtioPciModern,
    /// virtio-serial behind a PCI-to-PCI bridge.
    VirtioPciBridge,
    /// virtio-serial behind a PCI Express root port: modern only, as libvirt places it on q35.
    VirtioRootPort,
    /// virtio-serial over MMIO, version 1 (microvm's default).
    VirtioMmioLegacy,
    /// virtio-serial over MMIO, version 2.
    VirtioMmioModern,
    /// The 16550 at 0x3F8.
    Com1,
    /// The 16550 at 0x2F8, named on the kernel command line.
    Com2,
}

impl Channel {
    /// Its name in the names of tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::VirtioPci => "virtio-pci",
            Self::VirtioPciModern => "virtio-pci-modern",
            Self::VirtioPciBridge => "virtio-pci-bridge",
            Self::VirtioRootPort => "virtio-root-port",
            Self::VirtioMmioLegacy => "virtio-mmio-legacy",
            Self::VirtioMmioModern => "virtio-mmio-modern",
            Self::Com1 => "com1",
            Self::Com2 => "com2",
        }
    }

    /// Whether it is a virtio port; else it is a UART.
    pub fn is_virtio(self) -> bool {
        !matches!(self, Self::Com1 | Self::Com2)
    }

    /// QEMU's arguments that connect the character device `chardev` to this channel.
    pub fn arguments(self, machine: Machine, chardev: &str) -> Vec<String> {
        let port = format!("virtserialport,id={chardev}-port,chardev={chardev},name={PORT_NAME}");
        let texts: Vec<String> = match self {
            Self::VirtioPci => {
                vec!["-device".into(), "virtio-serial-pci".into(), "-device".into(), port]
            }
            Self::VirtioPciModern => vec![
                "-device".into(),
                "virtio-serial-pci-non-transitional".into(),
                "-device".into(),
                port,
            ],
            Self::VirtioPciBridge => vec![
                "-device".into(),
                "pci-bridge,id=bridge,chassis_nr=1".into(),
                "-device".into(),
                "virtio-serial-pci,bus=bridge,addr=3".into(),
                "-device".into(),
                port,
            ],
            Self::VirtioRootPort => vec![
                "-device".into(),
                "pcie-root-port,id=root-port,chassis=1".into(),
                "-device".into(),
                "virtio-serial-pci,bus=root-port".into(),
                "-device".into(),
                port,
            ],
            Self::VirtioMmioLegacy => {
                vec!["-device".into(), "virtio-serial-device".into(), "-device".into(), port]
            }
            Self::VirtioMmioModern => vec![
                "-global".into(),
                "virtio-mmio.force-legacy=off".into(),
                "-device".into(),
                "virtio-serial-device".into(),
                "-device".into(),
                port,
            ],
            Self::Com1 => vec!["-serial".into(), format!("chardev:{chardev}")],
            // microvm makes only its first UART out of -serial.
            Self::Com2 if machine == Machine::Microvm => vec![
                "-serial".into(),
                "null".into(),
                "-device".into(),
                format!("isa-serial,index=1,chardev={chardev}"),
            ],
            Self::Com2 => vec![
                "-serial".into(),
                "null".into(),
                "-serial".into(),
                format!("chardev:{chardev}"),
            ],
        };
        texts
    }

    /// What the kernel command line must say for the image to choose this channel.
    pub fn command_line(self) -> Option<&'static str> {
        match self {
            Self::Com2 => Some("agent.channel=com2"),
            _ => None,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Every pair of machine and channel that the pc image supports.
pub fn combinations() -> Vec<(Machine, Channel)> {
    use Channel::{
        Com1, Com2, VirtioMmioLegacy, VirtioMmioModern, VirtioPci, VirtioPciBridge,
        VirtioPciModern, VirtioRootPort,
    };
    let of_machine = |machine| -> &'static [Channel] {
        match machine {
            Machine::Pc => &[VirtioPci, VirtioPciModern, VirtioPciBridge, Com1, Com2],
            Machine::Q35 => &[VirtioPci, VirtioRootPort, Com1, Com2],
            Machine::Microvm => &[VirtioMmioLegacy, VirtioMmioModern, Com1, Com2],
        }
    };
    Machine::ALL
        .into_iter()
        .flat_map(|machine| of_machine(machine).iter().map(move |&channel| (machine, channel)))
        .collect()
}
