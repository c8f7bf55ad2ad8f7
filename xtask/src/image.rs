//! `cargo xtask image`: builds images, writes them out and prints how large they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use lexopt::{Arg, Parser};
use tests::elf::{Elf, Kind, Piece, Purpose};
use tests::image::{Image, demonstration, linux};

use crate::{choice, unexpected};

/// What can be built.
#[derive(Clone, Copy)]
enum Board {
    Bare(Image),
    Demonstration,
    Linux,
}

impl Board {
    const ALL: [(&str, Self); 4] = [
        ("pc", Self::Bare(Image::Pc)),
        ("uart", Self::Bare(Image::Uart)),
        ("appliance", Self::Bare(Image::Appliance)),
        ("linux", Self::Linux),
    ];
}

/// What was asked for.
pub(crate) struct Options {
    boards: Vec<Board>,
    out: Option<PathBuf>,
}

impl Options {
    /// `None` when help was asked for.
    pub(crate) fn parse(mut parser: Parser) -> Result<Option<Self>> {
        let mut options = Self { boards: Board::ALL.map(|(_, board)| board).to_vec(), out: None };
        let mut demonstration = false;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("board") => {
                    options.boards = vec![choice(&mut parser, "board", &Board::ALL)?];
                }
                Arg::Long("demonstration") => demonstration = true,
                Arg::Long("out") => options.out = Some(parser.value()?.into()),
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                other => return Err(unexpected(other)),
            }
        }
        if demonstration {
            let is_appliance = matches!(options.boards[..], [Board::Bare(Image::Appliance)]);
            ensure!(is_appliance, "--demonstration goes with --board appliance");
            options.boards = vec![Board::Demonstration];
        }
        Ok(Some(options))
    }
}

/// Builds, writes and measures.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    for &board in &options.boards {
        let (name, built) = match board {
            Board::Bare(image) => (format!("tinyqga-{}.elf", image.name()), image.build()?),
            Board::Demonstration => ("tinyqga-demonstration.elf".to_owned(), demonstration()?),
            Board::Linux => ("tinyqga-linux".to_owned(), linux()?),
        };
        let out = match &options.out {
            Some(out) => out.clone(),
            None => images(board, &built)?,
        };
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        let path = out.join(name);
        fs::copy(&built, &path).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
        let elf = Elf::read(&path)?;
        match board {
            Board::Bare(_) | Board::Demonstration => print_sizes(&elf),
            Board::Linux => print_row("= code and data", elf.code_and_data()),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `images` in the target folder, for a binary in its `release`, or in the demonstration's own
/// folder there.
fn images(board: Board, built: &Path) -> Result<PathBuf> {
    let depth = if matches!(board, Board::Demonstration) { 3 } else { 2 };
    Ok(built.ancestors().nth(depth).context("no target directory")?.join("images"))
}

/// A table: what has to be loaded, and static memory by use.
fn print_sizes(elf: &Elf) {
    /// Smaller pieces of static memory have no row of their own.
    const LISTED: u64 = 512;
    print_row("code", elf.size_of(Kind::Code));
    print_row("constants", elf.size_of(Kind::Constants));
    print_row("data", elf.size_of(Kind::Data));
    print_row("= code and data", elf.code_and_data());
    for (title, purpose) in [
        ("stacks", Purpose::Stack),
        ("buffers, rings, variables", Purpose::Buffers),
        ("page tables", Purpose::PageTables),
    ] {
        print_row(title, elf.static_ram_for(purpose));
        let of_purpose = |piece: &Piece| piece.purpose == purpose && piece.size >= LISTED;
        for piece in elf.static_ram().into_iter().filter(of_purpose) {
            print_row(&format!("  {}", piece.name), piece.size);
        }
    }
    print_row("= static RAM", elf.size_of(Kind::Zeroed));
}

fn print_row(name: &str, size: u64) {
    let tenths = (size * 10).div_ceil(1024);
    println!("  {name:<52} {size:>8} B {:>6}.{} KiB", tenths / 10, tenths % 10);
}
