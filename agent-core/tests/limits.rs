//! Messages at and beyond the agent's limits: an error each, and nothing else is lost.

mod guest;
mod play;

use core::iter::repeat;

use agent_core::{
    Agent, Board, Buffers, COMMANDS, Command, Errno, Needs, Password, Passwords, Policy,
};
use guest::Guest;
use play::play;

const TOO_LONG: &str =
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON token size limit exceeded\"}}\n";
const PING: &str = "{\"return\": {}}\n";

/// The replies of an agent with a request buffer of 1024 bytes.
fn replies(input: &str) -> String {
    let mut buffers: Buffers<1024, 8192> = Buffers::new();
    let mut agent = Agent::new(Guest::default(), &mut buffers);
    text(&play(&mut agent, input.as_bytes(), repeat(usize::MAX)))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn a_request_of_the_buffers_size_fits_and_one_byte_more_does_not() {
    let request = |length: usize| {
        let frame = r#"{"execute":"guest-ping","id":""}"#.len();
        format!(r#"{{"execute":"guest-ping","id":"{}"}}"#, "x".repeat(length - frame))
    };
    let fits = replies(&request(1024));
    assert!(fits.starts_with("{\"return\": {}, \"id\": \"xxx"), "{fits}");
    // What is kept of a message is a little shorter than its text; this is beyond both.
    let too_long = request(1024 + 8);
    assert_eq!(replies(&too_long), TOO_LONG);
    assert_eq!(
        replies(&format!("{too_long}{{\"execute\":\"guest-ping\"}}")),
        TOO_LONG.to_owned() + PING
    );
}

#[test]
fn white_space_takes_no_room() {
    let blanks = " \n".repeat(5000);
    assert_eq!(replies(&format!("{{{blanks}\"execute\"{blanks}:\"guest-ping\"{blanks}}}")), PING);
}

#[test]
fn a_message_that_is_too_long_is_skipped_to_its_end() {
    let x = "x".repeat(3000);
    let check = |message: &str| {
        let output = replies(&format!("{message}\n{{\"execute\":\"guest-ping\"}}"));
        assert_eq!(output, TOO_LONG.to_owned() + PING, "{}", &message[..40]);
    };
    check(&format!(r#"{{"execute":"guest-ping","id":"{x}"}}"#));
    check(&format!(r#"{{"execute":"guest-ping","id":["{x}",{{"a":["{x}"]}},1]}}"#));
    check(&format!(r#"{{"{x}":1}}"#));
    check(&format!(r#"["{x}"]"#));
    check(&format!(r#""{x}""#));
    check(&"1".repeat(3000));
    check(&x);
    check(&format!("[{}]", "1,".repeat(3000) + "1"));
    // What is wrong behind the limit makes no second error, nor does what was wrong before it.
    check(&format!(r#"{{"a":"{x}" 1 2 : , "\q" nope}}"#));
    check(&format!(r#"{{1:2,"a":"{x}"}}"#));
}

#[test]
fn no_byte_at_the_limit_upsets_what_follows() {
    // Whatever the byte is that does not fit, each of these is one message.
    let messages: [fn(&str) -> String; 7] = [
        |x| format!(r#"{{"execute":"guest-ping","id":"{x}"}}"#),
        |x| format!(r#"{{"id":"{x}","execute":"guest-ping"}}"#),
        |x| format!(r#"["{x}"]"#),
        |x| format!(r#""{x}""#),
        |x| format!(r#"{{"a":"{x}","b":[[[[[[[[[[]]]]]]]]]]}}"#),
        |x| format!(r#"{{"a":"{x}","b":{{"c":{{"d":[1,2,3]}}}},"e":true}}"#),
        |x| format!(r#"{{1:2,"a":"{x}","b":[[{{}}]]}}"#),
    ];
    for message in messages {
        for length in 950..1060 {
            let message = message(&"x".repeat(length));
            let output = replies(&format!("{message}{{\"execute\":\"guest-ping\"}} {message}"));
            let lines: Vec<_> = output.split_inclusive('\n').collect();
            assert_eq!(lines.len(), 3, "{length}: {message}\n{output}");
            assert_eq!(lines[1], PING, "{length}: {message}\n{output}");
            assert_eq!(lines[0], lines[2], "{length}: {message}\n{output}");
        }
    }
}

#[test]
fn every_bad_byte_behind_the_limit_is_answered() {
    let stray =
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, stray '@'\"}}\n";
    let x = "x".repeat(3000);
    let output = replies(&format!("{{\"id\":\"{x}\",@\n{{\"execute\":\"guest-ping\"}}"));
    assert_eq!(output, [TOO_LONG, stray, PING].concat());
}

#[test]
fn an_error_that_is_latched_needs_no_room_for_the_rest() {
    let error = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error, key is not a string in object\"}}\n";
    let rest = r#""key":"value","#.repeat(1000);
    assert_eq!(replies(&format!("{{1:2,{rest}\"a\":1}}")), error);
}

#[test]
fn nesting() {
    // 1024 levels with the object; the request buffer of this test has room for them.
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let mut buffers: Buffers<4096, 8192> = Buffers::new();
    let mut agent = Agent::new(Guest::default(), &mut buffers);
    let mut play = |input: &str| text(&play(&mut agent, input.as_bytes(), repeat(usize::MAX)));
    let id = deep(1023);
    let output = play(&format!("{{\"execute\":\"guest-ping\",\"id\":{id}}}"));
    assert_eq!(output, format!("{{\"return\": {{}}, \"id\": {id}}}\n"));
    let limit = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON nesting depth limit exceeded\"}}\n";
    assert_eq!(play(&"[".repeat(1025)), limit);
    assert_eq!(play("{\"execute\":\"guest-ping\"}"), PING);
    let output = play(&format!("{{\"execute\":\"guest-ping\",\"id\":{}}}", deep(1024)));
    assert!(output.starts_with(limit));
    assert_eq!(output.lines().count(), 1 + 1025);
}

#[test]
fn a_long_echo_leaves_in_pieces() {
    // Every byte becomes six, and the whole is longer than the reply buffer.
    let accents = "\u{e9}".repeat(2000);
    let mut buffers: Buffers<8192, 8192> = Buffers::new();
    let mut agent = Agent::new(Guest::default(), &mut buffers);
    let request = format!("{{\"execute\":\"guest-ping\",\"id\":\"{accents}\"}}");
    let output = text(&play(&mut agent, request.as_bytes(), [usize::MAX, 1].into_iter().cycle()));
    assert_eq!(output, format!("{{\"return\": {{}}, \"id\": \"{}\"}}\n", r"\u00E9".repeat(2000)));
}

#[test]
fn info_lists_what_the_board_offers_in_reverse() {
    struct Bare;
    impl Board for Bare {}

    let names = |output: &[u8]| {
        let value: serde_json::Value = serde_json::from_slice(output).unwrap();
        let commands = value["return"]["supported_commands"].as_array().unwrap().clone();
        let name = |command: &serde_json::Value| command["name"].as_str().unwrap().to_owned();
        commands.iter().map(name).collect::<Vec<_>>()
    };
    let expected = |offered: &dyn Fn(&Command) -> bool| {
        let commands = COMMANDS.iter().rev().filter(|&command| offered(command));
        commands.map(|command| command.name.to_owned()).collect::<Vec<_>>()
    };

    let mut buffers: Buffers = Buffers::new();
    let mut agent = Agent::new(Guest::default(), &mut buffers);
    agent.receive(br#"{"execute":"guest-info"}"#);
    let in_guest = [Needs::Nothing, Needs::Clock, Needs::Power];
    assert_eq!(names(agent.pending()), expected(&|command| in_guest.contains(&command.needs)));

    let mut buffers: Buffers = Buffers::new();
    let mut agent = Agent::new(Bare, &mut buffers).with_policy(Policy::Block(b"guest-ping"));
    agent.receive(br#"{"execute":"guest-info"}"#);
    assert_eq!(names(agent.pending()), expected(&|command| command.needs == Needs::Nothing));
    let text = String::from_utf8_lossy(agent.pending()).into_owned();
    assert!(text.contains(r#"{"enabled": false, "name": "guest-ping", "success-response": true}"#));

    // A capability that is not there is a command that is not there.
    let mut agent = Agent::new(Bare, &mut buffers);
    agent.receive(br#"{"execute":"guest-get-time"}"#);
    assert!(String::from_utf8_lossy(agent.pending()).contains("guest-get-time has not been found"));
}

#[test]
fn a_password_is_taken_whole_or_not_at_all() {
    struct Counter(usize);

    impl Board for Counter {
        fn passwords(&mut self) -> Option<&mut dyn Passwords> {
            Some(self)
        }
    }

    impl Passwords for Counter {
        fn set(&mut self, _: &[u8], password: Password<'_>) -> Result<(), Errno> {
            let (Password::Plain(bytes) | Password::Crypted(bytes)) = password;
            self.0 = bytes.len();
            Ok(())
        }
    }

    let check = |password: &str, length: usize, is_taken: bool| {
        let request = format!(
            r#"{{"execute":"guest-set-user-password","arguments":{{"username":"root","password":"{password}","crypted":false}}}}"#
        );
        let mut buffers: Buffers = Buffers::new();
        let mut agent = Agent::new(Counter(0), &mut buffers);
        let output = text(&play(&mut agent, request.as_bytes(), repeat(usize::MAX)));
        if is_taken {
            assert_eq!((output.as_str(), agent.board_mut().0), (PING, length));
        } else {
            assert!(output.contains("the password is too long"), "{length}: {output}");
            assert_eq!(agent.board_mut().0, 0);
        }
    };
    // Groups of three bytes, of one and of two.
    let (three, one, two) = ("YWJj", "YQ==", "YWI=");
    check("", 0, true);
    check(&three.repeat(512), 1536, true);
    check(&[&three.repeat(512), one].concat(), 1537, false);
    check(&[one, &three.repeat(510), two].concat(), 1533, true);
    check(&[one, &three.repeat(511), two].concat(), 1536, false);
}
