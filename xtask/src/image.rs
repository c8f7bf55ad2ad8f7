//! `cargo xtask image`: builds images, writes them out and prints how large they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use lexopt::{Arg, Parser};
use tests::elf::{Elf, Kind, Piece, Purpose};
use tests::image::Image;

use crate::{choice, unexpected};

/// What was asked for.
pub(crate) struct Options {
    images: Vec<Image>,
    out: Option<PathBuf>,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let boards = Image::ALL.map(|image| (image.name(), image));
        let mut options = Self { images: Image::ALL.to_vec(), out: None };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("board") => options.images = vec![choice(&mut parser, "board", &boards)?],
                Arg::Long("out") => options.out = Some(parser.value()?.into()),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        Ok(Some(options))
    }
}

/// Builds, writes and measures.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    for &image in &options.images {
        println!("building {}", image.name());
        let built = image.build()?;
        let out = match &options.out {
            Some(out) => out.clone(),
            None => beside(&built)?,
        };
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let path = out.join(format!("tinyqga-{}.elf", image.name()));
        fs::copy(&built, &path).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
        print_sizes(&Elf::read(&path)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// `target/images`, for a binary in `target/release`.
fn beside(built: &Path) -> Result<PathBuf> {
    let target = built.parent().and_then(Path::parent).context("no target directory")?;
    Ok(target.join("images"))
}

/// A table: what has to be loaded, and static memory by use.
fn print_sizes(elf: &Elf) {
    /// Smaller pieces of static memory have no row of their own.
    const LISTED: u64 = 512;
    let row = |name: &str, size: u64| {
        let tenths = (size * 10).div_ceil(1024);
        println!("  {name:<52} {size:>8} B {:>6}.{} KiB", tenths / 10, tenths % 10);
    };
    row("code", elf.size_of(Kind::Code));
    row("constants", elf.size_of(Kind::Constants));
    row("data", elf.size_of(Kind::Data));
    row("= code and data", elf.code_and_data());
    for (title, purpose) in [
        ("stacks", Purpose::Stack),
        ("buffers, rings, variables", Purpose::Buffers),
        ("page tables", Purpose::PageTables),
    ] {
        row(title, elf.static_ram_for(purpose));
        let of_purpose = |piece: &Piece| piece.purpose == purpose && piece.size >= LISTED;
        for piece in elf.static_ram().into_iter().filter(of_purpose) {
            row(&format!("  {}", piece.name), piece.size);
        }
    }
    row("= static RAM", elf.size_of(Kind::Zeroed));
}
