//! The agent's port of a virtio console, as a channel
//!
//! Finds the port by its name, opens it, and keeps up with what the host does to it: unplugged and
//! plugged in again, a console that has failed and is started anew.

use embedded_io::{Error as _, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use hal_virtio::console::{Console, Error, Event, Port, PortId, dma_pages};
use hal_virtio::dma::{IdentityHal, Memory};
use hal_virtio::transport::AnyTransport;
use machine::{Channel, error, info, warning};

/// The name that clients look for.
const NAME: &str = "org.qemu.guest_agent.0";

/// Ports that can be used, by number: QEMU counts from 1, and libvirt adds some of its own.
const PORTS: usize = 8;
/// Receive and transmit buffers of a port, of 4 KiB each.
const RECEIVE: usize = 4;
const TRANSMIT: usize = 4;

/// Enough for one console with one port open: consoles are looked at one after another.
pub const DMA_PAGES: usize = dma_pages(PORTS, RECEIVE, TRANSMIT, 1);

/// How long the device is given to go on announcing ports, and to announce all of them, ms. On a
/// host that has much else to do QEMU may take its time; only a guest without the port waits so
/// long.
const QUIET_MS: u64 = 2000;
const ANNOUNCEMENT_MS: u64 = 10_000;
/// Looks without an answer, a millisecond or more apart, before a device counts as quiet.
const EMPTY_LOOKS: u32 = 100;

type Device<M> = Console<IdentityHal<M>, AnyTransport, PORTS, RECEIVE, TRANSMIT>;

/// A console, and the agent's port of it while there is one.
#[derive(Debug)]
pub struct AgentPort<M: Memory> {
    console: Device<M>,
    port: Option<PortId>,
}

impl<M: Memory> AgentPort<M> {
    /// Starts the console behind `transport` and looks for the agent's port on it. If it is there,
    /// `place` holds both.
    ///
    /// The value is large, so it is made where it stays.
    ///
    /// # Errors
    ///
    /// The console does not work.
    pub fn find(
        place: &mut Option<Self>,
        transport: AnyTransport,
        uptime_ms: impl Fn() -> u64,
    ) -> Result<(), Error> {
        let console = Console::new(transport)?;
        let found = place.insert(Self { console, port: None });
        let start_ms = uptime_ms();
        let mut heard_ms = start_ms;
        // A guest that is stopped for a while finds its time gone, but not its looks.
        let mut empty_looks = 0;
        while found.console.is_multiport() {
            let now_ms = uptime_ms();
            if found.take_event()? {
                heard_ms = now_ms;
                empty_looks = 0;
            } else {
                empty_looks += 1;
                // Each look takes QEMU's lock, which it needs to answer.
                while uptime_ms() == now_ms {
                    core::hint::spin_loop();
                }
            }
            if found.port.is_some() {
                return Ok(());
            }
            let is_quiet = empty_looks >= EMPTY_LOOKS && now_ms.saturating_sub(heard_ms) > QUIET_MS;
            if is_quiet || now_ms.saturating_sub(start_ms) > ANNOUNCEMENT_MS {
                break;
            }
        }
        // Without several ports there are no names, and it is not the agent's.
        *place = None;
        Ok(())
    }

    /// How the device's interrupts arrive is the transport's to tell.
    pub fn transport(&self) -> &AnyTransport {
        self.console.transport()
    }

    /// Takes note of one thing that the device says; returns whether there was one.
    fn take_event(&mut self) -> Result<bool, Error> {
        let Some(event) = self.console.poll()? else { return Ok(false) };
        match event {
            Event::Named(id)
                if self.port.is_none() && self.console.port_named(NAME) == Some(id) =>
            {
                self.console.open(id)?;
                self.port = Some(id);
                info!("the agent's port is number {=u32}", id.0);
            }
            Event::Removed(id) if self.port == Some(id) => {
                self.port = None;
                warning!("the agent's port was unplugged");
            }
            Event::Opened(id) if self.port == Some(id) => info!("the host has opened the port"),
            Event::Closed(id) if self.port == Some(id) => info!("the host has closed the port"),
            Event::Unreachable { port, name } if name.as_bytes() == NAME.as_bytes() => {
                error!(
                    "the agent's port has number {=u32}; the image reaches {=usize}",
                    port.0,
                    PORTS - 1
                );
            }
            _ => {}
        }
        Ok(true)
    }

    /// Calls `use_it` with the port; without one the answer is `absent`.
    fn with<V>(
        &mut self,
        absent: V,
        use_it: impl FnOnce(
            &mut Port<'_, IdentityHal<M>, AnyTransport, RECEIVE, TRANSMIT>,
        ) -> Result<V, Error>,
    ) -> Result<V, ErrorKind> {
        let Some(id) = self.port else { return Ok(absent) };
        self.console.port(id).and_then(|mut port| use_it(&mut port)).map_err(|error| error.kind())
    }
}

impl<M: Memory> Channel for AgentPort<M> {
    fn attend(&mut self) -> Result<bool, ErrorKind> {
        self.take_event()
            .or_else(|failure| {
                // Whatever was under way is lost; the port is announced again.
                error!("the console: {}", failure);
                self.port = None;
                self.console.restart().map(|()| true)
            })
            .map_err(|error| error.kind())
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method itself is for one lifetime only"
    )]
    fn is_drained(&mut self) -> Result<bool, ErrorKind> {
        self.with(true, |port| port.is_drained())
    }

    fn close(&mut self) {
        if let Some(id) = self.port.take()
            && let Err(failure) = self.console.close(id)
        {
            warning!("closing the port: {}", failure);
        }
    }

    fn hush(&mut self) -> Result<bool, ErrorKind> {
        let Some(id) = self.port else { return Ok(true) };
        self.console.hush(id).map_err(|error| error.kind())
    }

    fn resume(&mut self) {
        // The port is announced again.
        self.port = None;
        if let Err(failure) = self.console.restart() {
            error!("the console: {}", failure);
        }
    }
}

impl<M: Memory> ErrorType for AgentPort<M> {
    type Error = ErrorKind;
}

impl<M: Memory> ReadReady for AgentPort<M> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        self.with(false, |port| port.read_ready())
    }
}

impl<M: Memory> Read for AgentPort<M> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, ErrorKind> {
        self.with(0, |port| port.read(bytes))
    }
}

impl<M: Memory> WriteReady for AgentPort<M> {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        self.with(false, |port| port.write_ready())
    }
}

impl<M: Memory> Write for AgentPort<M> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.with(0, |port| port.write(bytes))
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.with((), |port| port.flush())
    }
}
