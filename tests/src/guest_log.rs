//! The guest's log: defmt frames that it wrote to QEMU's debug console, as text.
//!
//! The frames hold only numbers; the texts are in the ELF that ran, so exactly that one is needed.

use core::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use defmt_decoder::{DecodeError, Table};

/// Decodes the bytes of the file `frames`, written by the image `elf`.
///
/// Never fails as a whole: the log is wanted most when something else went wrong, so what cannot
/// be decoded is described in the text.
pub fn decode(elf: &Path, frames: &Path) -> String {
    match try_decode(elf, frames) {
        Ok(text) if text.is_empty() => "(the guest logged nothing)\n".into(),
        Ok(text) => text,
        Err(error) => format!("(the guest's log cannot be decoded: {error:#})\n"),
    }
}

fn try_decode(elf: &Path, frames: &Path) -> Result<String> {
    let bytes = fs::read(frames).with_context(|| frames.display().to_string())?;
    let elf = fs::read(elf).with_context(|| elf.display().to_string())?;
    let Some(table) = Table::parse(&elf)? else {
        return Ok(format!(
            "(this image was built without logging; {} raw bytes: {})\n",
            bytes.len(),
            bytes.escape_ascii()
        ));
    };
    let mut decoder = table.new_stream_decoder();
    decoder.received(&bytes);
    let mut text = String::new();
    loop {
        match decoder.decode() {
            Ok(frame) => writeln!(text, "{}", frame.display(false))?,
            Err(DecodeError::UnexpectedEof) => return Ok(text),
            Err(DecodeError::Malformed) if table.encoding().can_recover() => {
                text.push_str("(malformed frame)\n");
            }
            Err(DecodeError::Malformed) => {
                text.push_str("(malformed frame; the rest is lost)\n");
                return Ok(text);
            }
        }
    }
}
