//! The README's snippets, so that tests can paste them as a reader would.
//!
//! A snippet is a fenced block whose info string has a name after the language: `sh qemu-line`.

use std::fs;

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
