//! Inputs made at random: token soup, mutated requests, raw bytes.
//!
//! The same seed gives the same inputs. No input names a command that could do harm.

use fastrand::Rng;

/// Pieces of JSON and of requests, sound and unsound.
const TOKENS: [&[u8]; 74] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b" ",
    b"\n",
    b"\t",
    b"\r",
    b"\x00",
    b"\x1f",
    b"\x7f",
    b"\xff",
    b"\xfe",
    b"\xc3\xa9",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\x80",
    b"\"",
    b"'",
    b"\\",
    b"\"execute\"",
    b"'execute'",
    b"\"arguments\"",
    b"\"id\"",
    b"\"control\"",
    b"\"guest-ping\"",
    b"\"guest-sync\"",
    b"\"guest-sync-delimited\"",
    b"\"guest-get-time\"",
    b"\"nope\"",
    b"\"\"",
    b"\"a\"",
    b"'b'",
    b"\"\\u0041\"",
    b"\"\\ud83d\\ude00\"",
    b"\"\\ud83d\"",
    b"\"\\u0000\"",
    b"\"\\uFFFE\"",
    b"\"\\x\"",
    b"\"\\u12\"",
    b"\"\\/\\b\\f\\n\\r\\t\\'\\\"\"",
    b"0",
    b"-0",
    b"1",
    b"-1",
    b"01",
    b"1.5",
    b"1.",
    b".5",
    b"1e3",
    b"1e",
    b"1e+",
    b"-",
    b"+1",
    b"0.1",
    b"1e999",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"true",
    b"false",
    b"null",
    b"nil",
    b"True",
    b"%d",
    b"//",
    b"{\"execute\":\"guest-ping\"}",
    b"{\"execute\":",
    b"{\"a\":[1,{\"b\":2}],",
];

/// Sound requests to start mutations from.
const REQUESTS: [&[u8]; 12] = [
    b"{\"execute\":\"guest-ping\"}\n",
    b"{\"execute\":\"guest-ping\",\"arguments\":{}}\n",
    b"{\"execute\":\"guest-ping\",\"id\":{\"b\":1,\"a\":[true,null,\"x\"]}}\n",
    b"{\"execute\":\"guest-ping\",\"id\":\"\\u00e9\\ud83d\\ude00\\\"\"}\n",
    b"{\"execute\":\"guest-ping\",\"id\":0.1}\n",
    b"{\"execute\":\"guest-ping\",\"arguments\":{\"foo\":1,\"bar\":2}}\n",
    b"{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1234567}}\n",
    b"{\"arguments\":{\"id\":-9223372036854775808},\"execute\":\"guest-sync\"}\n",
    b"{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n",
    b"{\"execute\":\"guest-get-time\"}\n",
    b"{\"execute\":\"nope\",\"id\":[[[1]]]}\n",
    b"{'execute': 'guest-ping', 'id': 'it\\'s'}\r\n",
];

/// Bytes that mean something to the lexer, for mutations.
const SPECIAL: &[u8] = b"{}[]:,\"'\\\n\t -+.0123456789eEutfn\xff\xfe\x00\x80\xc3\xed\xf0";

/// Names that a mutation could make out of a harmless one, and that must not be sent.
const FORBIDDEN: [&[u8]; 4] = [b"set-time", b"guest-set", b"guest-exec", b"guest-file"];

/// Makes inputs.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
}

impl Generator {
    /// A generator that makes the same inputs for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed) }
    }

    /// The next input, as the writes it is sent in.
    pub fn input(&mut self) -> Vec<Vec<u8>> {
        loop {
            let input = match self.rng.u8(..4) {
                0 => self.token_soup(),
                1 => self.raw_bytes(),
                _ => self.mutated(),
            };
            let names = |word: &[u8]| input.windows(word.len()).any(|window| window == word);
            if !FORBIDDEN.iter().any(|word| names(word)) {
                return self.split(&input);
            }
        }
    }

    fn token_soup(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        for _ in 0..self.rng.usize(1..40) {
            input.extend_from_slice(self.pick(&TOKENS));
        }
        input
    }

    fn raw_bytes(&mut self) -> Vec<u8> {
        (0..self.rng.usize(1..60))
            .map(|_| if self.rng.bool() { self.rng.u8(..) } else { self.special() })
            .collect()
    }

    fn mutated(&mut self) -> Vec<u8> {
        let mut input = self.pick(&REQUESTS).to_vec();
        for _ in 0..self.rng.usize(0..3) {
            input.extend_from_slice(self.pick(&REQUESTS));
        }
        for _ in 0..self.rng.usize(1..5) {
            let at = self.rng.usize(..=input.len());
            let end = (at + self.rng.usize(..8)).min(input.len());
            match self.rng.u8(..6) {
                0 => drop(input.drain(at..end)),
                1 => input.insert(at, self.special()),
                2 => input.insert(at, self.rng.u8(..)),
                3 => {
                    let copy = input[at..end].to_vec();
                    input.splice(at..at, copy);
                }
                4 => {
                    let token = self.pick(&TOKENS);
                    input.splice(at..end, token.iter().copied());
                }
                _ => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte ^= 1 << self.rng.u8(..8);
                    }
                }
            }
        }
        input
    }

    /// Cuts an input into writes; most often it stays whole.
    fn split(&mut self, input: &[u8]) -> Vec<Vec<u8>> {
        let longest = if self.rng.u8(..4) == 0 { 8 } else { usize::MAX };
        let mut chunks = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            let length = self.rng.usize(1..=longest.min(rest.len()));
            let length = if longest == usize::MAX { rest.len() } else { length };
            let (chunk, after) = rest.split_at(length);
            chunks.push(chunk.to_vec());
            rest = after;
        }
        chunks
    }

    fn special(&mut self) -> u8 {
        SPECIAL.get(self.rng.usize(..SPECIAL.len())).copied().unwrap_or_default()
    }

    fn pick(&mut self, from: &[&'static [u8]]) -> &'static [u8] {
        self.rng.choice(from).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{FORBIDDEN, Generator};

    #[test]
    fn inputs_depend_on_the_seed_alone_and_name_nothing_harmful() {
        let inputs = |seed| -> Vec<Vec<Vec<u8>>> {
            let mut generator = Generator::new(seed);
            (0..500).map(|_| generator.input()).collect()
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3), inputs(4));
        for input in inputs(5) {
            let bytes = input.concat();
            for word in FORBIDDEN {
                assert!(!bytes.windows(word.len()).any(|window| window == word), "{bytes:?}");
            }
        }
    }
}
