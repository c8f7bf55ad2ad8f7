//! QEMU's own cases (`tests/unit/test-qga.c`), in their order, on one agent and one connection: at
//! the images, at the Linux process, and at the real qemu-ga to know that they are right.
//!
//! Left out is what is about qemu-ga's own process: `/qga/config`.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::client::{ANSWER, Client};
use tests::conformance::Real;
use tests::deadline::Deadline;
use tests::files::Verdict as _;
use tests::image::{self, Image, linux};
use tests::machine::Machine;
use tests::qemu::{Guest, Launch, is_installed};
use tests::transcript::Transcript;

/// `Hello World!\n` and a NUL.
const HELLO: &[u8] = b"Hello World!\n\0";
const HELLO_B64: &str = "SGVsbG8gV29ybGQhCgA=";

/// How the agent is started.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    All,
    Allow(&'static str),
    Block(&'static str),
}

/// What an agent is under.
trait Agent: Sized {
    /// How the agent calls its version.
    const VERSION: Option<&'static str>;
    /// Of QEMU 8.0 and 10.0, beyond what 7.2 can.
    const IS_NEW: bool;
    /// There are files, programs and a network.
    const IS_WHOLE: bool;
    /// The release's variant as it can be told, and is told in turn.
    const VARIANT: &'static str;
    /// Programs that write to both streams, as QEMU's case does by a shell's loop.
    const STREAMS: &'static [&'static str];

    fn start(policy: Policy, with_os_release: bool) -> Result<Self>;
    fn connect(&self) -> Result<Client>;
    /// A kernel may have none to tell of.
    fn has_memory_blocks() -> bool {
        true
    }
    /// The bytes of a file, as the host sees it, where it can.
    fn file(&self, name: &str) -> Option<PathBuf>;
}

/// The release file of QEMU's tests, in other order.
const OS_RELEASE: &str = concat!(
    "ID=qemu-ga-test\nNAME=QEMU-GA\nPRETTY_NAME=\"QEMU Guest Agent test\"\n",
    "VERSION=\"Test 1\"\nVERSION_ID=1\n",
    "VARIANT=\"Unit test \\\"'\\$\\`\\\\ and \\\\\\\\ etc.\"\nVARIANT_ID=unit-test\n",
);

const OF_THE_RELEASE: &[(&str, &str)] = &[
    ("id", "qemu-ga-test"),
    ("name", "QEMU-GA"),
    ("pretty-name", "QEMU Guest Agent test"),
    ("version", "Test 1"),
    ("version-id", "1"),
    ("variant-id", "unit-test"),
];

/// A process on this machine, in a directory of its own.
struct Process<const REAL: bool> {
    child: Child,
    directory: TempDir,
}

type LinuxProcess = Process<false>;
type QemuGa = Process<true>;

impl<const REAL: bool> Drop for Process<REAL> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<const REAL: bool> Agent for Process<REAL> {
    const VERSION: Option<&'static str> = if REAL { None } else { Some(env!("CARGO_PKG_VERSION")) };
    const IS_NEW: bool = !REAL;
    const IS_WHOLE: bool = true;
    const VARIANT: &'static str = r#"Unit test "'$`\ and \\ etc."#;
    const STREAMS: &'static [&'static str] = &[
        "/bin/bash",
        "-c",
        "for i in $(seq 4); do if (( $i % 2 )); then echo stdout; else echo stderr 1>&2; fi; done;",
    ];

    fn start(policy: Policy, with_os_release: bool) -> Result<Self> {
        let directory = TempDir::new()?;
        let mut command = if REAL {
            ensure!(
                is_installed(Real::PROGRAM),
                "qemu-ga is missing; `cargo xtask test` installs it"
            );
            Command::new(Real::PROGRAM)
        } else {
            Command::new(linux()?)
        };
        command.args(["-m", "unix-listen", "-p"]).arg(directory.path().join("socket"));
        if REAL {
            command.arg("-t").arg(directory.path());
        } else {
            command.args(["--exec", "--dry-run"]);
        }
        match policy {
            Policy::All => {}
            Policy::Allow(names) => _ = command.args(["-a", names]),
            Policy::Block(names) => _ = command.args(["-b", names]),
        }
        if with_os_release {
            let path = directory.path().join("os-release");
            fs::write(&path, OS_RELEASE)?;
            command.env("QGA_OS_RELEASE", path);
        }
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, directory })
    }

    fn connect(&self) -> Result<Client> {
        let deadline = Deadline::within(Duration::from_mins(1));
        let transcript = Transcript::new(Instant::now());
        Client::connect(&self.directory.path().join("socket"), transcript, deadline)
    }

    fn has_memory_blocks() -> bool {
        Path::new("/sys/devices/system/memory/block_size_bytes").exists()
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }
}

/// The appliance with the demonstration's programs, whose files are in memory; or the pc image.
struct Bare<const IS_APPLIANCE: bool, const MACHINE: usize>(Guest);

impl<const IS_APPLIANCE: bool, const MACHINE: usize> Agent for Bare<IS_APPLIANCE, MACHINE> {
    const VERSION: Option<&'static str> = Some(env!("CARGO_PKG_VERSION"));
    const IS_NEW: bool = true;
    const IS_WHOLE: bool = IS_APPLIANCE;
    /// On a kernel's command line a double quote has no place in a value.
    const VARIANT: &'static str = r"Unit test '$`\ and \\ etc.";
    const STREAMS: &'static [&'static str] = &["streams"];

    fn start(policy: Policy, with_os_release: bool) -> Result<Self> {
        let machine = Machine::ALL[MACHINE];
        let kernel = if IS_APPLIANCE { image::demonstration()? } else { Image::Pc.build()? };
        let mut launch = Launch::new(&kernel, machine, machine.usual_virtio()).memory_mib(32);
        if IS_APPLIANCE {
            let device = format!("{},netdev=net", nic(machine));
            launch = launch.extra(["-netdev", "user,id=net", "-device", &device]);
        }
        launch = match policy {
            Policy::All => launch,
            Policy::Allow(names) => launch.more_command_line(&format!("agent.allow={names}")),
            Policy::Block(names) => launch.more_command_line(&format!("agent.block={names}")),
        };
        if with_os_release {
            launch = launch.more_command_line(&format!(
                "agent.os.id=qemu-ga-test agent.os.name=QEMU-GA agent.os.version_id=1 \
                 agent.os.pretty_name=\"QEMU Guest Agent test\" agent.os.version=\"Test 1\" \
                 agent.os.variant=\"{}\" agent.os.variant_id=unit-test",
                Self::VARIANT
            ));
        }
        Ok(Self(launch.start()?))
    }

    /// Without a word that policy may forbid.
    fn connect(&self) -> Result<Client> {
        self.0.connect()
    }

    fn file(&self, _name: &str) -> Option<PathBuf> {
        None
    }
}

fn nic(machine: Machine) -> &'static str {
    if machine == Machine::Microvm { "virtio-net-device" } else { "virtio-net-pci" }
}

/// A command that must succeed.
fn ask(client: &mut Client, command: &str) -> Result<Value> {
    client.call(command, &json!({})).granted()
}

/// The class and the description of the error that a request must end in.
fn error(client: &mut Client, request: &str) -> Result<(String, String)> {
    let reply: Value = serde_json::from_str(&client.ask(request)?)?;
    ensure!(reply.get("return").is_none(), "{request}: {reply}");
    let text = |key: &str| reply["error"][key].as_str().unwrap_or_default().to_owned();
    Ok((text("class"), text("desc")))
}

/// The cases that share an agent, in QEMU's order.
fn shared<A: Agent>() -> Result<()> {
    let agent = A::start(Policy::All, false)?;
    let client = &mut agent.connect()?;
    client.wait_until_up()?;
    client.sync_delimited(ANSWER)?;
    let id = 4_042_322_160_u32;
    let synced = client.call("guest-sync", &json!({"id": id})).granted()?;
    ensure!(synced == id, "{synced}");
    ask(client, "guest-ping")?;
    let info = ask(client, "guest-info")?;
    ensure!(A::VERSION.is_none_or(|version| info["version"] == version), "{info}");

    if A::IS_WHOLE {
        first_has(client, "guest-network-get-interfaces", &["name"], true)?;
    }
    first_has(client, "guest-get-vcpus", &["online", "logical-id"], true)?;
    let fields = ["name", "mountpoint", "type", "disk"];
    first_has(client, "guest-get-fsinfo", &fields, false)?;
    if A::IS_NEW {
        let load = ask(client, "guest-get-load")?;
        for period in ["load1m", "load5m", "load15m"] {
            ensure!(load[period].is_number(), "{load}");
        }
    }
    if A::has_memory_blocks() {
        let block = ask(client, "guest-get-memory-block-info")?;
        ensure!(block["size"].as_u64().is_some_and(|bytes| bytes > 0), "{block}");
    }
    first_has(client, "guest-get-memory-blocks", &["phys-index", "online"], false)?;
    if A::IS_WHOLE {
        files(client, &agent)?;
    }
    let time = ask(client, "guest-get-time")?;
    ensure!(time.as_i64().is_some_and(|time| time > 0), "{time}");

    let reply: Value = serde_json::from_str(&client.ask(r#"{"execute":"guest-ping","id":1}"#)?)?;
    ensure!(reply.get("error").is_none() && reply["id"] == 1, "{reply}");
    let (class, description) = error(client, r#"{"exec-oob":"guest-ping"}"#)?;
    ensure!(class == "GenericError" && !description.is_empty(), "{class}: {description}");
    let (class, description) = error(client, r#"{"execute":"guest-invalid-cmd"}"#)?;
    ensure!(class == "CommandNotFound" && !description.is_empty(), "{class}: {description}");
    let request = r#"{"execute":"guest-ping","arguments":{"foo":42}}"#;
    let (class, description) = error(client, request)?;
    let expected = "Parameter 'foo' is unexpected";
    ensure!(class == "GenericError" && description == expected, "{class}: {description}");
    if A::IS_WHOLE {
        let status = ask(client, "guest-fsfreeze-status")?;
        ensure!(status == "thawed", "{status}");
        programs::<A>(client)?;
    }
    let name = ask(client, "guest-get-host-name")?;
    ensure!(name["host-name"].is_string(), "{name}");
    let zone = ask(client, "guest-get-timezone")?;
    ensure!(zone["offset"].is_i64(), "{zone}");
    let users = ask(client, "guest-get-users")?;
    ensure!(users.is_array(), "{users}");
    Ok(())
}

/// A list whose first element, where it must have or has one, has these members.
fn first_has(client: &mut Client, command: &str, members: &[&str], must: bool) -> Result<()> {
    let list = ask(client, command)?;
    let first = list.as_array().with_context(|| format!("{command}: no list"))?.first();
    ensure!(first.is_some() || !must, "{command}: {list}");
    for member in members {
        ensure!(first.is_none_or(|first| first.get(member).is_some()), "{command}: {list}");
    }
    Ok(())
}

/// `/qga/file-ops` and `/qga/file-write-read`.
fn files<A: Agent>(client: &mut Client, agent: &A) -> Result<()> {
    let mut expect = |command: &str, arguments: Value, expected: Value| {
        let command = format!("guest-file-{command}");
        let value = client.call(&command, &arguments).granted()?;
        ensure!(expected.is_null() || value == expected, "{command} {arguments}: {value}");
        Ok(value)
    };
    let all = json!({"count": 14, "buf-b64": HELLO_B64, "eof": true});
    let none = json!({"count": 0, "buf-b64": "", "eof": true});
    let written = json!({"count": 14, "eof": false});

    let handle = expect("open", json!({"path": "foo", "mode": "w+"}), Value::Null)?;
    expect("write", json!({"handle": handle, "buf-b64": HELLO_B64}), written.clone())?;
    expect("flush", json!({"handle": handle}), Value::Null)?;
    expect("close", json!({"handle": handle}), Value::Null)?;
    if let Some(path) = agent.file("foo") {
        ensure!(fs::read(&path)? == HELLO, "the host reads something else");
    }
    let handle = expect("open", json!({"path": "foo", "mode": "r"}), Value::Null)?;
    expect("read", json!({"handle": handle}), all.clone())?;
    expect("read", json!({"handle": handle}), none.clone())?;
    let seek = json!({"handle": handle, "offset": 6, "whence": "set"});
    expect("seek", seek, json!({"position": 6, "eof": false}))?;
    let rest = json!({"count": 8, "buf-b64": "V29ybGQhCgA=", "eof": true});
    expect("read", json!({"handle": handle}), rest)?;
    expect("close", json!({"handle": handle}), Value::Null)?;

    let handle = expect("open", json!({"path": "foo", "mode": "w+"}), Value::Null)?;
    expect("write", json!({"handle": handle, "buf-b64": HELLO_B64}), written)?;
    expect("read", json!({"handle": handle}), none)?;
    let seek = json!({"handle": handle, "offset": 0, "whence": "set"});
    expect("seek", seek, json!({"position": 0, "eof": false}))?;
    expect("read", json!({"handle": handle}), all)?;
    expect("close", json!({"handle": handle}), Value::Null)?;
    Ok(())
}

/// `/qga/guest-exec`, `-separated`, `-merged` and `-invalid`.
fn programs<A: Agent>(client: &mut Client) -> Result<()> {
    let arguments =
        json!({"path": "/bin/echo", "arg": ["-n", "\" test_str \""], "capture-output": true});
    let status = run(client, &arguments)?;
    ensure!(status["exitcode"] == 0 && status["out-data"] == "IiB0ZXN0X3N0ciAi", "{status}");
    if A::IS_NEW {
        let [path, arguments @ ..] = A::STREAMS else { return Ok(()) };
        let with =
            |capture: &str| json!({"path": path, "arg": arguments, "capture-output": capture});
        let status = run(client, &with("separated"))?;
        ensure!(status["exitcode"] == 0, "{status}");
        ensure!(status["out-data"] == "c3Rkb3V0CnN0ZG91dAo=", "{status}");
        ensure!(status["err-data"] == "c3RkZXJyCnN0ZGVycgo=", "{status}");
        let status = run(client, &with("merged"))?;
        ensure!(status["exitcode"] == 0 && status.get("err-data").is_none(), "{status}");
        let merged = "c3Rkb3V0CnN0ZGVycgpzdGRvdXQKc3RkZXJyCg==";
        ensure!(status["out-data"] == merged, "{status}");
    }
    for request in [
        r#"{"execute":"guest-exec","arguments":{"path":"/bin/invalid-cmd42"}}"#,
        r#"{"execute":"guest-exec-status","arguments":{"pid":0}}"#,
    ] {
        let (class, description) = error(client, request)?;
        ensure!(class == "GenericError" && !description.is_empty(), "{class}: {description}");
    }
    Ok(())
}

/// Runs a program to its end.
fn run(client: &mut Client, arguments: &Value) -> Result<Value> {
    let started = client.call("guest-exec", arguments).granted()?;
    ensure!(started["pid"].as_i64().is_some_and(|pid| pid > 0), "{started}");
    let deadline = Deadline::within(Duration::from_secs(5));
    loop {
        let status = client.call("guest-exec-status", &json!({"pid": started["pid"]})).granted()?;
        if status["exited"] == true {
            return Ok(status);
        }
        ensure!(deadline.left().is_some(), "{arguments}: it does not end");
    }
}

/// `/qga/blockedrpcs` and `/qga/allowedrpcs`.
fn policy<A: Agent>(policy: Policy) -> Result<()> {
    let agent = A::start(policy, false)?;
    let client = &mut agent.connect()?;
    let is_allowed = matches!(policy, Policy::Allow(_));
    for (command, granted) in [
        ("guest-ping", is_allowed),
        ("guest-get-time", is_allowed),
        ("guest-get-fsinfo", !is_allowed),
        ("guest-info", !is_allowed),
    ] {
        let request = format!(r#"{{"execute":"{command}"}}"#);
        if granted {
            ask(client, command)?;
        } else {
            let (class, description) = error(client, &request)?;
            let expected = format!("Command {command} has been disabled");
            ensure!(
                class == "CommandNotFound" && description == expected,
                "{class}: {description}"
            );
        }
    }
    Ok(())
}

/// `/qga/guest-get-osinfo`
fn os_info<A: Agent>() -> Result<()> {
    let agent = A::start(Policy::All, true)?;
    let os = ask(&mut agent.connect()?, "guest-get-osinfo")?;
    for (member, expected) in OF_THE_RELEASE.iter().chain(&[("variant", A::VARIANT)]) {
        ensure!(os[member] == *expected, "{member}: {os}");
    }
    Ok(())
}

const LISTED: &str = "guest-ping,guest-get-time";

fn all<A: Agent>() -> Result<()> {
    shared::<A>()?;
    policy::<A>(Policy::Block(LISTED))?;
    if A::IS_NEW {
        policy::<A>(Policy::Allow(LISTED))?;
    }
    os_info::<A>()
}

#[test]
fn at_qemu_ga() -> Result<()> {
    all::<QemuGa>()
}

#[test]
fn at_the_linux_process() -> Result<()> {
    all::<LinuxProcess>()
}

#[test]
fn at_the_appliance_on_pc() -> Result<()> {
    all::<Bare<true, 0>>()
}

#[test]
fn at_the_appliance_on_q35() -> Result<()> {
    all::<Bare<true, 1>>()
}

#[test]
fn at_the_appliance_on_microvm() -> Result<()> {
    all::<Bare<true, 2>>()
}

#[test]
fn at_the_pc_image_on_pc() -> Result<()> {
    all::<Bare<false, 0>>()
}

#[test]
fn at_the_pc_image_on_q35() -> Result<()> {
    all::<Bare<false, 1>>()
}

#[test]
fn at_the_pc_image_on_microvm() -> Result<()> {
    all::<Bare<false, 2>>()
}
