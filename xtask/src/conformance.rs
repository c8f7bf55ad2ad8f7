//! x
use anyhow::Result;
use lexopt::Parser;
use std::process::ExitCode;
pub(crate) struct Options;
impl Options {
    pub(crate) fn parse(_p: Parser) -> Result<Option<Self>> {
        Ok(None)
    }
}
pub(crate) fn run(_: &Options) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
