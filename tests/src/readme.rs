//! The README's snippets, so that tests can paste them as a reader would.
//!
//! A snippet is a fenced block whose info string has a name after the language: `sh qemu-line`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::image::workspace;

/// The text of the README's block `name`.
///
/// # Errors
///
/// There is no README or no such block.
pub fn block(name: &str) -> Result<String> {
    let readme = fs::read_to_string(workspace().join("README.md")).context("README.md")?;
    block_of(&readme, name).with_context(|| {
        format!("README.md has no fenced block named `{name}` (as in ```sh {name})")
    })
}

/// The libvirt domain `xml` with another kernel.
///
/// # Errors
///
/// It names none.
pub fn with_kernel(xml: &str, kernel: &Path) -> Result<String> {
    let old = element(xml, "kernel")?;
    Ok(xml.replacen(
        &format!("<kernel>{old}</kernel>"),
        &format!("<kernel>{}</kernel>", kernel.display()),
        1,
    ))
}

/// The name of the libvirt domain `xml`.
///
/// # Errors
///
/// It has none.
pub fn domain_name(xml: &str) -> Result<&str> {
    element(xml, "name")
}

fn element<'xml>(xml: &'xml str, name: &str) -> Result<&'xml str> {
    let (_, rest) = xml.split_once(&format!("<{name}>")).with_context(|| format!("no <{name}>"))?;
    let (text, _) =
        rest.split_once(&format!("</{name}>")).with_context(|| format!("no </{name}>"))?;
    Ok(text)
}

fn block_of(markdown: &str, name: &str) -> Option<String> {
    let mut lines = markdown.lines();
    lines.find(|line| {
        let info = line.trim_start().strip_prefix("```").map(str::split_whitespace);
        info.is_some_and(|mut words| words.nth(1) == Some(name))
    })?;
    let text: Vec<&str> = lines.take_while(|line| line.trim() != "```").collect();
    Some(text.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::block_of;

    #[test]
    fn finds_blocks_by_name() {
        let markdown =
            "a\n```sh\nno\n```\n```sh qemu-line\none \\\n  two\n```\n```xml domain\n<x/>\n```\n";
        let cases = [
            ("qemu-line", Some("one \\\n  two\n")),
            ("domain", Some("<x/>\n")),
            ("sh", None),
            ("absent", None),
        ];
        for (name, expected) in cases {
            assert_eq!(block_of(markdown, name).as_deref(), expected, "{name}");
        }
    }
}
