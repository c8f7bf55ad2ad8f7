//! Disks that are full, missing, read-only, broken or damaged: an error each, and the agent goes on.

use anyhow::{Result, ensure};
use fastrand::Rng;
use serde_json::{Value, json};
use tests::client::Client;
use tests::disk::{Disk, Drive, Failing, Format};
use tests::files::{Refused, Verdict as _};
use tests::qemu::Guest;

use crate::{Case, launch, with_guest};

pub(crate) const CASES: &[Case] = &[
    Case::new("damaged/fat16/0", || damaged(Format::FAT16, 0)),
    Case::new("damaged/fat16/1", || damaged(Format::FAT16, 1)),
    Case::new("damaged/fat32/0", || damaged(Format::FAT32, 2)),
    Case::new("damaged/fat32/1", || damaged(Format::PARTITIONED, 3)),
    Case::new("full/fat16", || full(Some(Format::FAT16.mib(6).cluster_sectors(2)))),
    Case::new("full/fat32", || full(Some(Format::FAT32.mib(34)))),
    Case::new("full/ram", || full(None)),
    Case::new("disk-without-volume", disk_without_volume),
    Case::new("read-only", read_only),
    Case::new("failing/reads", failing_reads),
    Case::new("failing/all-reads", failing_all_reads),
    Case::new("failing/writes", || failing_writes("write")),
    Case::new("failing/flushes", || failing_writes("flush")),
    Case::new("failing/discards", failing_discards),
    Case::new("failing/no-answers", no_answers),
];

/// How many images each case of `damaged` tries: 100 in all.
const DAMAGED_IMAGES: usize = 25;

/// Everything that touches files, of which each must be answered, no matter how.
fn use_everything(client: &mut Client) -> Result<Vec<Result<Value, Refused>>> {
    let mut answers = Vec::new();
    for (path, mode) in [
        ("hello.txt", "r"),
        ("hello.txt", "r+"),
        ("big.bin", "r"),
        ("etc/some config.conf", "a+"),
        ("etc", "r"),
        ("new", "w+"),
        ("etc/another new file.txt", "w"),
    ] {
        let opened = client.call("guest-file-open", &json!({"path": path, "mode": mode}))?;
        if let Ok(handle) = &opened {
            let of_file = |more: Value| {
                let mut arguments = json!({"handle": handle});
                for (name, value) in more.as_object().into_iter().flatten() {
                    arguments[name] = value.clone();
                }
                arguments
            };
            let data = "QUJD".repeat(3000);
            for (command, more) in [
                ("guest-file-read", json!({"count": 100_000})),
                ("guest-file-write", json!({"buf-b64": data})),
                ("guest-file-seek", json!({"offset": -1, "whence": "end"})),
                ("guest-file-read", json!({})),
                ("guest-file-flush", json!({})),
                ("guest-file-close", json!({})),
            ] {
                answers.push(client.call(command, &of_file(more))?);
            }
        }
        answers.push(opened);
    }
    for command in
        ["guest-get-fsinfo", "guest-fstrim", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]
    {
        answers.push(client.call(command, &json!({}))?);
    }
    client.sync_delimited(tests::client::ANSWER)?;
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
    Ok(answers)
}

/// A disk with the files that [`use_everything`] uses.
fn disk_with_files(format: Format) -> Result<Disk> {
    let disk = Disk::formatted(format)?;
    disk.put("hello.txt", b"Hello World!\n")?;
    disk.put("big.bin", &vec![0xa5; 40_000])?;
    disk.make_directory("etc")?;
    disk.put("etc/some config.conf", &[b'c'; 5000])?;
    Ok(disk)
}

/// Random bytes where a volume keeps its books.
fn damaged(format: Format, seed: u64) -> Result<()> {
    let template = disk_with_files(format)?;
    let image = template.read()?;
    let mut random = Rng::with_seed(seed);
    // Where there is anything at all: boot sector, tables, directories, a few files.
    let volume = u64::from(format.first_sector) * 512;
    let used: Vec<u64> = (0..image.len() as u64 / 512)
        .filter(|sector| *sector == 0 || sector * 512 >= volume)
        .filter(|&sector| {
            let start = usize::try_from(sector * 512).unwrap_or_default();
            image[start..start + 512].iter().any(|&byte| byte != 0 && byte != 0xa5)
        })
        .collect();
    for index in 0..DAMAGED_IMAGES {
        let disk = template.copy()?;
        let mut changes = Vec::new();
        for _ in 0..random.usize(1..40) {
            let sector = used[random.usize(0..used.len())];
            // Books are kept at the beginning of a sector more often than at its end.
            let within = random.u64(0..512).min(random.u64(0..512));
            // Ends of chains, free clusters, small numbers, and anything.
            let byte = |random: &mut Rng| match random.u8(0..8) {
                index @ 0..5 => [0, 1, 2, 0xf8, 0xff][usize::from(index)],
                _ => random.u8(..),
            };
            let bytes: Vec<u8> = (0..random.usize(1..5)).map(|_| byte(&mut random)).collect();
            let offset = (sector * 512 + within).min(image.len() as u64 - 4);
            disk.overwrite(offset, &bytes)?;
            changes.push((offset, bytes));
        }
        with_guest(launch()?.drive(Drive::of(&disk).discard()), |_, client| {
            use_everything(client).map(|_| ())
        })
        .map_err(|error| error.context(format!("image {index} of seed {seed}: {changes:x?}")))?;
    }
    Ok(())
}

/// Fills the file system until it is full, and makes room again.
fn full(format: Option<Format>) -> Result<()> {
    const NO_SPACE: &str = "No space left on device";
    let disk = format.map(Disk::formatted).transpose()?;
    let mut launch = launch()?;
    if let Some(disk) = &disk {
        // The host fills most of it, which is faster.
        let most = usize::try_from(disk.path().metadata()?.len())? * 3 / 4;
        disk.put("most", &vec![b'm'; most])?;
        launch = launch.drive(Drive::of(disk));
    }
    with_guest(launch, |_, client| {
        client.put_file("first", b"not to be lost")?;
        let piece = vec![b'f'; 64 * 1024];
        let mut files = 0;
        let mut kept = 0;
        let refused = loop {
            let name = format!("fill{files}");
            files += 1;
            match fill(client, &name, &piece)? {
                (0, refused) => break refused,
                (count, _) => kept += count,
            }
        };
        ensure!(refused.ends_with(NO_SPACE), "{refused}");
        ensure!(kept > 500_000, "full after {kept} bytes");
        // Nothing is lost, nothing else is there.
        ensure!(client.take_file("first", 4096)? == b"not to be lost", "the first file is lost");
        let mut found = 0;
        for index in 0..files {
            if let Ok(contents) = client.take_file(&format!("fill{index}"), 1 << 20) {
                ensure!(contents.iter().all(|&byte| byte == b'f'), "fill{index} has other bytes");
                found += contents.len();
            }
        }
        ensure!(found >= kept, "of {kept} bytes {found} are left");
        // There is room again.
        let handle = client.open("fill0", "w").granted()?;
        client.close(handle).granted()?;
        client.put_file("after", &piece)?;
        ensure!(client.take_file("after", 4096)? == piece, "it was written as another file");
        disk.iter().try_for_each(Disk::expect_clean)
    })
}

/// Writes and flushes pieces until no more fits: how many bytes there are, and what was said.
fn fill(client: &mut Client, name: &str, piece: &[u8]) -> Result<(usize, String)> {
    let mut kept = 0;
    let handle = match client.open(name, "w")? {
        Ok(handle) => handle,
        Err(Refused(text)) => return Ok((0, text)),
    };
    let text = loop {
        ensure!(kept < 64 << 20, "there is no end to the disk");
        let written = match client.write(handle, piece)? {
            Ok(count) => count,
            Err(Refused(text)) => break text,
        };
        if let Err(Refused(text)) = client.flush(handle)? {
            break text;
        }
        kept += written;
    };
    // What did not fit may be lost with it.
    drop(client.close(handle)?);
    Ok((kept, text))
}

/// Without a volume files are in memory, and the disk is left alone.
fn disk_without_volume() -> Result<()> {
    let disk = Disk::blank(16)?;
    disk.overwrite(0, &vec![0x5a; 100_000])?;
    let before = disk.read()?;
    let volume = disk_with_files(Format::FAT16)?;
    with_guest(launch()?.drive(Drive::of(&disk)), |_, client| {
        let list = client.call("guest-get-fsinfo", &json!({})).granted()?;
        ensure!(list[0]["type"] == "ram", "{list}");
        client.put_file("f", b"in memory")?;
        ensure!(disk.read()? == before, "the disk was written to");
        Ok(())
    })?;
    // A second disk with a volume is found.
    let launch = launch()?.drive(Drive::of(&disk)).drive(Drive::of(&volume));
    with_guest(launch, |_, client| {
        ensure!(client.take_file("hello.txt", 4096)? == b"Hello World!\n", "another file");
        ensure!(disk.read()? == before, "the first disk was written to");
        Ok(())
    })
}

fn read_only() -> Result<()> {
    const READ_ONLY: &str = "Read-only file system";
    for format in [Format::FAT16, Format::PARTITIONED] {
        let disk = disk_with_files(format)?;
        let before = disk.read()?;
        with_guest(launch()?.drive(Drive::of(&disk).read_only()), |_, client| {
            ensure!(client.take_file("hello.txt", 4096)? == b"Hello World!\n", "another file");
            for (path, mode) in
                [("hello.txt", "r+"), ("hello.txt", "a"), ("big.bin", "w"), ("n", "w")]
            {
                let text = client.open(path, mode).refused()?;
                let expected =
                    format!("failed to open file '{path}' (mode: '{mode}'): {READ_ONLY}");
                ensure!(text == expected, "{text}");
            }
            use_everything(client)?;
            ensure!(disk.read()? == before, "the disk was written to");
            Ok(())
        })?;
    }
    Ok(())
}

/// The sectors of one file cannot be read, everything else can.
fn failing_reads() -> Result<()> {
    let disk = disk_with_files(Format::FAT16)?;
    let image = disk.read()?;
    let first = image.chunks(512).position(|sector| sector.iter().all(|&byte| byte == 0xa5));
    let sector = first.map(|first| first as u64 + 8);
    let failing = Failing { requests: "read", sector };
    with_guest(launch()?.drive(Drive::of(&disk).failing(failing)), |_, client| {
        let handle = client.open("big.bin", "r").granted()?;
        // Twice: the disk does not work better the next time, and the agent not worse.
        for _ in 0..2 {
            client.send(format!(
                "{{\"execute\":\"guest-file-read\",\"arguments\":{{\"handle\":{handle},\"count\":40000}}}}\n"
            ))?;
            let line = client.line(tests::client::ANSWER)?;
            let is_whole = serde_json::from_slice::<Value>(&line);
            ensure!(
                is_whole.is_err() || line.starts_with(b"{\"error\""),
                "it was read, from a disk that cannot"
            );
            client.seek(handle, 0).granted()?;
        }
        client.close(handle).granted()?;
        ensure!(client.take_file("hello.txt", 4096)? == b"Hello World!\n", "another file");
        client.put_file("new", b"written")?;
        ensure!(disk.get("new")? == b"written", "the disk holds other bytes");
        use_everything(client).map(|_| ())
    })
}

/// There is no volume on a disk that cannot be read.
fn failing_all_reads() -> Result<()> {
    let disk = disk_with_files(Format::FAT16)?;
    let failing = Failing { requests: "read", sector: None };
    with_guest(launch()?.drive(Drive::of(&disk).failing(failing)), |_, client| {
        let list = client.call("guest-get-fsinfo", &json!({})).granted()?;
        ensure!(list[0]["type"] == "ram", "{list}");
        use_everything(client).map(|_| ())
    })
}

/// Whatever cannot be written is not said to be.
fn failing_writes(requests: &'static str) -> Result<()> {
    let disk = disk_with_files(Format::FAT16)?;
    let failing = Failing { requests, sector: None };
    with_guest(launch()?.drive(Drive::of(&disk).failing(failing)), |guest: &mut Guest, client| {
        ensure!(client.take_file("hello.txt", 4096)? == b"Hello World!\n", "another file");
        let put = client.put_file("new", b"written");
        let told = put.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(told.contains("Input/output error"), "a file was written: `{told}`");
        let frozen = client.call("guest-fsfreeze-freeze", &json!({}))?;
        ensure!(requests == "write" || frozen.is_err(), "frozen, with a disk that cannot flush");
        client.call("guest-fsfreeze-thaw", &json!({})).granted()?;
        use_everything(client)?;
        guest.kill()?;
        ensure!(disk.get("hello.txt")? == b"Hello World!\n", "an old file is lost");
        let findings = disk.check()?;
        ensure!(findings.damage.is_empty(), "fsck.fat finds {findings}");
        Ok(())
    })
}

fn failing_discards() -> Result<()> {
    let disk = disk_with_files(Format::FAT16)?;
    let failing = Failing { requests: "discard", sector: None };
    with_guest(launch()?.drive(Drive::of(&disk).discard().failing(failing)), |_, client| {
        client.expect(
            r#"{"execute":"guest-fstrim"}"#,
            r#"{"return": {"paths": [{"path": "/", "error": "failed to trim: Input/output error"}]}}"#,
        )?;
        use_everything(client)?;
        disk.expect_clean()
    })
}

/// A disk that takes requests and does not answer them is given up, and may work again later.
fn no_answers() -> Result<()> {
    let disk = disk_with_files(Format::FAT16)?;
    with_guest(launch()?.drive(Drive::of(&disk)), |guest, client| {
        let mut allow = |bytes_a_second: u64| {
            let limits = json!({
                "id": "drive0", "bps": bytes_a_second, "bps_rd": 0, "bps_wr": 0,
                "iops": 0, "iops_rd": 0, "iops_wr": 0,
            });
            guest.qmp().execute("block_set_io_throttle", &limits).map(|_| ())
        };
        allow(1)?;
        let mut refusals = 0;
        for path in ["big.bin", "hello.txt", "new"] {
            let opened = client.open(path, if path == "new" { "w" } else { "r" })?;
            let outcome = match opened {
                Ok(handle) if path == "new" => client.close(handle)?,
                Ok(handle) => client.read(handle, 100)?.map(|_| ()),
                Err(refused) => Err(refused),
            };
            if let Err(Refused(text)) = outcome {
                ensure!(text.ends_with("Input/output error"), "{text}");
                refusals += 1;
            }
        }
        ensure!(refusals > 0, "the disk works though it is not allowed to");
        client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)?;
        // 0 is no limit.
        allow(0)?;
        client.put_file("after", b"it works")?;
        ensure!(disk.get("after")? == b"it works", "the disk holds other bytes");
        use_everything(client)?;
        ensure!(disk.check()?.damage.is_empty(), "the volume is damaged");
        Ok(())
    })
}
