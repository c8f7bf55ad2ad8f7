//! How a failed test is told: the reason first, then what was seen.

use anyhow::Result;

/// Turns an error whose outermost context is the evidence of a guest
/// ([`crate::qemu::Guest::evidence`]) into a text that begins with the reason.
///
/// # Errors
///
/// The test has failed.
pub fn verdict(outcome: Result<()>) -> Result<(), String> {
    outcome.map_err(|error| {
        let mut parts: Vec<String> = error.chain().map(ToString::to_string).collect();
        // Evidence has many lines; a context that is a sentence stays in its place.
        let Some(evidence) = parts.iter().position(|part| part.starts_with("--- command\n")) else {
            return parts.join(": ");
        };
        let evidence = parts.remove(evidence);
        format!("{}\n{evidence}", parts.join(": "))
    })
}
