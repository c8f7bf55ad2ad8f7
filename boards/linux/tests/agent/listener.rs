//! An agent with `--method unix-listen`, and its clients.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{
    DEADLINE, Process, command, command_as_subreaper, command_ignoring, command_in_earnest,
};

/// An agent that listens.
pub(crate) struct Agent {
    pub(crate) process: Process,
    path: PathBuf,
    directory: TempDir,
}

impl Agent {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("agent.sock");
        Self::start_at(directory, path, arguments)
    }

    /// One that does what it is asked for, so `arguments` have to say what it may be asked for.
    pub(crate) fn start_in_earnest(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("agent.sock");
        Self::start_command(command_in_earnest(), directory, path, arguments)
    }

    /// One with these variables in its environment.
    pub(crate) fn start_with(variables: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("agent.sock");
        let mut command = command();
        command.envs(variables.iter().copied());
        Self::start_command(command, directory, path, &[])
    }

    /// One that is started by something that has this signal ignored.
    pub(crate) fn start_ignoring(signal: &str, arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("agent.sock");
        Self::start_command(command_ignoring(signal), directory, path, arguments)
    }

    /// One to which the children are left of those that have ended before them.
    pub(crate) fn start_as_subreaper(arguments: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("agent.sock");
        Self::start_command(command_as_subreaper(), directory, path, arguments)
    }

    pub(crate) fn start_at(directory: TempDir, path: PathBuf, arguments: &[&str]) -> Self {
        Self::start_command(command(), directory, path, arguments)
    }

    fn start_command(
        mut command: Command,
        directory: TempDir,
        path: PathBuf,
        arguments: &[&str],
    ) -> Self {
        command.current_dir(directory.path());
        command.args(["-m", "unix-listen", "-p"]).arg(&path).args(arguments);
        let process = Process::start(&mut command, "listening at");
        Self { process, path, directory }
    }

    /// Where it was started.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn connect(&self) -> Client {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client(stream)
    }

    /// What a client gets that says this, and nothing more, and waits for the end.
    pub(crate) fn play(&self, request: &str) -> String {
        let mut client = self.connect();
        client.say(request);
        client.finish()
    }

    pub(crate) fn info(&self) -> Value {
        serde_json::from_str(&self.play(r#"{"execute": "guest-info"}"#)).unwrap()
    }
}

/// A connection.
pub(crate) struct Client(pub(crate) UnixStream);

impl Client {
    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Reads one line.
    pub(crate) fn hear(&mut self) -> String {
        let mut line = vec![];
        while line.last() != Some(&b'\n') {
            line.extend(self.hear_bytes(1));
        }
        String::from_utf8(line).unwrap()
    }

    /// Reads so many bytes.
    pub(crate) fn hear_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads one line, the last that was asked for.
    pub(crate) fn hear_line(&mut self) -> String {
        let mut line = vec![];
        let mut chunk = vec![0; 65536];
        while line.last() != Some(&b'\n') {
            let count = self.0.read(&mut chunk).unwrap();
            assert!(count > 0, "the agent is gone");
            line.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Sends nothing more, and reads what is still to come.
    pub(crate) fn finish(mut self) -> String {
        self.0.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// What a command answers.
fn call(client: &mut Client, command: &str, arguments: &Value) -> Value {
    client.say(&json!({"execute": command, "arguments": arguments}).to_string());
    serde_json::from_str(&client.hear_line()).unwrap()
}

/// What a command returns.
pub(crate) fn returned(client: &mut Client, command: &str, arguments: &Value) -> Value {
    let mut answer = call(client, command, arguments);
    assert!(answer["error"].is_null(), "{command} {arguments}: {answer}");
    answer["return"].take()
}

/// What a command complains of.
pub(crate) fn error(client: &mut Client, command: &str, arguments: &Value) -> String {
    let answer = call(client, command, arguments);
    answer["error"]["desc"].as_str().expect("an error").to_owned()
}
