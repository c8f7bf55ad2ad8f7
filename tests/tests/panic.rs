//! agent-core cannot panic: nothing of `core::panicking` is linked with a program that calls all
//! of it.

#![allow(clippy::missing_errors_doc, reason = "an error is a failed test")]

use anyhow::{Result, ensure};
use tests::elf::Elf;
use tests::image::build_binary;

/// Parts of the names of what panics, directly or for others.
const PANICKING: [&str; 4] =
    ["core::panicking", "slice_index_fail", "unwrap_failed", "expect_failed"];

#[test]
fn agent_core_links_no_way_to_panic() -> Result<()> {
    let probe = Elf::read(&build_binary(&["--release", "--package", "panic-probe"])?)?;
    let names = || probe.symbols.iter().map(|symbol| symbol.name.as_str());
    let of_the_core = names().filter(|name| name.contains("agent_core::")).count();
    ensure!(of_the_core > 30, "only {of_the_core} symbols of agent-core: is it all there?");
    let found: Vec<&str> =
        names().filter(|name| PANICKING.iter().any(|part| name.contains(part))).collect();
    ensure!(found.is_empty(), "the probe holds {}", found.join(", "));
    Ok(())
}
