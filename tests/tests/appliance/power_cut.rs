//! What is on the disk after QEMU was killed, or the guest has ended itself.

use anyhow::{Result, ensure};
use tests::client::ANSWER;
use tests::disk::{Disk, Drive, Format};
use tests::files::Verdict as _;
use tests::power_cuts;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("power-cuts", rounds),
    Case::new("closed-then-killed/written-back", || closed_then_killed(|drive| drive)),
    Case::new("closed-then-killed/written-through", || closed_then_killed(Drive::write_through)),
    Case::new("written-then-shut-down", written_then_shut_down),
];

/// A few of the rounds that `cargo xtask soak` plays hundreds of.
fn rounds() -> Result<()> {
    let tally = power_cuts::play(21, 4, |_| ())?;
    println!("{tally}");
    ensure!(tally.kept > 21, "hardly anything was written: {tally}");
    Ok(())
}

fn closed_then_killed(option: fn(Drive) -> Drive) -> Result<()> {
    let contents: Vec<u8> = (0..=u8::MAX).rev().cycle().take(200_001).collect();
    for format in [Format::FAT16, Format::FAT32, Format::PARTITIONED] {
        let disk = Disk::formatted(format)?;
        with_guest(launch()?.drive(option(Drive::of(&disk))), |guest, client| {
            client.put_file("Config of the Day.conf", &contents)?;
            guest.kill()?;
            ensure!(disk.get("Config of the Day.conf")? == contents, "it holds other bytes");
            disk.expect_clean()
        })?;
    }
    Ok(())
}

/// Neither flushed nor closed, but the guest has had every chance.
fn written_then_shut_down() -> Result<()> {
    let contents: Vec<u8> = (0..=u8::MAX).cycle().take(20_001).collect();
    let disk = Disk::formatted(Format::FAT32)?;
    with_guest(launch()?.drive(Drive::of(&disk)), |guest, client| {
        let handle = client.open("notes", "w").granted()?;
        client.write(handle, &contents).granted()?;
        client.send("{\"execute\":\"guest-shutdown\"}\n")?;
        ensure!(guest.wait_for_exit(ANSWER)?.success(), "QEMU did not end well");
        ensure!(disk.get("notes")? == contents, "it holds other bytes");
        disk.expect_clean()
    })
}
