//! The appliance's network: its addresses, its page, cables that are pulled out, networks without
//! anybody.

use core::time::Duration;
use std::io::Read as _;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tests::client::{ANSWER, Client};
use tests::files::Verdict as _;
use tests::image::Image;
use tests::machine::{Channel, Machine};
use tests::network::{Card, ask, connect, page};
use tests::qemu::{Guest, Launch, processor_time_during};

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("network/idle", idle),
    Case::new("network/cut-off", a_client_that_says_nothing_is_cut_off),
    Case::new("network/busy-page", the_agent_answers_while_the_page_is_busy),
    Case::new("network/pc", || addresses_and_page(Machine::Pc, Channel::VirtioPci, &Card::user(1))),
    Case::new("network/q35", || addresses_and_page(Machine::Q35, Channel::Com1, &Card::user(1))),
    Case::new("network/q35/root-port", || {
        let card = Card::user(1).behind_root_port();
        addresses_and_page(Machine::Q35, Channel::VirtioRootPort, &card)
    }),
    Case::new("network/microvm/legacy", || {
        addresses_and_page(Machine::Microvm, Channel::VirtioMmioLegacy, &Card::user(1))
    }),
    Case::new("network/microvm/modern", || {
        addresses_and_page(Machine::Microvm, Channel::VirtioMmioModern, &Card::user(1))
    }),
    Case::new("network/microvm/without-pit", || soon_without("pit=off")),
    Case::new("network/microvm/without-clock", || {
        soon_without("pit=off,pic=off,rtc=off,isa-serial=off")
    }),
    Case::new("network/link", the_link_goes_down_and_up),
    Case::new("network/asleep", the_machine_sleeps_and_wakes_up),
    Case::new("network/two", || two_cards(Machine::Pc, Channel::VirtioPci)),
    Case::new("network/two/microvm", || two_cards(Machine::Microvm, Channel::VirtioMmioLegacy)),
    Case::new("network/none", no_card),
    Case::new("network/five", more_cards_than_interfaces),
    Case::new("network/silent", nobody_answers),
];

/// Message-signalled interrupts, and lines.
const MACHINES: [(Machine, Channel); 2] =
    [(Machine::Pc, Channel::VirtioPci), (Machine::Microvm, Channel::VirtioMmioLegacy)];

/// From the moment on when the agent answers.
const ADDRESSES: Duration = Duration::from_secs(2);

const USER_IPV4: &str = "10.0.2.15/24";

/// What QEMU's user network gives a card.
fn user_addresses(card: &Card) -> [String; 3] {
    let link_local = card.link_local();
    let advertised = link_local.replace("fe80::", "fec0::");
    [USER_IPV4.into(), format!("{link_local}/64"), format!("{advertised}/64")]
}

pub(crate) fn await_user_addresses(client: &mut Client, name: &str, card: &Card) -> Result<()> {
    let expected = user_addresses(card);
    client.await_addresses(name, &expected.each_ref().map(String::as_str), ADDRESSES)
}

fn addresses_and_page(machine: Machine, channel: Channel, card: &Card) -> Result<()> {
    let launch = Launch::image(Image::Appliance, machine, channel)?;
    with_guest(launch.extra(card.arguments(machine)), |guest, client| {
        await_user_addresses(client, "eth0", card)?;
        let interfaces = client.interfaces()?;
        ensure!(interfaces.len() == 1, "{interfaces:?}");
        ensure!(interfaces[0]["hardware-address"] == card.hardware_address(), "{interfaces:?}");
        for count in ["rx-packets", "rx-bytes", "tx-packets", "tx-bytes"] {
            ensure!(interfaces[0]["statistics"][count].as_u64() > Some(0), "{interfaces:?}");
        }
        for count in ["rx-errs", "rx-dropped", "tx-errs", "tx-dropped"] {
            ensure!(interfaces[0]["statistics"][count] == 0, "{interfaces:?}");
        }
        expect_routes(client)?;

        let port = card.page_port(guest)?;
        let text = page(port)?;
        ensure!(text.starts_with("tinyqga "), "{text}");
        for expected in user_addresses(card).iter().chain([&card.hardware_address()]) {
            ensure!(text.contains(expected), "{expected} in {text}");
        }
        for (request, status, allow) in [
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", None),
            ("GET / HTTP/1.0\r\n\r\n", "200 OK", None),
            ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found", None),
            ("PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed", Some("GET, HEAD")),
            ("rubbish\r\n\r\n", "400 Bad Request", None),
        ] {
            let answer = ask(port, request)?;
            ensure!(answer.status == format!("HTTP/1.1 {status}"), "{answer:?}");
            ensure!(answer.field("Allow") == allow, "{answer:?}");
            ensure!(answer.field("Connection") == Some("close"), "{answer:?}");
            ensure!(answer.contents.is_empty() == request.starts_with("HEAD"), "{answer:?}");
        }
        let too_long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(2000));
        let answer = ask(port, &too_long)?;
        ensure!(answer.status.contains(" 431 "), "{answer:?}");
        Ok(())
    })
}

/// There is an address within two seconds of the launch, whatever timers the machine lacks.
fn soon_without(devices: &str) -> Result<()> {
    const SOON: Duration = Duration::from_secs(2);
    let card = Card::user(1);
    let launch = launch()?.extra(card.arguments(Machine::Microvm)).extra(["-M", devices]);
    with_guest(launch, |guest, client| {
        await_user_addresses(client, "eth0", &card)?;
        let took = guest.started().elapsed();
        ensure!(took < SOON, "it took {took:?}");
        Ok(())
    })
}

/// Default routes by the user network's routers, and its own networks.
fn expect_routes(client: &mut Client) -> Result<()> {
    let routes = client.call("guest-network-get-route", &json!({})).granted()?;
    let routes = routes.as_array().context("not a list")?;
    let has = |members: &Value| {
        let members = members.as_object().into_iter().flatten();
        let members: Vec<_> = members.collect();
        let found = routes.iter().any(|one| members.iter().all(|(key, value)| one[key] == **value));
        ensure!(found, "{members:?} in {routes:?}");
        Ok(())
    };
    has(&json!({"version": 4, "iface": "eth0", "destination": "0.0.0.0", "mask": "0.0.0.0",
        "gateway": "10.0.2.2", "flags": 3}))?;
    has(&json!({"version": 4, "iface": "eth0", "destination": "10.0.2.0",
        "mask": "255.255.255.0", "gateway": "0.0.0.0", "flags": 1}))?;
    has(&json!({"version": 6, "iface": "eth0", "destination": "::", "desprefixlen": "0",
        "nexthop": "fe80::2", "flags": 3}))?;
    has(&json!({"version": 6, "iface": "eth0", "destination": "fec0::", "desprefixlen": "64",
        "nexthop": "::", "flags": 1}))?;
    ensure!(routes.len() == 5, "{routes:?}");
    Ok(())
}

fn set_link(guest: &mut Guest, card: &Card, is_up: bool) -> Result<()> {
    guest.qmp().execute("set_link", &json!({"name": card.id(), "up": is_up}))?;
    Ok(())
}

fn the_link_goes_down_and_up() -> Result<()> {
    for (machine, channel) in MACHINES {
        let card = Card::user(1);
        let launch = Launch::image(Image::Appliance, machine, channel)?;
        with_guest(launch.extra(card.arguments(machine)), |guest, client| {
            let port = card.page_port(guest)?;
            for _ in 0..3 {
                await_user_addresses(client, "eth0", &card)?;
                page(port)?;
                set_link(guest, &card, false)?;
                client.await_addresses("eth0", &[], ADDRESSES)?;
                let interfaces = client.interfaces()?;
                let address = &interfaces[0]["hardware-address"];
                ensure!(*address == card.hardware_address(), "{interfaces:?}");
                let routes = client.call("guest-network-get-route", &json!({})).granted()?;
                ensure!(routes == json!([]), "{routes}");
                set_link(guest, &card, true)?;
            }
            await_user_addresses(client, "eth0", &card)?;
            page(port).map(|_| ())
        })?;
    }
    Ok(())
}

/// Suspended to memory and woken up, the guest has its addresses again, and its page.
fn the_machine_sleeps_and_wakes_up() -> Result<()> {
    for machine in [Machine::Pc, Machine::Q35] {
        let card = Card::user(1);
        let launch = Launch::image(Image::Appliance, machine, Channel::VirtioPci)?;
        with_guest(launch.extra(card.arguments(machine)), |guest, client| {
            let port = card.page_port(guest)?;
            for _ in 0..3 {
                await_user_addresses(client, "eth0", &card)?;
                page(port)?;
                let before = client.interfaces()?[0]["statistics"]["rx-packets"].as_u64();
                client.send("{\"execute\":\"guest-suspend-ram\"}\n")?;
                guest.qmp().event("SUSPEND", ANSWER)?;
                guest.qmp().execute("system_wakeup", &json!({}))?;
                guest.qmp().event("WAKEUP", ANSWER)?;
                client.wait_until_up()?;
                await_user_addresses(client, "eth0", &card)?;
                let after = client.interfaces()?[0]["statistics"]["rx-packets"].as_u64();
                ensure!(after > before, "a new lease: {before:?}, {after:?}");
            }
            page(port).map(|_| ())
        })?;
    }
    Ok(())
}

fn two_cards(machine: Machine, channel: Channel) -> Result<()> {
    let first = Card::user(1);
    let second = Card::user_network(2, "192.168.77.0/24", "fd00:77::");
    let launch = Launch::image(Image::Appliance, machine, channel)?;
    let arguments = [first.arguments(machine), second.arguments(machine)].concat();
    with_guest(launch.extra(arguments), |guest, client| {
        let interfaces = client.interfaces()?;
        ensure!(interfaces.len() == 2, "{interfaces:?}");
        let name = |card: &Card| {
            let mut found = interfaces.iter();
            let found = found.find(|one| one["hardware-address"] == card.hardware_address());
            let name = found.and_then(|one| one["name"].as_str());
            name.map(str::to_owned).with_context(|| format!("{interfaces:?}"))
        };
        let names = [name(&first)?, name(&second)?];
        ensure!(names == ["eth0", "eth1"], "{names:?}");
        await_user_addresses(client, &names[0], &first)?;
        let link_local = format!("{}/64", second.link_local());
        let advertised = link_local.replace("fe80::", "fd00:77::");
        let expected = ["192.168.77.15/24", &link_local, &advertised];
        client.await_addresses(&names[1], &expected, ADDRESSES)?;
        for card in [&first, &second] {
            let port = card.page_port(guest)?;
            let text = page(port)?;
            ensure!(text.contains(USER_IPV4) && text.contains("192.168.77.15/24"), "{text}");
        }
        // One of them may go without the other.
        set_link(guest, &first, false)?;
        client.await_addresses(&names[0], &[], ADDRESSES)?;
        client.await_addresses(&names[1], &expected, ADDRESSES)?;
        let port = second.page_port(guest)?;
        page(port).map(|_| ())
    })
}

fn no_card() -> Result<()> {
    with_guest(launch()?, |_, client| {
        client.expect(r#"{"execute":"guest-network-get-interfaces"}"#, r#"{"return": []}"#)?;
        client.expect(r#"{"execute":"guest-network-get-route"}"#, r#"{"return": []}"#)
    })
}

fn more_cards_than_interfaces() -> Result<()> {
    let cards: Vec<Card> = (1..=5).map(Card::user).collect();
    let arguments: Vec<_> = cards.iter().flat_map(|card| card.arguments(Machine::Pc)).collect();
    let launch = Launch::image(Image::Appliance, Machine::Pc, Channel::VirtioPci)?;
    with_guest(launch.extra(arguments), |guest, client| {
        for (name, card) in ["eth0", "eth1", "eth2", "eth3"].into_iter().zip(&cards) {
            await_user_addresses(client, name, card)?;
            let text = page(card.page_port(guest)?)?;
            ensure!(text.matches(USER_IPV4).count() == 4, "{text}");
        }
        let count = client.interfaces()?.len();
        ensure!(count == 4, "{count} interfaces");
        Ok(())
    })
}

/// A cable that leads nowhere: there is an address for it, and nothing else is disturbed.
fn nobody_answers() -> Result<()> {
    let card = Card::on(1, "hubport,hubid=0");
    with_guest(launch()?.extra(card.arguments(Machine::Microvm)), |_, client| {
        let link_local = format!("{}/64", card.link_local());
        client.await_addresses("eth0", &[&link_local], ADDRESSES)?;
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let (reply, took) = client.ask_timed(r#"{"execute":"guest-ping"}"#)?;
            ensure!(reply == "{\"return\": {}}\n" && took < ANSWER / 2, "{took:?}");
        }
        let link_local = [link_local.as_str()];
        client.await_addresses("eth0", &link_local, ADDRESSES)
    })
}

/// With a lease, and while one is looked for, the guest sleeps.
fn idle() -> Result<()> {
    const WINDOW: Duration = Duration::from_secs(10);
    /// One percent of a core.
    const ALLOWED: Duration = Duration::from_millis(100);
    let mut guests = Vec::new();
    for (machine, channel) in MACHINES {
        for card in [Card::user(1), Card::on(1, "hubport,hubid=0")] {
            let launch = Launch::image(Image::Appliance, machine, channel)?;
            let guest = launch.extra(card.arguments(machine)).start()?;
            let mut client = guest.connect_when_up()?;
            let is_leased = card == Card::user(1);
            if is_leased {
                await_user_addresses(&mut client, "eth0", &card)?;
            }
            guests.push((format!("{machine}, leased: {is_leased}"), guest, client));
        }
    }
    let used = processor_time_during(WINDOW, guests.iter().map(|(_, guest, _)| guest))?;
    let mut report = Vec::new();
    for ((name, mut guest, mut client), used) in guests.into_iter().zip(used) {
        println!("{name}: {used:?}");
        if used >= ALLOWED {
            report.push(format!("{name}: {used:?}"));
        }
        // It slept, it did not die.
        client
            .expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
            .map_err(|error| error.context(guest.evidence()))?;
    }
    ensure!(report.is_empty(), "of {WINDOW:?}:\n{}", report.join("\n"));
    Ok(())
}

fn a_client_that_says_nothing_is_cut_off() -> Result<()> {
    let card = Card::user(1);
    with_guest(launch()?.extra(card.arguments(Machine::Microvm)), |guest, client| {
        await_user_addresses(client, "eth0", &card)?;
        let port = card.page_port(guest)?;
        let mut mute = connect(port)?;
        mute.set_read_timeout(Some(Duration::from_secs(20)))?;
        let begun = Instant::now();
        for _ in 0..20 {
            page(port)?;
        }
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = mute.read_to_end(&mut bytes);
        let took = begun.elapsed();
        ensure!(bytes.is_empty(), "{bytes:?}");
        ensure!((Duration::from_secs(8)..Duration::from_secs(15)).contains(&took), "{took:?}");
        page(port).map(|_| ())
    })
}

fn the_agent_answers_while_the_page_is_busy() -> Result<()> {
    const DURING: Duration = Duration::from_secs(5);
    for (machine, channel) in MACHINES {
        let card = Card::user(1);
        let launch = Launch::image(Image::Appliance, machine, channel)?;
        with_guest(launch.extra(card.arguments(machine)), |guest, client| {
            await_user_addresses(client, "eth0", &card)?;
            let port = card.page_port(guest)?;
            let end = Instant::now() + DURING;
            let pages = thread::spawn(move || -> Result<u32> {
                let mut pages = 0;
                while Instant::now() < end {
                    page(port)?;
                    pages += 1;
                }
                Ok(pages)
            });
            let (mut pings, mut longest) = (0, Duration::ZERO);
            while Instant::now() < end {
                let (reply, took) = client.ask_timed(r#"{"execute":"guest-ping"}"#)?;
                ensure!(reply == "{\"return\": {}}\n", "{reply}");
                longest = longest.max(took);
                pings += 1;
            }
            let pages = pages.join().map_err(|_| anyhow::anyhow!("the client failed"))??;
            println!("{machine}: {pages} pages, {pings} pings, the longest {longest:?}");
            // Thousands on a host that has nothing else to do.
            ensure!(pages >= 20 && pings >= 20, "{pages} pages, {pings} pings");
            Ok(())
        })?;
    }
    Ok(())
}
