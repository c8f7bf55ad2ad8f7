//! Network devices of a guest, and its page over a forwarded port.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::client::{ANSWER, Client};
use crate::deadline::Deadline;
use crate::files::Verdict as _;
use crate::machine::Machine;
use crate::qemu::Guest;

/// A virtio network device, and what is at the other end of its cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    number: u8,
    backend: String,
    has_root_port: bool,
}

impl Card {
    /// One on QEMU's user network, whose page is forwarded to a port of the host.
    pub fn user(number: u8) -> Self {
        Self::on(number, "user,hostfwd=tcp:127.0.0.1:0-:80")
    }

    /// One on a user network with other addresses.
    pub fn user_network(number: u8, network: &str, ipv6_prefix: &str) -> Self {
        let options = format!("net={network},ipv6-prefix={ipv6_prefix}");
        Self::on(number, &format!("user,{options},hostfwd=tcp:127.0.0.1:0-:80"))
    }

    /// One with any backend of QEMU's.
    pub fn on(number: u8, backend: &str) -> Self {
        Self { number, backend: backend.to_owned(), has_root_port: false }
    }

    /// Behind a PCI Express root port of its own.
    #[must_use]
    pub fn behind_root_port(mut self) -> Self {
        self.has_root_port = true;
        self
    }

    /// QEMU's name for the device.
    pub fn id(&self) -> String {
        format!("card{}", self.number)
    }

    /// The address of its hardware.
    pub fn hardware_address(&self) -> String {
        format!("52:54:00:ab:cd:{:02x}", self.number)
    }

    /// The address that it has on its link, by that of its hardware.
    pub fn link_local(&self) -> String {
        format!("fe80::5054:ff:feab:cd{:02x}", self.number)
    }

    /// QEMU's arguments.
    pub fn arguments(&self, machine: Machine) -> Vec<String> {
        let (kind, options) = self.backend.split_once(',').unwrap_or((&self.backend, ""));
        let comma = if options.is_empty() { "" } else { "," };
        let (id, number) = (self.id(), self.number);
        let mut arguments =
            vec!["-netdev".into(), format!("{kind},id=net{number}{comma}{options}")];
        let bus = if self.has_root_port {
            let port = format!("pcie-root-port,id=net-port{number},chassis=1{number}");
            arguments.extend(["-device".into(), port]);
            format!(",bus=net-port{number}")
        } else {
            String::new()
        };
        let device = match machine {
            Machine::Pc | Machine::Q35 => "virtio-net-pci",
            Machine::Microvm => "virtio-net-device",
        };
        let mac = self.hardware_address();
        let device = format!("{device},id={id},netdev=net{number},mac={mac}{bus}");
        arguments.extend(["-device".into(), device]);
        arguments
    }

    /// The host's port that leads to the page.
    ///
    /// # Errors
    ///
    /// Its network is not a user network.
    pub fn page_port(&self, guest: &mut Guest) -> Result<u16> {
        let networks = guest.qmp().monitor("info usernet")?;
        let mine = format!("(net{}):", self.number);
        let (_, mine) = networks.split_once(&mine).with_context(|| networks.clone())?;
        let line = mine.lines().find(|line| line.contains("HOST_FORWARD"));
        let port = line.and_then(|line| line.split_whitespace().nth(3));
        port.and_then(|port| port.parse().ok()).with_context(|| networks.clone())
    }
}

/// What a server has answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The first line.
    pub status: String,
    /// The other lines of the head.
    pub fields: Vec<String>,
    /// The contents.
    pub contents: String,
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter().filter_map(|field| field.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends a request to a port of this host, and reads until the other side closes.
///
/// # Errors
///
/// There is no connection, or no answer of HTTP in time.
pub fn ask(port: u16, request: &str) -> Result<Answer> {
    let mut stream = connect(port)?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("reading the answer")?;
    let text = String::from_utf8(bytes)?;
    let (head, contents) = text.split_once("\r\n\r\n").with_context(|| text.clone())?;
    let mut lines = head.split("\r\n").map(str::to_owned);
    let status = lines.next().unwrap_or_default();
    Ok(Answer { status, fields: lines.collect(), contents: contents.to_owned() })
}

/// The page.
///
/// # Errors
///
/// As [`ask`], and when the answer is not the whole page.
pub fn page(port: u16) -> Result<String> {
    let answer = ask(port, "GET / HTTP/1.1\r\nHost: guest\r\n\r\n")?;
    ensure!(answer.status == "HTTP/1.1 200 OK", "{answer:?}");
    let len = answer.field("Content-Length").context("no length")?.parse::<usize>()?;
    ensure!(len == answer.contents.len(), "{answer:?}");
    Ok(answer.contents)
}

/// A connection to a port of this host, on which nothing takes longer than [`ANSWER`].
///
/// # Errors
///
/// Nobody is there.
pub fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("connecting")?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    Ok(stream)
}

impl Client {
    /// The guest's interfaces.
    ///
    /// # Errors
    ///
    /// As [`Client::call`], and when the agent refuses.
    pub fn interfaces(&mut self) -> Result<Vec<Value>> {
        let reply = self.call("guest-network-get-interfaces", &json!({})).granted()?;
        Ok(reply.as_array().context("not a list")?.clone())
    }

    /// The guest's addresses, each with its prefix, on the interface with this name.
    ///
    /// # Errors
    ///
    /// As [`Client::interfaces`], and when there is no such interface.
    pub fn addresses(&mut self, name: &str) -> Result<Vec<String>> {
        let interfaces = self.interfaces()?;
        let one = interfaces.iter().find(|one| one["name"] == name);
        let one = one.with_context(|| format!("no {name}: {interfaces:?}"))?;
        let addresses = one["ip-addresses"].as_array().into_iter().flatten();
        let text = |one: &Value| {
            let address = one["ip-address"].as_str().context("no address")?;
            let kind = if address.contains(':') { "ipv6" } else { "ipv4" };
            ensure!(one["ip-address-type"] == kind, "{one}");
            Ok(format!("{address}/{}", one["prefix"]))
        };
        addresses.map(text).collect()
    }

    /// Waits until the interface has exactly these addresses.
    ///
    /// # Errors
    ///
    /// It does not within `within`.
    pub fn await_addresses(
        &mut self,
        name: &str,
        expected: &[&str],
        within: Duration,
    ) -> Result<()> {
        let mut last = Vec::new();
        let awaited = Deadline::within(within).await_some("the addresses", || {
            last = self.addresses(name)?;
            Ok((last == expected).then_some(()))
        });
        awaited.with_context(|| format!("{name} has {last:?}, not {expected:?}"))
    }
}
