//! What is in an image: sizes, symbols and segments of its ELF file.
//!
//! Read from the file alone, so that nothing has to be trusted that the build says about itself.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use object::elf::{PF_W, PF_X, PT_INTERP, PT_LOAD, PT_NOTE, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags};

/// `XEN_ELFNOTE_PHYS32_ENTRY` (Xen's `elfnote.h`): the 32-bit entry point of a PVH kernel.
const PHYS32_ENTRY: u32 = 18;

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Instructions.
    Code,
    /// Read-only data.
    Constants,
    /// Data with initial values.
    Data,
    /// Memory that the file does not hold.
    Zeroed,
}

/// A section that takes memory when the image runs.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Where it lies when the program runs.
    pub address: u64,
    /// Bytes of memory.
    pub size: u64,
}

/// A named piece of a section.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Its name, demangled.
    pub name: String,
    /// The section that it lies in, if any.
    pub section: Option<String>,
    /// Where it lies.
    pub address: u64,
    /// Bytes; 0 for a mere label.
    pub size: u64,
}

/// A loaded piece of the file.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Physical address of its first byte.
    pub address: u64,
    /// Bytes of memory.
    pub size: u64,
    /// Whether it may be written.
    pub is_writable: bool,
    /// Whether it holds code.
    pub is_executable: bool,
}

/// An image, read from its ELF file.
#[derive(Clone, Debug)]
pub struct Elf {
    /// Sections that take memory.
    pub sections: Vec<Section>,
    /// Symbols with names.
    pub symbols: Vec<Symbol>,
    /// Loaded segments.
    pub segments: Vec<Segment>,
    /// The PVH entry point of the ELF note, if there is one.
    pub pvh_entry: Option<u64>,
    /// Whether a dynamic loader is asked for, which no bare machine has.
    pub wants_loader: bool,
}

impl Elf {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// It is not a 64-bit ELF file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let file = ElfFile64::<Endianness>::parse(&*bytes)?;
        let endian = file.endian();
        let headers = file.elf_program_headers();
        Ok(Self {
            sections: sections(&file)?,
            symbols: symbols(&file)?,
            segments: headers
                .iter()
                .filter(|header| header.p_type(endian) == PT_LOAD && header.p_memsz(endian) > 0)
                .map(|header| Segment {
                    address: header.p_paddr(endian),
                    size: header.p_memsz(endian),
                    is_writable: header.p_flags(endian) & PF_W != 0,
                    is_executable: header.p_flags(endian) & PF_X != 0,
                })
                .collect(),
            pvh_entry: pvh_entry(&file, &bytes)?,
            wants_loader: headers.iter().any(|header| header.p_type(endian) == PT_INTERP),
        })
    }

    /// Bytes of all sections of one kind.
    pub fn size_of(&self, kind: Kind) -> u64 {
        let sections = self.sections.iter().filter(|section| section.kind == kind);
        sections.map(|section| section.size).sum()
    }

    /// Bytes of code, constants and initialised data: what has to be loaded.
    pub fn code_and_data(&self) -> u64 {
        [Kind::Code, Kind::Constants, Kind::Data].into_iter().map(|kind| self.size_of(kind)).sum()
    }

    /// The pieces of zeroed memory, largest first.
    pub fn static_ram(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for section in self.sections.iter().filter(|section| section.kind == Kind::Zeroed) {
            let mut unnamed = section.size;
            for symbol in &self.symbols {
                if symbol.section.as_ref() == Some(&section.name) && symbol.size > 0 {
                    unnamed = unnamed.saturating_sub(symbol.size);
                    pieces.push(Piece::new(symbol.name.clone(), symbol.size));
                }
            }
            if unnamed > 0 {
                // The stack's guard page, which has a label but no size, and padding.
                pieces.push(Piece::new(format!("{} (guard, padding)", section.name), unnamed));
            }
        }
        pieces.sort_by_key(|piece| core::cmp::Reverse(piece.size));
        pieces
    }

    /// Bytes of zeroed memory for one purpose.
    pub fn static_ram_for(&self, purpose: Purpose) -> u64 {
        let pieces = self.static_ram().into_iter().filter(|piece| piece.purpose == purpose);
        pieces.map(|piece| piece.size).sum()
    }
}

/// What a piece of zeroed memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Stacks and the guard page.
    Stack,
    /// The processor's page tables.
    PageTables,
    /// Buffers, rings and all other variables.
    Buffers,
}

/// A piece of zeroed memory.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The variable, or the section that it is a nameless part of.
    pub name: String,
    /// What it is for, by its name.
    pub purpose: Purpose,
    /// Bytes.
    pub size: u64,
}

impl Piece {
    fn new(name: String, size: u64) -> Self {
        let purpose = if name.contains("::paging::") {
            Purpose::PageTables
        } else if name.contains("STACK") || name.starts_with(".stack") {
            Purpose::Stack
        } else {
            Purpose::Buffers
        };
        Self { name, purpose, size }
    }
}

type File<'data> = ElfFile64<'data, Endianness>;

fn sections(file: &File<'_>) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let has = |flag: u32| sh_flags & u64::from(flag) != 0;
        if !has(SHF_ALLOC) || section.size() == 0 {
            continue;
        }
        let kind = if section.kind() == object::SectionKind::UninitializedData {
            Kind::Zeroed
        } else if has(SHF_EXECINSTR) {
            Kind::Code
        } else if has(SHF_WRITE) && !section.name()?.starts_with(".data.rel.ro") {
            Kind::Data
        } else {
            Kind::Constants
        };
        sections.push(Section {
            name: section.name()?.to_owned(),
            kind,
            address: section.address(),
            size: section.size(),
        });
    }
    Ok(sections)
}

fn symbols(file: &File<'_>) -> Result<Vec<Symbol>> {
    let mut symbols = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name()?;
        if name.is_empty() {
            continue;
        }
        let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
        symbols.push(Symbol {
            name: format!("{:#}", rustc_demangle::demangle(name)),
            section: section.and_then(|section| section.name().ok().map(str::to_owned)),
            address: symbol.address(),
            size: symbol.size(),
        });
    }
    Ok(symbols)
}

fn pvh_entry(file: &File<'_>, bytes: &[u8]) -> Result<Option<u64>> {
    let endian = file.endian();
    for header in file.elf_program_headers() {
        if header.p_type(endian) != PT_NOTE {
            continue;
        }
        let Some(mut notes) = header.notes(endian, bytes)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == b"Xen" && note.n_type(endian) == PHYS32_ENTRY {
                // The value is 4 or 8 bytes long, little-endian.
                let value = note.desc().iter().rev();
                return Ok(Some(value.fold(0, |entry, &byte| entry << 8 | u64::from(byte))));
            }
        }
    }
    Ok(None)
}
