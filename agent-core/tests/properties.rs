//! What holds for every input whatever.

mod guest;
mod play;
mod whole;

use agent_core::{Agent, Buffers, COMMANDS, Command, Field, Policy, Response};
use guest::Guest;
use play::play;
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};
use whole::with_whole;

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

/// What an argument may be given, right or wrong. A list or structure is of some command.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1000",
    "1.5",
    "18446744073709551615",
    "\"\"",
    "\"root\"",
    "\"hello.txt\"",
    "\"w+\"",
    "\"both\"",
    "\"cur\"",
    "\"merged\"",
    "\"c2VjcmV0\"",
    "\"\\u0000\\\"\u{e9}\\n%\"",
    "{}",
    "[]",
    "[\"\"]",
    "[\"/\",\"\u{e9}\",\"#\"]",
    "[\"\",1]",
    "[{}]",
    "[{\"logical-id\":9,\"online\":true},{\"logical-id\":1,\"online\":false}]",
    "[{\"phys-index\":0,\"online\":false},{\"phys-index\":-1,\"online\":true}]",
    "[{\"phys-index\":0,\"online\":false,\"logical-id\":1,\"x\":1,\"y\":2}]",
];

/// Whether a value looks like one of this type.
fn is_of(field: &Field, value: &str) -> bool {
    let first = match field.r#type.name {
        "bool" => "tf",
        "int" | "uint64" => "-01",
        "str" => "\"",
        name if name.starts_with('[') => "[",
        _ => "tf01\"",
    };
    value.starts_with(|letter| first.contains(letter))
}

/// A request for a command; most of its arguments are there and of the right type.
fn request() -> impl Strategy<Value = (Command, String)> {
    let fitting = any::<Index>().prop_map(|at| Some((true, at)));
    let wrong = any::<Index>().prop_map(|at| Some((false, at)));
    let value = prop_oneof![18 => fitting, 1 => wrong, 1 => Just(None)];
    let others = prop_oneof![18 => Just(""), 1 => Just("\"x\":1,"), 1 => Just("\"x\":1,\"y\":2,")];
    (select(COMMANDS), vec(value, 5), others, select(VALUES)).prop_map(
        |(command, values, others, id)| {
            let member = |(field, value): (&Field, Option<(bool, Index)>)| {
                let (fitting, at) = value?;
                let values: Vec<_> =
                    VALUES.iter().filter(|value| !fitting || is_of(field, value)).collect();
                Some(format!("\"{}\":{},", field.name, at.get(&values)))
            };
            let members: String = command.arguments.iter().zip(values).filter_map(member).collect();
            let arguments = [&members, others].concat();
            let (name, arguments) = (command.name, arguments.trim_end_matches(','));
            let request =
                format!(r#"{{"execute":"{name}","arguments":{{{arguments}}},"id":{id}}}"#);
            (command, request)
        },
    )
}

/// What a guest that can do everything answers to requests, each for itself.
fn whole_replies(requests: &[(Command, String)], sizes: &[usize]) -> Vec<Vec<u8>> {
    with_whole(|guest| {
        let mut buffers: Box<Buffers<1024, 16384>> = Box::default();
        let mut agent = Agent::new(guest, &mut buffers);
        let mut sizes = sizes.iter().copied().cycle();
        requests
            .iter()
            .map(|(_, request)| play(&mut agent, request.as_bytes(), &mut sizes))
            .collect()
    })
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_command_with_any_arguments_is_answered_by_one_line(
        requests in vec(request(), 1..20),
        sizes in vec(1..40_usize, 1..10),
    ) {
        let replies = whole_replies(&requests, &[usize::MAX]);
        for ((command, request), reply) in requests.iter().zip(&replies) {
            if command.response == Response::Silent && reply.is_empty() {
                continue;
            }
            let line = reply.strip_prefix(b"\xff").unwrap_or(reply);
            prop_assert!(line.ends_with(b"}\n") && line.is_ascii(), "{}\n{:?}", request, reply);
            let end = line.iter().position(|&byte| byte == b'\n');
            prop_assert_eq!(end, Some(line.len() - 1), "{:?}", reply);
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            prop_assert_eq!(value.as_object().unwrap().len(), 2, "{}\n{}", request, value);
        }
        prop_assert_eq!(whole_replies(&requests, &sizes), replies);
    }
}
