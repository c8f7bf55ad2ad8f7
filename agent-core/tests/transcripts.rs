//! The frozen record of the agent's wire behaviour, replayed in every way a channel can deliver it.
//!
//! If a test here fails, **do not change the transcript**: clients rely on these bytes. Transcripts
//! are only added.
//!
//! A transcript is a file of lines in `transcripts/`:
//!
//! * `> bytes` from the host; `⟨0A⟩` is the byte 0x0A, everything else stands for its UTF-8;
//! * `< line` the agent's reply, without the line feed that ends it;
//! * `# comment`, and empty lines;
//! * `! block NAMES` or `! allow NAMES` in the first lines: the agent's policy.
//!
//! Those in `transcripts/whole/` are played with a guest that can do everything.
//!
//! The replies must come when the bytes before them have been received, and no sooner.

mod guest;
mod play;
mod whole;

use std::{fs, path::Path};

use agent_core::{Agent, Board, Buffers, Policy};
use guest::Guest;
use play::play;
use proptest::{prelude::*, test_runner::TestRunner};
use whole::with_whole;

/// One `> ` line and the replies to it.
struct Exchange {
    line: usize,
    sent: Vec<u8>,
    replies: Vec<u8>,
}

struct Transcript {
    policy: Policy<'static>,
    /// Of a guest that can do everything.
    is_whole: bool,
    exchanges: Vec<Exchange>,
}

impl Transcript {
    fn parse(text: &str, is_whole: bool) -> Self {
        let mut transcript = Self { policy: Policy::AllowAll, is_whole, exchanges: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            if let Some(sent) = line.strip_prefix("> ") {
                let exchange =
                    Exchange { line: line_number, sent: bytes(sent), replies: Vec::new() };
                transcript.exchanges.push(exchange);
            } else if let Some(reply) = line.strip_prefix("< ") {
                let exchange = transcript.exchanges.last_mut().expect("a reply before a request");
                exchange.replies.extend(bytes(reply));
                exchange.replies.push(b'\n');
            } else if let Some(names) = line.strip_prefix("! block ") {
                transcript.policy = Policy::Block(names.as_bytes().to_vec().leak());
            } else if let Some(names) = line.strip_prefix("! allow ") {
                transcript.policy = Policy::Allow(names.as_bytes().to_vec().leak());
            } else {
                assert!(line.is_empty() || line.starts_with('#'), "line {line_number}: {line}");
            }
        }
        transcript
    }

    /// Plays it, in chunks of `sizes` bytes over and over, taking the replies in such chunks too.
    fn play(&self, name: &str, sizes: &[usize]) {
        self.play_in::<8192>(&mut Buffers::new(), name, sizes);
    }

    fn play_in<const REPLY: usize>(
        &self,
        buffers: &mut Buffers<4096, REPLY>,
        name: &str,
        sizes: &[usize],
    ) {
        if self.is_whole {
            with_whole(|guest| self.play_with(guest, buffers, name, sizes));
        } else {
            self.play_with(Guest::default(), buffers, name, sizes);
        }
    }

    fn play_with<const REPLY: usize>(
        &self,
        guest: impl Board,
        buffers: &mut Buffers<4096, REPLY>,
        name: &str,
        sizes: &[usize],
    ) {
        let mut agent = Agent::new(guest, buffers).with_policy(self.policy);
        let mut sizes = sizes.iter().copied().cycle();
        for exchange in &self.exchanges {
            let output = play(&mut agent, &exchange.sent, &mut sizes);
            let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            // What a command returns may take half the buffer, and the usual one has room for all.
            if REPLY < 8192
                && show(&output).contains("the reply does not fit in the agent's buffer")
            {
                assert!(exchange.replies.len() > REPLY / 2, "{name} line {}", exchange.line);
                continue;
            }
            assert_eq!(show(&output), show(&exchange.replies), "{name} line {}", exchange.line);
            assert_eq!(output, exchange.replies, "{name} line {}", exchange.line);
        }
    }
}

/// The bytes that a line stands for.
fn bytes(mut text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((plain, rest)) = text.split_once('⟨') {
        bytes.extend(plain.as_bytes());
        let (hex, rest) = rest.split_once('⟩').expect("⟨ without ⟩");
        bytes.push(u8::from_str_radix(hex, 16).expect("two hexadecimal digits"));
        text = rest;
    }
    bytes.extend(text.as_bytes());
    bytes
}

fn transcripts() -> Vec<(String, Transcript)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut transcripts = Vec::new();
    for (folder, is_whole) in [(folder.join("whole"), true), (folder, false)] {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_file() {
                let text = fs::read_to_string(&path).unwrap();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                transcripts.push((name, Transcript::parse(&text, is_whole)));
            }
        }
    }
    transcripts.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(!transcripts.is_empty());
    transcripts
}

#[test]
fn whole() {
    for (name, transcript) in transcripts() {
        transcript.play(&name, &[usize::MAX]);
    }
}

#[test]
fn byte_by_byte() {
    for (name, transcript) in transcripts() {
        transcript.play(&name, &[1]);
    }
}

#[test]
fn in_random_chunks() {
    let transcripts = transcripts();
    let sizes = proptest::collection::vec(1..100_usize, 1..20);
    TestRunner::new(ProptestConfig::with_cases(64))
        .run(&sizes, |sizes| {
            for (name, transcript) in &transcripts {
                transcript.play(name, &sizes);
            }
            Ok(())
        })
        .unwrap();
}

/// Lists of commands, the contents of files and the output of programs need no more.
#[test]
fn in_the_smallest_reply_buffer() {
    for (name, transcript) in transcripts() {
        for sizes in [&[usize::MAX][..], &[1], &[511, 2, 3]] {
            transcript.play_in::<512>(&mut Buffers::new(), &name, sizes);
        }
    }
}
