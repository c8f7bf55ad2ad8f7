//! Rounds of writing, a kill at a random moment, and a look at what is left on the disk.
//!
//! QEMU is killed as a host dies that loses its power. What was flushed or closed before must be
//! there, byte for byte; of what was under way, all or nothing. fsck.fat may find clusters that no
//! file uses, which the next mount takes back, and never anything worse.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;

use crate::client::Client;
use crate::disk::{Disk, Drive, Findings, Format};
use crate::files::{Outcome, PIECE, Refused};
use crate::image::Image;
use crate::machine::Machine;
use crate::qemu::Launch;

/// The files that are written: short and long names, in the root and in a directory.
const PATHS: [&str; 6] = [
    "SHORT.TXT",
    "a name that is long.conf",
    "x",
    "logs/today",
    "logs/The Other Day.log",
    "logs/Z",
];

/// How long after the guest has answered the kill comes at the latest.
const LATEST_MS: u64 = 400;

/// Files do not grow beyond that.
const LENGTH_MAX: usize = 256 * 1024;

/// How it went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Rounds that were played.
    pub rounds: u32,
    /// Writes that were answered.
    pub writes: u64,
    /// Flushes and closes that were answered.
    pub kept: u64,
    /// Rounds after which clusters were left over.
    pub left_over: u32,
    /// Files whose flush or close was under way, and of which everything is there.
    pub just_in_time: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, writes, kept, left_over, just_in_time } = self;
        write!(
            f,
            "{rounds} rounds, {writes} writes, {kept} flushes and closes, {just_in_time} of them \
             done but not answered; {left_over} times clusters were left over"
        )
    }
}

/// Plays `rounds` rounds, on three volumes in turn. `report` is called after each.
///
/// # Errors
///
/// Something is on a disk that must not be there, or is not that must.
pub fn play(rounds: u32, seed: u64, mut report: impl FnMut(&Tally)) -> Result<Tally> {
    let mut random = Rng::with_seed(seed);
    let mut volumes = Vec::new();
    for (machine, format) in [
        (Machine::Microvm, Format::FAT16),
        (Machine::Microvm, Format::FAT32),
        (Machine::Pc, Format::PARTITIONED),
    ] {
        let disk = Disk::formatted(format)?;
        disk.make_directory("logs")?;
        let files = PATHS.map(|path| (path, File::default())).into();
        volumes.push(Volume { machine, disk, files });
    }
    let mut tally = Tally::default();
    while tally.rounds < rounds {
        for volume in volumes.iter_mut().take((rounds - tally.rounds) as usize) {
            tally.rounds += 1;
            volume
                .round(&mut random, &mut tally)
                .with_context(|| format!("round {} of seed {seed}", tally.rounds))?;
            report(&tally);
        }
    }
    for volume in &volumes {
        volume.expect_taken_back()?;
    }
    Ok(tally)
}

/// A volume that lives through many rounds, and what must be on it.
struct Volume {
    machine: Machine,
    disk: Disk,
    files: BTreeMap<&'static str, File>,
}

/// What a file may be after a kill.
#[derive(Default)]
struct File {
    /// What it was when it was last flushed or closed; `None` if it never was.
    kept: Option<Vec<u8>>,
    /// What it is becoming by a flush or a close that has not been answered.
    under_way: Option<Vec<u8>>,
    /// Whether it has been made, and may be there without contents.
    is_made: bool,
}

impl Volume {
    fn launch(&self) -> Result<Launch> {
        let launch = Launch::image(Image::Appliance, self.machine, self.machine.usual_virtio())?;
        Ok(launch.drive(Drive::of(&self.disk)))
    }

    fn round(&mut self, random: &mut Rng, tally: &mut Tally) -> Result<()> {
        let mut guest = self.launch()?.start()?;
        let mut client = guest.connect_when_up()?;
        // The last round's clusters have been taken back; nothing is written now.
        self.disk.expect_clean().context("after the mount")?;

        let is_killed = AtomicBool::new(false);
        let delay = Duration::from_millis(random.u64(0..LATEST_MS));
        let mut own_random = random.fork();
        let files = &mut self.files;
        let work = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let mut work = Work { client: &mut client, is_killed: &is_killed, tally };
                work.until_killed(&mut own_random, files)
            });
            thread::sleep(delay);
            is_killed.store(true, Ordering::SeqCst);
            guest.kill()?;
            worker.join().unwrap_or_else(|_| bail!("the writing thread panicked"))
        });
        work.map_err(|error| error.context(guest.evidence()))?;
        self.look(tally).map_err(|error| error.context(guest.evidence()))
    }

    /// Compares what is on the disk with what must be there.
    fn look(&mut self, tally: &mut Tally) -> Result<()> {
        let findings = self.disk.check()?;
        ensure!(findings.damage.is_empty(), "fsck.fat finds {findings}");
        tally.left_over += u32::from(findings.lost_clusters);
        for (path, file) in &mut self.files {
            let found = self.disk.get_if_there(path)?;
            let is_done = file.under_way.is_some() && found == file.under_way;
            let is_empty = file.is_made && file.kept.is_none() && found == Some(Vec::new());
            ensure!(
                is_done || is_empty || found == file.kept,
                "{path} is {}; it was {}, and became {}",
                described(found.as_deref(), file),
                described(file.kept.as_deref(), file),
                described(file.under_way.as_deref(), file)
            );
            tally.just_in_time += u32::from(is_done && found != file.kept);
            *file = File { kept: found, ..File::default() };
        }
        Ok(())
    }

    /// After a mount there must be nothing left to find.
    fn expect_taken_back(&self) -> Result<()> {
        let mut guest = self.launch()?.start()?;
        drop(guest.connect_when_up()?);
        guest.kill()?;
        let findings = self.disk.check()?;
        ensure!(findings == Findings::default(), "after the last mount fsck.fat finds {findings}");
        Ok(())
    }
}

/// One client at work.
struct Work<'w> {
    client: &'w mut Client,
    is_killed: &'w AtomicBool,
    tally: &'w mut Tally,
}

impl Work<'_> {
    fn until_killed(
        &mut self,
        random: &mut Rng,
        files: &mut BTreeMap<&'static str, File>,
    ) -> Result<()> {
        loop {
            let path = PATHS[random.usize(0..PATHS.len())];
            let file = files.get_mut(path).context("no such file")?;
            if self.write(random, path, file)?.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes one file in pieces, flushed here and there; `None` when the guest was killed.
    fn write(&mut self, random: &mut Rng, path: &str, file: &mut File) -> Result<Option<()>> {
        let length = file.kept.as_ref().map_or(0, Vec::len);
        let mode = match random.u8(0..3) {
            0 if file.kept.is_some() => "r+",
            1 if length < LENGTH_MAX => "a",
            _ => "w",
        };
        let mut contents = if mode == "w" { None } else { file.kept.clone() }.unwrap_or_default();
        file.is_made = true;
        let opened = self.client.open(path, mode);
        let Some(handle) = self.answered(opened)? else { return Ok(None) };
        for _ in 0..random.u8(1..6) {
            if mode == "r+" {
                let offset = random.usize(0..=contents.len());
                let sought = self.client.seek(handle, offset);
                if self.answered(sought)?.is_none() {
                    return Ok(None);
                }
                let mut piece = vec![random.u8(..); random.usize(1..PIECE)];
                random.fill(&mut piece);
                if self.write_piece(handle, &piece)?.is_none() {
                    return Ok(None);
                }
                let end = contents.len().max(offset + piece.len());
                contents.resize(end, 0);
                contents[offset..offset + piece.len()].copy_from_slice(&piece);
            } else {
                let mut piece = vec![0; random.usize(1..PIECE)];
                random.fill(&mut piece);
                if self.write_piece(handle, &piece)?.is_none() {
                    return Ok(None);
                }
                contents.extend(piece);
            }
            if random.u8(0..3) == 0 {
                file.under_way = Some(contents.clone());
                let flushed = self.client.flush(handle);
                if self.keep(flushed, file)?.is_none() {
                    return Ok(None);
                }
            }
        }
        file.under_way = Some(contents);
        let closed = self.client.close(handle);
        self.keep(closed, file)
    }

    fn write_piece(&mut self, handle: u64, piece: &[u8]) -> Result<Option<()>> {
        let written = self.client.write(handle, piece);
        let Some(count) = self.answered(written)? else { return Ok(None) };
        ensure!(count == piece.len(), "{count} of {} bytes were written", piece.len());
        self.tally.writes += 1;
        Ok(Some(()))
    }

    /// A flush or a close: once it is answered, the file is kept.
    fn keep(&mut self, outcome: Result<Outcome<()>>, file: &mut File) -> Result<Option<()>> {
        let answered = self.answered(outcome)?;
        if answered.is_some() {
            file.kept = file.under_way.take();
            self.tally.kept += 1;
        }
        Ok(answered)
    }

    /// An answer; `None` where there is none because the guest was killed.
    fn answered<T>(&self, outcome: Result<Outcome<T>>) -> Result<Option<T>> {
        match outcome {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(Refused(text))) => bail!("refused: {text}"),
            Err(_) if self.is_killed.load(Ordering::SeqCst) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Contents as far as one wants to read of them.
fn described(contents: Option<&[u8]>, file: &File) -> String {
    let Some(contents) = contents else { return "not there".to_owned() };
    let same = |other: &Option<Vec<u8>>| {
        let pairs = other.iter().flatten().zip(contents);
        pairs.take_while(|(one, other)| one == other).count()
    };
    format!(
        "{} bytes ({} of them as it was, {} as it became)",
        contents.len(),
        same(&file.kept),
        same(&file.under_way)
    )
}
