//! What must hold for every image as a file: no allocator, sane segments, size budgets.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use anyhow::{Context as _, Result, ensure};
use tests::elf::{Elf, Kind, Purpose};
use tests::image::{self, Image};

/// Parts of the names that the compiler gives to what calls or makes an allocator.
const ALLOCATOR: [&str; 9] = [
    "__rust_alloc",
    "__rust_dealloc",
    "__rust_realloc",
    "__rust_no_alloc_shim",
    "__rg_",
    "__rdl_",
    "alloc::alloc",
    "handle_alloc_error",
    "malloc",
];

const KIB: u64 = 1024;

/// Runs `check` for every image and reports all failures together.
fn for_every_image(check: impl Fn(Image, &Elf) -> Result<()>) -> Result<()> {
    let mut failures = Vec::new();
    for image in Image::ALL {
        if let Err(error) = check(image, &Elf::read(&image.build()?)?) {
            failures.push(format!("{}: {error:#}", image.name()));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[test]
fn no_allocator_is_linked() -> Result<()> {
    for_every_image(|_, elf| expect_no_allocator(elf))?;
    let demonstration = Elf::read(&image::demonstration()?)?;
    expect_no_allocator(&demonstration).context("demonstration")
}

fn expect_no_allocator(elf: &Elf) -> Result<()> {
    ensure!(elf.symbols.len() > 50, "only {} symbols: stripped?", elf.symbols.len());
    let names = elf.symbols.iter().map(|symbol| symbol.name.as_str());
    let found: Vec<&str> =
        names.filter(|name| ALLOCATOR.iter().any(|part| name.contains(part))).collect();
    ensure!(found.is_empty(), "the image holds {}", found.join(", "));
    Ok(())
}

#[test]
fn image_fits_its_memory_and_keeps_code_read_only() -> Result<()> {
    for_every_image(|image, elf| {
        // An appliance's buffers and files are not meant for 2 MiB of memory.
        let end_max = if image == Image::Appliance { 4096 * KIB } else { 2048 * KIB };
        ensure!(!elf.wants_loader, "it asks for a dynamic loader");
        let mut segments = elf.segments.clone();
        segments.sort_by_key(|segment| segment.address);
        for segment in &segments {
            ensure!(
                segment.address >= 1024 * KIB && segment.address + segment.size <= end_max,
                "{segment:x?} is not between 1 MiB and {end_max:#x}"
            );
            ensure!(!segment.is_writable, "{segment:x?} is loaded, and writable");
        }
        for section in &elf.sections {
            let end = section.address + section.size;
            ensure!(
                section.address >= 1024 * KIB && end <= end_max,
                "{section:x?} is not between 1 MiB and {end_max:#x}"
            );
            // Else a reset, the one that wakes a suspended machine included, would overwrite it.
            ensure!(
                matches!(section.kind, Kind::Code | Kind::Constants)
                    || elf.segments.iter().all(|segment| {
                        end <= segment.address || segment.address + segment.size <= section.address
                    }),
                "{section:x?} is written by the program and loaded over at a reset: {segments:x?}"
            );
        }
        let mut pairs = segments.iter().zip(segments.iter().skip(1));
        ensure!(
            pairs.all(|(low, high)| low.address + low.size <= high.address),
            "segments overlap: {segments:x?}"
        );
        let entry = elf.pvh_entry;
        ensure!(
            elf.segments.iter().any(|segment| {
                segment.is_executable
                    && entry.is_some_and(|entry| {
                        (segment.address..segment.address + segment.size).contains(&entry)
                    })
            }),
            "no code at the PVH entry point {entry:x?}"
        );
        Ok(())
    })
}

#[test]
fn sizes_are_within_budget() -> Result<()> {
    for_every_image(|image, elf| {
        // What they were when this was written, and a little more. Only what an image offers may
        // make it larger: uart had 50 059 bytes when the others did no more than it does, and what
        // they have learnt since may not cost it a KiB.
        let (code_and_data_max, static_ram_max) = match image {
            Image::Appliance => (296 * KIB, Some(2048 * KIB)),
            Image::Pc => (116 * KIB, None),
            Image::Uart => (50_059 + KIB, Some(64 * KIB)),
        };
        let code_and_data = elf.code_and_data();
        ensure!(
            code_and_data < code_and_data_max,
            "{code_and_data} bytes of code and data, the budget is {code_and_data_max}"
        );
        // Page tables depend on the processor, not on the agent.
        let static_ram = elf.size_of(Kind::Zeroed) - elf.static_ram_for(Purpose::PageTables);
        ensure!(
            static_ram_max.is_none_or(|max| static_ram < max),
            "{static_ram} bytes of static RAM, the budget is {static_ram_max:?}:\n{:#?}",
            elf.static_ram()
        );
        Ok(())
    })
}
