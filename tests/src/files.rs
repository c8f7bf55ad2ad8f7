//! Files through the agent: opened, written and read in pieces, or whole.
//!
//! What is sent is what Proxmox and Ansible send; replies are taken apart as JSON, since a client
//! does so too. Tests that compare bytes use [`Client::expect`].

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::Client;
use crate::transcript::readable;

/// The data of one guest-file-write, as large as clients make it.
pub const PIECE: usize = 64 * 1024;

/// How long an answer with or to many bytes may take.
const ANSWER: Duration = Duration::from_mins(1);

/// An error of the agent's, as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// What a command of the agent's gives, where it answers at all.
pub type Outcome<T> = Result<T, Refused>;

impl Client {
    /// Calls a command, and gives what it returns or its error's text.
    ///
    /// # Errors
    ///
    /// There is no answer, or it is no reply.
    pub fn call(&mut self, command: &str, arguments: &Value) -> Result<Outcome<Value>> {
        let request = json!({"execute": command, "arguments": arguments});
        self.send(format!("{request}\n"))?;
        let line = self.line(ANSWER)?;
        let shown = || format!("the reply to {command}: `{}`", readable(&line));
        let mut reply: Value = serde_json::from_slice(&line).with_context(shown)?;
        if let Some(value) = reply.get_mut("return") {
            return Ok(Ok(value.take()));
        }
        let text = reply["error"]["desc"].as_str().with_context(shown)?;
        Ok(Err(Refused(text.to_owned())))
    }

    /// guest-file-open: the handle.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn open(&mut self, path: &str, mode: &str) -> Result<Outcome<u64>> {
        let opened = self.call("guest-file-open", &json!({"path": path, "mode": mode}))?;
        opened.map(|handle| handle.as_u64().context("no handle")).transpose_outcome()
    }

    /// guest-file-write of one piece: how many bytes were written.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn write(&mut self, handle: u64, bytes: &[u8]) -> Result<Outcome<usize>> {
        let arguments = json!({"handle": handle, "buf-b64": STANDARD.encode(bytes)});
        let written = self.call("guest-file-write", &arguments)?;
        written.map(|reply| count(&reply)).transpose_outcome()
    }

    /// guest-file-read: the bytes, and whether that was the end.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn read(&mut self, handle: u64, count_max: usize) -> Result<Outcome<(Vec<u8>, bool)>> {
        let arguments = json!({"handle": handle, "count": count_max});
        let read = self.call("guest-file-read", &arguments)?;
        read.map(|reply| {
            let bytes = STANDARD.decode(reply["buf-b64"].as_str().context("no buf-b64")?)?;
            ensure!(bytes.len() == count(&reply)?, "not {} bytes", reply["count"]);
            ensure!(bytes.len() <= count_max, "more bytes than asked for");
            Ok((bytes, reply["eof"].as_bool().context("no eof")?))
        })
        .transpose_outcome()
    }

    /// guest-file-seek from the start of the file.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn seek(&mut self, handle: u64, offset: usize) -> Result<Outcome<()>> {
        let arguments = json!({"handle": handle, "offset": offset, "whence": "set"});
        Ok(self.call("guest-file-seek", &arguments)?.map(|_| ()))
    }

    /// guest-file-flush.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn flush(&mut self, handle: u64) -> Result<Outcome<()>> {
        Ok(self.call("guest-file-flush", &json!({"handle": handle}))?.map(|_| ()))
    }

    /// guest-file-close.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub fn close(&mut self, handle: u64) -> Result<Outcome<()>> {
        Ok(self.call("guest-file-close", &json!({"handle": handle}))?.map(|_| ()))
    }

    /// Puts a whole file there, in pieces.
    ///
    /// # Errors
    ///
    /// The agent refuses, or does not answer.
    pub fn put_file(&mut self, path: &str, contents: &[u8]) -> Result<()> {
        let handle = self.open(path, "w").granted()?;
        for piece in contents.chunks(PIECE) {
            let written = self.write(handle, piece).granted()?;
            ensure!(written == piece.len(), "{written} bytes were written, not {}", piece.len());
        }
        self.close(handle).granted()
    }

    /// Takes a whole file, in pieces of at most `piece` bytes.
    ///
    /// # Errors
    ///
    /// The agent refuses, or does not answer.
    pub fn take_file(&mut self, path: &str, piece: usize) -> Result<Vec<u8>> {
        let handle = self.open(path, "r").granted()?;
        let mut contents = Vec::new();
        loop {
            let (bytes, eof) = self.read(handle, piece).granted()?;
            ensure!(eof || bytes.len() == piece, "{} bytes and no end of the file", bytes.len());
            contents.extend(bytes);
            if eof {
                break;
            }
        }
        self.close(handle).granted()?;
        Ok(contents)
    }
}

/// For tests in which a command must succeed, or must fail.
pub trait Verdict<T> {
    /// What it gave.
    ///
    /// # Errors
    ///
    /// It was refused, or not answered.
    fn granted(self) -> Result<T>;

    /// The text of the error that it gave.
    ///
    /// # Errors
    ///
    /// It was granted, or not answered.
    fn refused(self) -> Result<String>;
}

impl<T> Verdict<T> for Result<Outcome<T>> {
    fn granted(self) -> Result<T> {
        self?.map_err(|Refused(text)| anyhow::anyhow!("refused: {text}"))
    }

    fn refused(self) -> Result<String> {
        match self? {
            Ok(_) => anyhow::bail!("it was granted"),
            Err(Refused(text)) => Ok(text),
        }
    }
}

trait TransposeOutcome<T> {
    fn transpose_outcome(self) -> Result<Outcome<T>>;
}

impl<T> TransposeOutcome<T> for Outcome<Result<T>> {
    fn transpose_outcome(self) -> Result<Outcome<T>> {
        match self {
            Ok(value) => value.map(Ok),
            Err(refused) => Ok(Err(refused)),
        }
    }
}

fn count(reply: &Value) -> Result<usize> {
    Ok(usize::try_from(reply["count"].as_u64().context("no count")?)?)
}
