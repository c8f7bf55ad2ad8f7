//! What holds for every input whatever.

mod guest;
mod play;

use agent_core::{Agent, Buffers, Policy};
use guest::Guest;
use play::play;
use proptest::{collection::vec, prelude::*, sample::select};

const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b" ",
    b"\n",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\"a\"",
    b"'b'",
    b"\"execute\"",
    b"\"arguments\"",
    b"\"id\"",
    b"\"guest-ping\"",
    b"\"guest-sync\"",
    b"0",
    b"-1",
    b"01",
    b"1.5",
    b"1e5",
    b"1e400",
    b"-",
    b"true",
    b"null",
    b"nul",
    b"X",
    b"\xff",
    b"\xfe",
    b"\0",
    b"\x1f",
    b"\"\\u00e9\"",
    b"\"\\ud83d\"",
    b"\"\\q\"",
    b"\"\xc3\"",
    b"\"\xc3\xa9\"",
    b"{\"execute\":\"guest-ping\"}",
    b"{\"execute\":\"guest-info\"}",
    b"{\"execute\":\"guest-sync\",\"arguments\":{\"id\":7},\"id\":",
    b"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
];

/// How the reply to the last request of a client in step ends.
const SYNCED: &[u8] = b"\n\xff{\"return\": 815}\n";
/// How the reply to a ping with a list as its id begins.
const ECHOED: &[u8] = b"{\"return\": {}, \"id\": [";

/// Pieces of JSON and raw bytes in any order.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let token = select(TOKENS).prop_map(<[u8]>::to_vec);
    vec(prop_oneof![4 => token, 1 => vec(any::<u8>(), 1..8)], 0..80)
        .prop_map(|tokens| tokens.concat())
}

/// What an agent with a request buffer of so many bytes answers.
fn replies<const REQUEST: usize>(input: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut buffers: Box<Buffers<REQUEST, 8192>> = Box::new(Buffers::new());
    let policy = Policy::Block(b"guest-get-time");
    let mut agent = Agent::new(Guest::default(), &mut buffers).with_policy(policy);
    play(&mut agent, input, sizes.iter().copied().cycle())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn chunks_make_no_difference(input in input(), sizes in vec(1..40_usize, 1..10)) {
        prop_assert_eq!(replies::<256>(&input, &sizes), replies::<256>(&input, &[usize::MAX]));
    }

    #[test]
    fn a_client_can_always_sync(input in input()) {
        let sync = b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":815}}";
        let output = replies::<256>(&[&input, &sync[..]].concat(), &[usize::MAX]);
        prop_assert!(output.ends_with(SYNCED), "{:?}", output);
    }

    #[test]
    fn every_reply_is_a_line_of_ascii(input in input()) {
        let output = replies::<256>(&input, &[usize::MAX]);
        for line in output.split_inclusive(|&byte| byte == b'\n') {
            let line = line.strip_prefix(b"\xff").unwrap_or(line);
            let is_object = line.starts_with(b"{") && line.ends_with(b"}\n");
            prop_assert!(is_object && line.is_ascii(), "{:?}", line);
        }
    }

    #[test]
    fn a_larger_buffer_moves_the_limit_and_nothing_else(input in input()) {
        let small = replies::<256>(&input, &[usize::MAX]);
        let limited = small.windows(10).any(|text| text == b"size limit");
        prop_assert!(limited || small == replies::<65536>(&input, &[usize::MAX]));
    }

    #[test]
    fn what_is_sent_within_the_buffers_size_fits(id in "[ -!#-\\[\\]-~]{0,120}", list in vec(any::<u8>(), 0..25)) {
        let request = format!("{{\"execute\":\"guest-ping\",\"id\":[{list:?},\"{id}\"]}}").replace(' ', "");
        prop_assert!(request.len() <= 256);
        let output = replies::<256>(request.as_bytes(), &[usize::MAX]);
        prop_assert!(output.starts_with(ECHOED), "{:?}", output);
    }
}
