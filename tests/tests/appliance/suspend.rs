//! guest-suspend-ram with files: they are complete on the disk while the guest sleeps, and open
//! afterwards as they were.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::client::{ANSWER, Client};
use tests::files::Verdict as _;
use tests::machine::Machine;
use tests::qemu::Guest;

use crate::{Appliance, Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("suspend/files", || on_each_machine(files)),
    Case::new("suspend/frozen", || on_each_machine(frozen)),
    Case::new("suspend/fifty-times", || on_each_machine(fifty_times)),
    Case::new("suspend/in-memory", in_memory),
];

/// Plays with each kind of disk, where the machine can sleep.
fn on_each_machine(check: fn(&mut Appliance) -> Result<()>) -> Result<()> {
    for setup in Setup::ALL.into_iter().filter(|setup| setup.machine != Machine::Microvm) {
        let mut appliance = Appliance::start(setup, |launch| launch)?;
        check(&mut appliance)
            .with_context(|| setup.name)
            .map_err(|error| error.context(appliance.guest.evidence()))?;
    }
    Ok(())
}

fn fall_asleep(guest: &mut Guest, client: &mut Client) -> Result<()> {
    client.send("{\"execute\":\"guest-suspend-ram\"}\n")?;
    guest.qmp().event("SUSPEND", ANSWER)?;
    Ok(())
}

fn wake(guest: &mut Guest) -> Result<()> {
    guest.qmp().execute("system_wakeup", &json!({}))?;
    guest.qmp().event("WAKEUP", ANSWER)?;
    Ok(())
}

/// Handles keep their files, their places and what was not written out.
fn handles(guest: &mut Guest, client: &mut Client) -> Result<()> {
    client.put_file("numbers", b"0123456789")?;
    let reading = client.open("numbers", "r").granted()?;
    ensure!(client.read(reading, 4).granted()? == (b"0123".to_vec(), false), "not the beginning");
    let writing = client.open("log", "w").granted()?;
    client.write(writing, b"before").granted()?;

    fall_asleep(guest, client)?;
    wake(guest)?;

    ensure!(client.read(reading, 4).granted()? == (b"4567".to_vec(), false), "not where it was");
    client.write(writing, b" and after").granted()?;
    client.close(reading).granted()?;
    client.close(writing).granted()?;
    client.expect(
        &format!(r#"{{"execute":"guest-file-close","arguments":{{"handle":{writing}}}}}"#),
        &format!(
            "{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"handle '{writing}' has not \
             been found\"}}}}"
        ),
    )
}

fn files(appliance: &mut Appliance) -> Result<()> {
    let mut client = appliance.guest.connect_when_up()?;
    let disk = appliance.disk.as_ref().context("no disk")?;
    let handle = client.open("early", "w").granted()?;
    client.write(handle, b"on the disk").granted()?;
    fall_asleep(&mut appliance.guest, &mut client)?;
    // Whatever becomes of the sleeping guest, what it wrote is there.
    disk.expect_clean()?;
    let contents = disk.get("early")?;
    ensure!(contents == b"on the disk", "`{}` while it sleeps", contents.escape_ascii());
    wake(&mut appliance.guest)?;
    client.close(handle).granted()?;

    handles(&mut appliance.guest, &mut client)?;
    client.expect(r#"{"execute":"guest-fsfreeze-status"}"#, r#"{"return": "thawed"}"#)?;
    let contents = appliance.contents(&mut client, "log")?;
    ensure!(contents == b"before and after", "`{}`", contents.escape_ascii());
    client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
    disk.expect_clean()
}

/// A freeze that is asked for right after the suspend, in the same breath, lasts.
fn frozen(appliance: &mut Appliance) -> Result<()> {
    if !appliance.setup.channel.is_virtio() {
        // A line has no way to keep what comes while the machine is reset.
        return Ok(());
    }
    let mut client = appliance.guest.connect_when_up()?;
    let requests = ["guest-suspend-ram", "guest-fsfreeze-freeze"]
        .map(|command| format!("{{\"execute\":\"{command}\"}}\n"));
    client.send(requests.concat())?;
    appliance.guest.qmp().event("SUSPEND", ANSWER)?;
    wake(&mut appliance.guest)?;
    let reply = client.line(ANSWER)?;
    ensure!(reply == b"{\"return\": 1}\n", "`{}`", reply.escape_ascii());
    client.expect(r#"{"execute":"guest-fsfreeze-status"}"#, r#"{"return": "frozen"}"#)?;
    client.expect(r#"{"execute":"guest-fsfreeze-thaw"}"#, r#"{"return": 1}"#)?;
    let handle = client.open("after", "w").granted()?;
    client.close(handle).granted()
}

fn fifty_times(appliance: &mut Appliance) -> Result<()> {
    const CYCLES: usize = 50;
    let mut client = appliance.guest.connect_when_up()?;
    let handle = client.open("cycles", "w").granted()?;
    let mut expected = String::new();
    for cycle in 0..CYCLES {
        let line = format!("cycle {cycle}\n");
        client.write(handle, line.as_bytes()).granted()?;
        expected.push_str(&line);
        fall_asleep(&mut appliance.guest, &mut client).with_context(|| line.clone())?;
        wake(&mut appliance.guest)?;
        client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#).context(line)?;
    }
    client.close(handle).granted()?;
    let contents = appliance.contents(&mut client, "cycles")?;
    ensure!(contents == expected.as_bytes(), "`{}`", contents.escape_ascii());
    client.expect(r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"return": 1}"#)?;
    appliance.disk.as_ref().context("no disk")?.expect_clean()
}

/// Without a disk all files are in the memory that is kept.
fn in_memory() -> Result<()> {
    let setup = Setup { format: None, ..Setup::ALL[0] };
    let mut appliance = Appliance::start(setup, |launch| launch)?;
    let mut client = appliance.guest.connect_when_up()?;
    handles(&mut appliance.guest, &mut client)
        .and_then(|()| {
            let contents = client.take_file("log", 4096)?;
            ensure!(contents == b"before and after", "`{}`", contents.escape_ascii());
            Ok(())
        })
        .map_err(|error| error.context(appliance.guest.evidence()))
}
