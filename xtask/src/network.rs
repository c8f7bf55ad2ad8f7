//! The network of the appliance in `cargo xtask run`: its addresses, and its page.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::client::Client;
use tests::network::{Card, page};
use tests::qemu::Guest;

use crate::stage::{Stage, time};

/// How long DHCP may take.
const LEASE: Duration = Duration::from_secs(5);

/// Asks for addresses and routes, and gets the page as a browser does.
pub(crate) fn play(stage: &mut Stage, guest: &mut Guest, card: &Card) -> Result<()> {
    println!("\nthe network: QEMU's own, with a DHCP server and a router");
    await_lease(&mut stage.client)?;
    stage.ask_for("guest-network-get-interfaces")?;
    stage.ask_for("guest-network-get-route")?;
    let url = url(guest, card)?;
    let started = Instant::now();
    let text = page(card.page_port(guest)?)?;
    let took = time(started.elapsed());
    println!("\n{url} (a port of this host that leads to the guest's): {took}");
    for line in text.lines() {
        println!("  {line}");
    }
    Ok(())
}

/// Where the page is for this host.
pub(crate) fn url(guest: &mut Guest, card: &Card) -> Result<String> {
    Ok(format!("http://127.0.0.1:{}/", card.page_port(guest)?))
}

fn await_lease(client: &mut Client) -> Result<()> {
    let started = Instant::now();
    loop {
        let interfaces = client.interfaces()?;
        let addresses = interfaces.first().and_then(|one| one["ip-addresses"].as_array());
        let is_leased = |one: &Value| one["ip-address-type"] == "ipv4";
        if addresses.is_some_and(|addresses| addresses.iter().any(is_leased)) {
            return Ok(());
        }
        (started.elapsed() < LEASE).then_some(()).context("no lease")?;
    }
}
