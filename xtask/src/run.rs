//! `cargo xtask run`: boots a guest and shows its agent at work, as libvirt and Proxmox use it.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use lexopt::{Arg, Parser};
use signal_hook::consts::SIGINT;
use tests::client::ANSWER;
use tests::disk::{Disk, Drive};
use tests::elf::{Elf, Kind};
use tests::image::Image;
use tests::machine::{Channel, Machine};
use tests::network::Card;
use tests::qemu::{Guest, Launch};
use tests::readme;

use crate::machine::{self, PROCESSORS};
use crate::stage::{Stage, show, time};
use crate::{choice, files, install, network, number, unexpected};

/// What was asked for.
pub(crate) struct Options {
    board: Image,
    machine: Machine,
    uart: bool,
    memory_mib: u32,
    stay: bool,
    log: bool,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Self {
            board: Image::Pc,
            machine: Machine::Pc,
            uart: false,
            memory_mib: 8,
            stay: false,
            log: false,
        };
        let boards = [Image::Pc, Image::Appliance].map(|image| (image.name(), image));
        let machines = Machine::ALL.map(|machine| (machine.name(), machine));
        let channels = [("virtio", false), ("uart", true)];
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("board") => options.board = choice(&mut parser, "board", &boards)?,
                Arg::Long("machine") => {
                    options.machine = choice(&mut parser, "machine", &machines)?;
                }
                Arg::Long("channel") => options.uart = choice(&mut parser, "channel", &channels)?,
                Arg::Long("memory") => {
                    options.memory_mib = number(&mut parser, "memory", "a number of MiB")?;
                }
                Arg::Long("stay") => options.stay = true,
                Arg::Long("log") => options.log = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        let least = options.board.least_memory_mib();
        ensure!(
            options.memory_mib >= least,
            "--memory {} is not enough: {} takes at least {least} MiB",
            options.memory_mib,
            options.board.name()
        );
        Ok(Some(options))
    }
}

/// Played on connections of their own.
const LATER: [&str; 2] = ["guest-sync-delimited", "guest-shutdown"];

/// Builds, boots, plays and ends.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    const A_YEAR: Duration = Duration::from_hours(365 * 24);
    install::qemu()?;
    if options.board == Image::Appliance {
        install::fat_tools()?;
    }
    let channel = if options.uart { Channel::Com1 } else { options.machine.usual_virtio() };
    println!("building the image");
    let kernel = options.board.build()?;
    let elf = Elf::read(&kernel)?;
    println!(
        "image    {}\n         {} bytes of code and data, {} of static RAM",
        kernel.display(),
        elf.code_and_data(),
        elf.size_of(Kind::Zeroed)
    );
    println!(
        "machine  {}, {channel}, {} MiB of memory, {PROCESSORS} processors",
        options.machine, options.memory_mib
    );
    let mut launch = Launch::new(&kernel, options.machine, channel)
        .memory_mib(options.memory_mib)
        .extra(["-smp", &PROCESSORS.to_string()])
        .lifetime(A_YEAR);
    let disk = match options.board {
        Image::Appliance => Some(files::make_disk()?),
        Image::Pc | Image::Uart => None,
    };
    if let Some(disk) = &disk {
        launch = launch.drive(Drive::of(disk).discard());
    }
    let card = (options.board == Image::Appliance).then(|| Card::user(1));
    if let Some(card) = &card {
        launch = launch.extra(card.arguments(options.machine));
    }
    let mut guest = launch.start()?;
    let played = play(&mut guest, disk.as_ref(), card.as_ref(), options);
    if options.log || played.is_err() {
        print!("\nguest log\n{}", guest.log());
    }
    played?;
    Ok(ExitCode::SUCCESS)
}

fn play(
    guest: &mut Guest,
    disk: Option<&Disk>,
    card: Option<&Card>,
    options: &Options,
) -> Result<()> {
    let mut client = guest.connect()?;
    client.wait_until_up()?;
    println!("boot     {} from launching QEMU to the first reply", time(guest.started().elapsed()));

    let mut stage = Stage::new(client);
    transcript(&mut stage)?;
    machine::play(&mut stage, guest)?;
    if let Some(disk) = disk {
        files::play(&mut stage, disk)?;
    }
    if let Some(card) = card {
        network::play(&mut stage, guest, card)?;
    }
    stage.end(&LATER)?;
    println!("\nas Proxmox: a connection for each command, sync and command in one write");
    for command in ["guest-ping", "guest-info"] {
        let mut client = guest.connect()?;
        let started = Instant::now();
        let reply = client.ask_as_proxmox(command)?;
        show(command, started.elapsed(), &format!("0xFF sync, {command}"), &reply);
    }
    if options.stay {
        return stay(guest, card, options);
    }
    shut_down(guest)
}

/// What every board has, on one connection as libvirt keeps it.
fn transcript(stage: &mut Stage) -> Result<()> {
    const PINGS: usize = 500;
    println!("\nas libvirt: one connection");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    for request in [
        "{\"execute\":\"guest-sync\", \"arguments\":{\"id\":1234567890}}",
        "{\"execute\":\"guest-ping\"}",
        "{\"execute\":\"guest-info\"}",
        "{\"execute\":\"guest-get-time\"}",
        &format!("{{\"execute\":\"guest-set-time\", \"arguments\":{{\"time\":{now}}}}}"),
        "{\"execute\":\"guest-get-time\"}",
        "{\"execute\":\"guest-set-time\"}",
        "{\"execute\":\"guest-no-such-command\"}",
    ] {
        stage.ask(request)?;
    }

    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        times.push(stage.client.ask_timed("{\"execute\":\"guest-ping\"}")?.1);
    }
    times.sort_unstable();
    let median = times.get(PINGS / 2).copied().unwrap_or_default();
    println!("\nguest-ping {PINGS} times: median {}", time(median));
    Ok(())
}

fn shut_down(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect()?;
    let request = "{\"execute\":\"guest-shutdown\", \"arguments\":{\"mode\":\"powerdown\"}}";
    client.send(format!("{request}\n"))?;
    let started = Instant::now();
    let status = guest.wait_for_exit(ANSWER)?;
    show("guest-shutdown", started.elapsed(), request, "(no reply, as qemu-ga)\n");
    println!("\nQEMU ended with {status}");
    ensure!(status.success(), "QEMU failed");
    Ok(())
}

/// Tells how to reach the guest, and waits until it is shut down or interrupted.
fn stay(guest: &mut Guest, card: Option<&Card>, options: &Options) -> Result<()> {
    let socket = guest.agent_socket();
    let directory = socket.parent().context("no directory")?;
    println!("\nthe guest stays up; its socket is {}", socket.display());
    println!();
    for command in ["guest-info", "guest-shutdown"] {
        println!(
            "  echo '{{\"execute\":\"{command}\"}}' | socat -t1 - UNIX-CONNECT:{},shut-none",
            socket.display()
        );
    }
    if let Some(card) = card {
        println!("\nits page:\n\n  curl {}", network::url(guest, card)?);
    }
    if options.board == Image::Pc
        && let Ok(domain) = readme::block("libvirt-domain")
    {
        let file = directory.join("domain.xml");
        let domain = readme::with_kernel(&domain, guest.kernel())?;
        fs::write(&file, &domain)?;
        let name = readme::domain_name(&domain)?;
        println!("\nor the same image as a guest of libvirt:\n");
        println!("  virsh -c qemu:///session create {}", file.display());
        println!(
            "  virsh -c qemu:///session qemu-agent-command {name} '{{\"execute\":\"guest-info\"}}'"
        );
        println!("  virsh -c qemu:///session shutdown {name} --mode agent");
    }
    println!("\nCtrl-C ends it");
    // The interrupt reaches QEMU too; catching it here leaves time to remove the directory.
    let interrupted = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGINT, Arc::clone(&interrupted))?;
    while guest.is_running()? && !interrupted.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
