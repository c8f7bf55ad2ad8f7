//! guest-get-vcpus, guest-set-vcpus, guest-get-cpustats and guest-get-load, against what the
//! processors do: their registers as QEMU shows them, and the counter that each of them keeps in
//! the guest's memory.

use core::fmt::Write as _;
use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::{ANSWER, Client};
use tests::deadline::Deadline;
use tests::elf::Elf;
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::Machine;
use tests::qemu::{Guest, Launch, processor_time_during};

use crate::{Case, Setup};

pub(crate) const CASES: &[Case] = &[
    Case::new("processors/alone", alone).only_where(once_a_machine),
    Case::new("processors/four", four)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/four-of-eight", four)
        .only_where(|setup| once_a_machine(setup) && setup.machine != Machine::Microvm)
        .prepared(|launch| smp(launch, "4,maxcpus=8")),
    Case::new("processors/more-than-are-known", many)
        .only_where(|setup| once_a_machine(setup) && setup.machine == Machine::Microvm)
        .prepared(|launch| smp(launch, "66").lifetime(Duration::from_mins(3))),
    Case::new("processors/off-and-on", off_and_on)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/many-times", many_times)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/partly", partly)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/reboot", reboot)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/times", times)
        .only_where(once_a_machine)
        .prepared(|launch| smp(launch, "4")),
    Case::new("processors/load", load).only_where(once_a_machine),
    Case::new("processors/none", none)
        .only_where(|setup| setup.image == Image::Uart)
        .prepared(|launch| smp(launch, "4")),
];

/// Processors do not depend on the channel.
fn once_a_machine(setup: Setup) -> bool {
    setup.image == Image::Pc && setup.channel == setup.machine.usual_virtio()
}

fn smp(launch: Launch, text: &str) -> Launch {
    launch.extra(["-smp", text])
}

/// What a processor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It sleeps in the image until an interrupt wakes it.
    Waits,
    /// It is halted, and no interrupt wakes it.
    Stopped,
    /// Anything else.
    Runs,
}

/// What every processor does at the moment, in QEMU's order.
fn states(guest: &mut Guest) -> Result<Vec<State>> {
    const INTERRUPTS: u64 = 1 << 9;
    let code = Elf::read(guest.kernel())?.segments.into_iter().find(|part| part.is_executable);
    let code = code.context("no code")?;
    let registers = guest.qmp().monitor("info registers -a")?;
    let mut states = Vec::new();
    for line in registers.lines() {
        // RIP and RFL in 64-bit mode, EIP and EFL in any other.
        let value = |name: &str| {
            let found = line.split_whitespace().find_map(|word| word.get(1..)?.strip_prefix(name));
            found.map(|digits| u64::from_str_radix(digits, 16)).transpose()
        };
        let Some(pointer) = value("IP=")? else { continue };
        let is_halted = line.contains("HLT=1");
        let wakes = value("FL=")?.context("no flags")? & INTERRUPTS != 0;
        let in_image = (code.address..code.address + code.size).contains(&pointer);
        states.push(match (is_halted, wakes) {
            (true, false) => State::Stopped,
            (true, true) if in_image => State::Waits,
            _ => State::Runs,
        });
    }
    Ok(states)
}

fn await_states(guest: &mut Guest, expected: &[State]) -> Result<()> {
    let mut found = Vec::new();
    let reached = Deadline::within(ANSWER).await_some("the processors' states", || {
        found = states(guest)?;
        Ok((found == expected).then_some(()))
    });
    reached.with_context(|| format!("{found:?} is not {expected:?}"))
}

/// How many requests each processor has answered, by the counters in the guest's memory.
fn counters(guest: &mut Guest) -> Result<[u64; 4]> {
    /// A slot is a cache line, and begins with the counter.
    const WORDS_A_SLOT: usize = 64 / 8;
    let elf = Elf::read(guest.kernel())?;
    let slots = elf.symbols.iter().find(|symbol| symbol.name == "hal_x86::processors::SLOTS");
    let address = slots.context("no slots in the image")?.address;
    let dump = guest.qmp().monitor(&format!("xp /{}gx {address:#x}", 4 * WORDS_A_SLOT))?;
    let words = dump.split_whitespace().filter_map(|word| word.strip_prefix("0x"));
    let words: Vec<u64> =
        words.map(|word| u64::from_str_radix(word, 16)).collect::<Result<_, _>>()?;
    ensure!(words.len() == 4 * WORDS_A_SLOT, "{dump}");
    Ok([0, 1, 2, 3].map(|index| words[index * WORDS_A_SLOT]))
}

/// The counters after every processor has been asked what it has spent its time on, less those
/// before.
fn asked(guest: &mut Guest, client: &mut Client) -> Result<[u64; 4]> {
    let before = counters(guest)?;
    cpustats(client)?;
    let after = counters(guest)?;
    Ok([0, 1, 2, 3].map(|index| after[index].wrapping_sub(before[index])))
}

/// What guest-get-vcpus says is on line, by logical number.
fn online(client: &mut Client) -> Result<Vec<bool>> {
    let list = client.call("guest-get-vcpus", &json!({})).granted()?;
    let list = list.as_array().context("no list")?;
    let processor = |(index, one): (usize, &Value)| {
        ensure!(one["logical-id"] == index, "{one}");
        ensure!(one["can-offline"] == (index != 0), "{one}");
        one["online"].as_bool().context("no online")
    };
    list.iter().enumerate().map(processor).collect()
}

fn set(client: &mut Client, changes: &[(i64, bool)]) -> Result<Value> {
    let change = |&(id, online): &(i64, bool)| json!({ "logical-id": id, "online": online });
    let vcpus: Vec<Value> = changes.iter().map(change).collect();
    client.call("guest-set-vcpus", &json!({ "vcpus": vcpus })).granted()
}

/// A processor's number, and its busy and idle time in milliseconds.
fn cpustats(client: &mut Client) -> Result<Vec<(u64, u64, u64)>> {
    let list = client.call("guest-get-cpustats", &json!({})).granted()?;
    let one = |one: &Value| {
        let number = |key: &str| one[key].as_u64().with_context(|| format!("{key} of {one}"));
        ensure!(one["type"] == "linux" && number("user")? == 0 && number("nice")? == 0, "{one}");
        Ok((number("cpu")?, number("system")?, number("idle")?))
    };
    list.as_array().context("no list")?.iter().map(one).collect()
}

fn alone(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    ensure!(online(&mut client)? == [true]);
    let numbers: Vec<u64> = cpustats(&mut client)?.iter().map(|(cpu, ..)| *cpu).collect();
    ensure!(numbers == [0], "{numbers:?}");
    let text = r#"open(\"/sys/devices/system/cpu/cpu1/\"): No such file or directory"#;
    client.expect(
        r#"{"execute":"guest-set-vcpus","arguments":{"vcpus":[{"logical-id":1,"online":true}]}}"#,
        &format!(r#"{{"error": {{"class": "GenericError", "desc": "{text}"}}}}"#),
    )
}

fn four(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    ensure!(online(&mut client)? == [true; 4]);
    await_states(guest, &[State::Waits; 4])?;
    for _ in 0..3 {
        let answers = asked(guest, &mut client)?;
        ensure!(answers == [0, 1, 1, 1], "{answers:?}");
    }
    await_states(guest, &[State::Waits; 4])
}

/// Those beyond the last that is known stay as the firmware left them.
fn many(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect()?;
    Deadline::within(Duration::from_mins(1))
        .await_some("an answer", || Ok(client.sync_as_libvirt(ANSWER).ok()))?;
    ensure!(online(&mut client)?.len() == 64);
    ensure!(set(&mut client, &[(63, true)])? == 1);
    let text =
        client.call("guest-set-vcpus", &json!({"vcpus": [{"logical-id": 64, "online": true}]}));
    let text = text.refused()?;
    ensure!(text.ends_with("cpu64/\"): No such file or directory"), "{text}");
    let stats = cpustats(&mut client)?;
    ensure!(stats.len() <= 64, "{stats:?}");
    Ok(())
}

fn off_and_on(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let before = counters(guest)?;
    ensure!(set(&mut client, &[(2, false)])? == 1);
    ensure!(online(&mut client)? == [true, true, false, true]);
    await_states(guest, &[State::Waits, State::Waits, State::Stopped, State::Waits])?;
    let stopped = counters(guest)?;
    ensure!(stopped[2] == before[2] + 1, "it was asked to stop: {before:?}, {stopped:?}");
    for _ in 0..5 {
        let answers = asked(guest, &mut client)?;
        ensure!(answers == [0, 1, 0, 1], "{answers:?}");
        let numbers: Vec<u64> = cpustats(&mut client)?.iter().map(|(cpu, ..)| *cpu).collect();
        ensure!(numbers == [0, 1, 3], "{numbers:?}");
    }
    // What is already so is a success, and nothing happens.
    let calm = counters(guest)?;
    ensure!(set(&mut client, &[(2, false), (1, true), (0, true)])? == 3);
    ensure!(counters(guest)? == calm);
    await_states(guest, &[State::Waits, State::Waits, State::Stopped, State::Waits])?;

    ensure!(set(&mut client, &[(2, true)])? == 1);
    ensure!(online(&mut client)? == [true; 4]);
    await_states(guest, &[State::Waits; 4])?;
    let started = counters(guest)?;
    ensure!(started[2] == stopped[2] + 1, "it answers once it runs: {stopped:?}, {started:?}");
    let answers = asked(guest, &mut client)?;
    ensure!(answers == [0, 1, 1, 1], "{answers:?}");
    Ok(())
}

fn many_times(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for _ in 0..20 {
        ensure!(set(&mut client, &[(1, false), (2, false), (3, false)])? == 3);
        let answers = asked(guest, &mut client)?;
        ensure!(answers == [0; 4], "{answers:?}");
        ensure!(set(&mut client, &[(3, true), (1, true), (2, true)])? == 3);
        let answers = asked(guest, &mut client)?;
        ensure!(answers == [0, 1, 1, 1], "{answers:?}");
    }
    await_states(guest, &[State::Waits; 4])
}

/// Only what goes wrong with the first element is an error; else the count tells.
fn partly(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (changes, count, expected) in [
        (&[][..], 0, [true; 4]),
        (&[(1, false), (99, false), (2, false)], 1, [true, false, true, true]),
        (&[(1, true), (0, false), (2, false)], 1, [true; 4]),
        (&[(3, false), (2, false), (-1, true)], 2, [true, true, false, false]),
        (&[(0, true), (2, true), (3, true)], 3, [true; 4]),
    ] {
        let done = set(&mut client, changes)?;
        ensure!(done == count, "{changes:?}: {done}");
        let online = online(&mut client)?;
        ensure!(online == expected, "{changes:?}: {online:?}");
        let expected = expected.map(|online| if online { State::Waits } else { State::Stopped });
        await_states(guest, &expected)?;
    }
    for (id, to, text) in [
        (0, "false", "logical processor #0 can't be offlined"),
        (4, "true", r#"open(\"/sys/devices/system/cpu/cpu4/\"): No such file or directory"#),
        (-1, "false", r#"open(\"/sys/devices/system/cpu/cpu-1/\"): No such file or directory"#),
    ] {
        client.expect(
            &format!(
                "{{\"execute\":\"guest-set-vcpus\",\"arguments\":{{\"vcpus\":[{{\"logical-id\":{id},\
                 \"online\":{to}}},{{\"logical-id\":1,\"online\":false}}]}}}}"
            ),
            &format!(r#"{{"error": {{"class": "GenericError", "desc": "{text}"}}}}"#),
        )?;
    }
    ensure!(online(&mut client)? == [true; 4]);
    await_states(guest, &[State::Waits; 4])
}

/// A machine that is reset while a processor is off line comes back with all of them.
fn reboot(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    ensure!(set(&mut client, &[(2, false)])? == 1);
    client.send("{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"reboot\"}}\n")?;
    guest.qmp().event("RESET", ANSWER)?;
    drop(client);
    four(guest)
}

/// Every processor's time passes as the host's does, and all that it does is sleep.
pub(crate) fn times(guest: &mut Guest) -> Result<()> {
    /// What rounding to milliseconds and the rate of the guest's counter may be off.
    const ERROR_MS: u128 = 5;
    let mut client = guest.connect_when_up()?;
    let before_first = Instant::now();
    let first = cpustats(&mut client)?;
    let after_first = Instant::now();
    client.silence(Duration::from_millis(700))?;
    let before_last = Instant::now();
    let last = cpustats(&mut client)?;
    let after_last = Instant::now();
    ensure!(first.len() == 4 && last.len() == 4, "{first:?}, {last:?}");
    let least_ms = (before_last - after_first).as_millis() - ERROR_MS;
    let most_ms = (after_last - before_first).as_millis() + ERROR_MS;
    for ((cpu, busy_before, idle_before), (_, busy_after, idle_after)) in
        first.into_iter().zip(last)
    {
        let (busy, idle) = (busy_after - busy_before, idle_after - idle_before);
        ensure!(
            (least_ms..=most_ms).contains(&(busy + idle).into()),
            "{cpu}: {busy} + {idle} ms, the host counted {least_ms} to {most_ms} ms"
        );
        ensure!(idle > busy, "{cpu}: {busy} ms busy, {idle} ms idle");
    }
    Ok(())
}

/// Work raises the averages, the shortest most.
fn load(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    let averages = |client: &mut Client| -> Result<[f64; 3]> {
        let load = client.call("guest-get-load", &json!({})).granted()?;
        let mut found = [0.0; 3];
        for (slot, key) in found.iter_mut().zip(["load1m", "load5m", "load15m"]) {
            *slot = load[key].as_f64().with_context(|| load.to_string())?;
        }
        Ok(found)
    };
    let before = averages(&mut client)?;
    let (_, busy_before, _) = cpustats(&mut client)?[0];
    let mut busy_ms = 0;
    Deadline::within(Duration::from_secs(20)).await_some("300 ms of work", || {
        for _ in 0..100 {
            client.ask(r#"{"execute":"guest-info"}"#)?;
        }
        busy_ms = cpustats(&mut client)?[0].1 - busy_before;
        Ok((busy_ms >= 300).then_some(()))
    })?;
    let [one, five, fifteen] = averages(&mut client)?;
    ensure!(one > five && five > fifteen && fifteen > before[2], "{one} {five} {fifteen}");
    // So much work, and no more, in a minute: it has lasted 20 s at most.
    let share = Duration::from_millis(busy_ms).as_secs_f64() / 60.0;
    ensure!((share * 0.6..share * 1.5).contains(&(one - before[0])), "{one}, {before:?}, {share}");
    Ok(())
}

/// The smallest image has nothing to do with the other processors, and leaves them alone.
fn none(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for command in ["guest-get-vcpus", "guest-get-cpustats", "guest-get-load"] {
        let text = client.call(command, &json!({})).refused()?;
        ensure!(text == format!("The command {command} has not been found"), "{text}");
    }
    let states = states(guest)?;
    ensure!(states.len() == 4 && !states[1..].contains(&State::Waits), "{states:?}");
    Ok(())
}

/// Four processors cost an idle guest's host no more than one does, whether three of them wait or
/// are stopped.
pub(crate) fn idle() -> Result<()> {
    const WINDOW: Duration = Duration::from_secs(10);
    const ALLOWED: Duration = Duration::from_millis(100);
    /// What the measurement, in steps of 10 ms, may be off, and a little.
    const MORE: Duration = Duration::from_millis(50);
    let mut guests = Vec::new();
    for machine in Machine::ALL {
        for (processors, off) in [("1", &[][..]), ("4", &[]), ("4", &[1, 2, 3])] {
            let launch = Launch::image(Image::Pc, machine, machine.usual_virtio())?;
            let guest = smp(launch, processors).start()?;
            let mut client = guest.connect_when_up()?;
            let off: Vec<(i64, bool)> = off.iter().map(|&id| (id, false)).collect();
            ensure!(set(&mut client, &off)? == off.len());
            let running = cpustats(&mut client)?.len();
            guests.push((guest, client, running));
        }
    }
    let used = processor_time_during(WINDOW, guests.iter().map(|(guest, ..)| guest))?;
    let mut report = String::new();
    let mut too_much = false;
    for (machine, used) in Machine::ALL.into_iter().zip(used.chunks_exact(3)) {
        let [one, waiting, stopped] = [used[0], used[1], used[2]];
        writeln!(report, "{machine}: {one:?}; with three more {waiting:?}, stopped {stopped:?}")?;
        let four = waiting.max(stopped);
        too_much |= four >= ALLOWED || four > one + MORE;
    }
    ensure!(!too_much, "of {WINDOW:?}:\n{report}");
    for (guest, mut client, running) in guests {
        // They slept, they did not die.
        ensure!(cpustats(&mut client)?.len() == running, "{}", guest.command());
    }
    Ok(())
}
