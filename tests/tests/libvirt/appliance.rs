//! The appliance with a disk and a network device: what virsh shows of the guest.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result, ensure};
use tests::deadline::Deadline;
use tests::disk::{Disk, Format};
use tests::image::Image;
use tests::readme;

use crate::session::Session;
use crate::{PATIENCE, await_agent};

const MAC: &str = "52:54:00:c1:1e:75";
const SERIAL: &str = "appliance-disk";
const WORDS: &str = "agent.host_name=web-1 agent.timezone=CET+01:00 \
    agent.os.pretty_name=\"Web Appliance 3\"";

#[test]
fn virsh_shows_the_guest() -> Result<()> {
    let session = Session::open()?;
    let kernel = session.home().join("tinyqga-appliance.elf");
    fs::copy(Image::Appliance.build()?, &kernel)?;
    let disk = session.home().join("disk");
    fs::copy(Disk::formatted(Format::PARTITIONED)?.path(), &disk)?;
    // The guest is not this process's user.
    fs::set_permissions(&disk, Permissions::from_mode(0o666))?;
    let xml = readme::with_kernel(&readme::block("libvirt-domain")?, &kernel)?;
    let words = WORDS.replace('"', "&quot;");
    let disk = disk.display();
    let devices = format!(
        "<disk type='file' device='disk'>\
           <driver name='qemu' type='raw'/><source file='{disk}'/>\
           <target dev='vda' bus='virtio'/><serial>{SERIAL}</serial>\
         </disk>\
         <interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>\
         </devices>"
    );
    let xml = xml
        .replace("</kernel>", &format!("</kernel><cmdline>{words}</cmdline>"))
        .replace("<vcpu>1</vcpu>", "<vcpu>2</vcpu>")
        .replace("</devices>", &devices);
    session.with_domain(&xml, |domain| play(&session, domain))
}

fn play(session: &Session, domain: &str) -> Result<()> {
    await_agent(session, domain)?;
    let address = ["domifaddr", domain, "--source", "agent"];
    Deadline::within(PATIENCE).await_some("an address", || {
        let shown = session.virsh(&address)?;
        Ok((shown.contains(MAC) && shown.contains("10.0.2.15/24")).then_some(()))
    })?;

    let shown = session.virsh(&["domhostname", domain, "--source", "agent"])?;
    ensure!(shown.trim() == "web-1", "domhostname: {shown}");
    let shown = session.virsh(&["domfsinfo", domain])?;
    let words: Vec<&str> = shown.split_whitespace().collect();
    ensure!(words == ["/", "vda1", "vfat", "vda"], "domfsinfo: {shown}");

    // Each type by itself: libvirt then does not pass over what the agent cannot do.
    let version = env!("CARGO_PKG_VERSION");
    for (types, expected) in [
        (&["--user"][..], &[("user.count", "0")][..]),
        (
            &["--os"],
            &[
                ("os.id", "tinyqga"),
                ("os.name", "tinyqga"),
                ("os.pretty-name", "Web Appliance 3"),
                ("os.version", version),
                ("os.version-id", version),
                ("os.variant-id", "appliance"),
                ("os.kernel-release", version),
                ("os.machine", "x86_64"),
            ],
        ),
        (&["--timezone"], &[("timezone.name", "CET"), ("timezone.offset", "3600")]),
        (&["--hostname"], &[("hostname", "web-1")]),
        (
            &["--filesystem"],
            &[
                ("fs.count", "1"),
                ("fs.0.name", "vda1"),
                ("fs.0.mountpoint", "/"),
                ("fs.0.fstype", "vfat"),
                ("fs.0.disk.count", "1"),
                // libvirt finds its own disk by the address.
                ("fs.0.disk.0.alias", "vda"),
                ("fs.0.disk.0.serial", SERIAL),
                ("fs.0.disk.0.device", "/dev/vda1"),
            ],
        ),
        (
            &["--disk"],
            &[
                ("disk.count", "2"),
                ("disk.0.name", "/dev/vda"),
                ("disk.0.partition", "no"),
                ("disk.0.alias", "vda"),
                ("disk.1.name", "/dev/vda1"),
                ("disk.1.partition", "yes"),
                ("disk.1.dependency.0.name", "/dev/vda"),
            ],
        ),
        (
            &["--interface"],
            &[("if.count", "1"), ("if.0.hwaddr", MAC), ("if.0.addr.0.addr", "10.0.2.15")],
        ),
        (&["--user", "--os", "--timezone", "--hostname", "--interface"], &[("if.count", "1")]),
        (&[], &[("hostname", "web-1"), ("fs.count", "1"), ("disk.count", "2")]),
    ] {
        let shown = session.virsh(&[&["guestinfo", domain], types].concat())?;
        let value = |key: &str| {
            let mut pairs = shown.lines().filter_map(|line| line.split_once(':'));
            let found = pairs.find(|(name, _)| name.trim() == key);
            found.map(|(_, value)| value.trim()).with_context(|| format!("no {key}:\n{shown}"))
        };
        for (key, expected) in expected {
            let found = value(key)?;
            ensure!(found == *expected, "{key} is {found}, not {expected}:\n{shown}");
        }
    }

    let processors = |expected: &str| -> Result<()> {
        let shown = session.virsh(&["guestvcpus", domain])?;
        let online = shown.lines().find_map(|line| line.trim().strip_prefix("online"));
        let online = online.and_then(|rest| rest.split(':').nth(1)).map(str::trim);
        ensure!(online == Some(expected), "guestvcpus: {shown}");
        Ok(())
    };
    processors("0-1")?;
    session.virsh(&["guestvcpus", domain, "1", "--disable"])?;
    processors("0")?;
    session.virsh(&["guestvcpus", domain, "1", "--enable"])?;
    processors("0-1")
}
