//! Installs what a command needs and the machine lacks, where that can be done without asking.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};
use tests::qemu::EMULATOR;

/// Makes sure that QEMU is there.
pub(crate) fn qemu() -> Result<()> {
    packages(&[EMULATOR], &["qemu-system-x86"])
}

/// Makes sure that there is what makes, checks and reads FAT volumes.
pub(crate) fn fat_tools() -> Result<()> {
    packages(&tests::disk::PROGRAMS, &["dosfstools", "mtools"])
}

/// Makes sure that the real qemu-ga is there.
pub(crate) fn qemu_ga() -> Result<()> {
    packages(&["qemu-ga"], &["qemu-guest-agent"])
}

/// Makes sure that the program is there by which the README asks an agent.
pub(crate) fn socat() -> Result<()> {
    packages(&["socat"], &["socat"])
}

/// Makes sure that libvirt is there, with what its session daemon needs.
pub(crate) fn libvirt() -> Result<()> {
    packages(
        &["virsh", "libvirtd", "dbus-daemon", "runuser"],
        &[
            "libvirt-daemon",
            "libvirt-daemon-driver-qemu",
            "libvirt-daemon-system",
            "libvirt-clients",
            "dbus",
        ],
    )
}

/// Installs Debian's `packages` unless all of `programs` are there.
fn packages(programs: &[&str], packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| !is_program(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let is_root = rustix::process::geteuid().is_root();
    let by_hand = format!(
        "{}apt-get install -y --no-install-recommends {}",
        if is_root { "" } else { "sudo " },
        packages.join(" ")
    );
    if !is_program("apt-get") {
        bail!(
            "{missing} is missing and there is no apt-get here; install it the way of this system \
             (on Debian and Ubuntu: {by_hand})"
        );
    }
    if !is_root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        bail!("{missing} is missing; type: {by_hand}");
    }
    println!("{missing} is missing: installing {}", packages.join(" "));
    // An index that cannot be renewed may still do: the installation tells.
    if !succeeds(apt_get(is_root).args(["update", "-q"])) {
        println!("apt-get update failed; going on with the lists that are there");
    }
    let installed = apt_get(is_root)
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(packages)
        .stdin(Stdio::null())
        .status()?;
    ensure!(installed.success(), "apt-get failed; {missing} is still missing; type: {by_hand}");
    Ok(())
}

fn apt_get(is_root: bool) -> Command {
    let mut command;
    if is_root {
        command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
    } else {
        command = Command::new("sudo");
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Whether a program is on the path or where Debian keeps those for the administrator.
fn is_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .any(|directory: std::path::PathBuf| Path::is_file(&directory.join(name)))
}
