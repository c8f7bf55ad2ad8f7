//! Domains under a real libvirt, driven by virsh as an administrator does.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

mod appliance;
mod session;

use core::time::Duration;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use tests::deadline::Deadline;
use tests::image::Image;
use tests::readme;

use crate::session::Session;

/// How long anything may take: libvirtd has to start and to ask QEMU what it can do.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn readme_domain_works() -> Result<()> {
    let session = Session::open()?;
    let kernel = session.home().join("tinyqga-pc.elf");
    fs::copy(Image::Pc.build()?, &kernel)?;
    let xml = readme::with_kernel(&readme::block("libvirt-domain")?, &kernel)?;
    session.with_domain(&xml, |domain| play(&session, domain))
}

/// Waits until the guest has opened the agent's port.
fn await_agent(session: &Session, domain: &str) -> Result<()> {
    Deadline::within(PATIENCE).await_some("the channel to become connected", || {
        let xml = session.virsh(&["dumpxml", domain])?;
        Ok(xml.contains("state='connected'").then_some(()))
    })
}

fn play(session: &Session, domain: &str) -> Result<()> {
    let deadline = Deadline::within(PATIENCE);
    await_agent(session, domain)?;

    let reply = session.virsh(&["qemu-agent-command", domain, r#"{"execute":"guest-ping"}"#])?;
    ensure!(reply.trim() == r#"{"return":{}}"#, "guest-ping: {reply}");
    let reply = session.virsh(&["qemu-agent-command", domain, r#"{"execute":"guest-info"}"#])?;
    ensure!(reply.contains(r#""name":"guest-shutdown""#), "guest-info: {reply}");
    let reply = session.try_virsh(&["qemu-agent-command", domain, r#"{"execute":"nope"}"#])?;
    ensure!(reply.is_err_and(|text| text.contains("nope")), "an unknown command did not fail");

    let ahead = |expected: i64| -> Result<()> {
        let before = seconds_now()?;
        let text = session.virsh(&["domtime", domain])?;
        let time: i64 =
            text.trim().strip_prefix("Time: ").with_context(|| text.clone())?.parse()?;
        // Whole seconds on both sides.
        ensure!(
            (before + expected - 2..=seconds_now()? + expected + 2).contains(&time),
            "domtime is {time}, expected about {}",
            before + expected
        );
        Ok(())
    };
    ahead(0)?;
    let hour = seconds_now()? + 3600;
    session.virsh(&["domtime", domain, "--time", &hour.to_string()])?;
    ahead(3600)?;
    session.virsh(&["domtime", domain, "--sync"])?;
    ahead(3600)?;
    session.virsh(&["domtime", domain, "--now"])?;
    ahead(0)?;

    session.virsh(&["reboot", domain, "--mode", "agent"])?;
    deadline.await_some("the agent after a reboot", || {
        let ping = ["qemu-agent-command", domain, r#"{"execute":"guest-ping"}"#];
        Ok(session.try_virsh(&ping)?.ok())
    })?;
    session.virsh(&["shutdown", domain, "--mode", "agent"])?;
    deadline.await_some("the domain to shut off", || {
        let state = session.virsh(&["domstate", domain, "--reason"])?;
        Ok(state.contains("shut off (shutdown)").then_some(()))
    })
}

fn seconds_now() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
}
