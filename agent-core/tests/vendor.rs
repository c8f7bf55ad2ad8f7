//! Commands of an application's own: whatever their author writes, the host gets lines of JSON.

mod guest;
mod play;

use core::iter::repeat;

use agent_core::{Agent, Board, Buffers, Clock, Command, Field, Needs, Response, Type, Vendor};
use guest::Guest;
use play::play;

/// A guest that may have a clock, with these commands.
struct Maker {
    guest: Guest,
    has_clock: bool,
    commands: Vec<Vendor<Self>>,
}

impl Board for Maker {
    fn clock(&mut self) -> Option<&mut dyn Clock> {
        if self.has_clock { self.guest.clock() } else { None }
    }

    fn vendor_commands(&self) -> &[Vendor<Self>] {
        &self.commands
    }
}

type Handler = agent_core::Handler<Maker>;

const ONE: Handler = |call| {
    call.reply.integer(1);
    Ok(())
};

const TWO: Handler = |call| {
    call.reply.integer(2);
    Ok(())
};

/// What is answered by a guest with these commands and, where `has_clock` says so, a clock.
fn replies(has_clock: bool, commands: &[(Command, Handler)], request: &str) -> String {
    let commands = commands.iter().map(|&(command, handler)| Vendor { command, handler }).collect();
    let mut buffers: Buffers<1024, 512> = Buffers::new();
    let mut agent =
        Agent::new(Maker { guest: Guest::default(), has_clock, commands }, &mut buffers);
    let output = play(&mut agent, request.as_bytes(), repeat(usize::MAX));
    String::from_utf8(output).unwrap()
}

#[test]
fn a_command_needs_what_its_row_says() {
    let chime = Command { needs: Needs::Clock, ..Command::new("acme-chime", "1.0") };
    let commands = [(chime, ONE)];
    let ask = r#"{"execute":"acme-chime"}"#;
    assert_eq!(replies(true, &commands, ask), "{\"return\": 1}\n");
    assert!(replies(false, &commands, ask).contains("acme-chime has not been found"));
    let list = r#"{"execute":"guest-info"}"#;
    assert!(replies(true, &commands, list).contains("acme-chime"));
    assert!(!replies(false, &commands, list).contains("acme-chime"));
}

#[test]
fn of_two_with_one_name_the_first_is_run() {
    let commands = [
        (Command::new("acme-lamp", "1.0"), ONE),
        (Command::new("acme-lamp", "2.0"), TWO),
        (Command::new("guest-get-time", "1.0"), TWO),
    ];
    assert_eq!(replies(false, &commands, r#"{"execute":"acme-lamp"}"#), "{\"return\": 1}\n");
    let time = r#"{"execute":"guest-get-time"}"#;
    assert_eq!(replies(false, &commands, time), "{\"return\": 2}\n");
    assert_ne!(replies(true, &commands, time), "{\"return\": 2}\n");
}

#[test]
fn a_command_may_be_answered_like_any_other() {
    let answered = |response| {
        let command = Command { response, ..Command::new("acme-lamp", "1.0") };
        replies(false, &[(command, ONE)], r#"{"execute":"acme-lamp","id":"x"}"#)
    };
    assert_eq!(answered(Response::Line), "{\"return\": 1, \"id\": \"x\"}\n");
    assert_eq!(answered(Response::Silent), "");
}

/// The names of arguments come from the application, too.
#[test]
fn any_name_is_quoted() {
    const NAME: &str = "h\u{f6}he \"1\"\\";
    const MEMBERS: &[Field] = &[Field::new(NAME, Type::UNSIGNED)];
    const TYPES: &[Type] = &[
        Type::BOOLEAN,
        Type::INTEGER,
        Type::NUMBER,
        Type::STRING,
        Type::STRINGS,
        Type::UNSIGNED,
        Type::structures("['AcmeHeight']", MEMBERS),
    ];
    const FIELDS: [[Field; 1]; TYPES.len()] = {
        let mut fields = [[Field::new(NAME, Type::BOOLEAN)]; TYPES.len()];
        let mut at = 0;
        while at < TYPES.len() {
            fields[at][0].r#type = TYPES[at];
            at += 1;
        }
        fields
    };
    let name = serde_json::to_string(NAME).unwrap();
    let arguments = [
        "{}".to_owned(),
        format!("{{{name}:null}}"),
        format!("{{{name}:[null]}}"),
        format!("{{{name}:[{{}}]}}"),
        format!("{{{name}:[{{{name}:null}}]}}"),
    ];
    for fields in &FIELDS {
        let command = Command { arguments: fields, ..Command::new("acme-\u{f6} \"", "1.0") };
        for arguments in &arguments {
            let request = format!(r#"{{"execute":"acme-\u00f6 \"","arguments":{arguments}}}"#);
            let reply = replies(false, &[(command, ONE)], &request);
            assert!(reply.is_ascii(), "{reply}");
            let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
            let description = reply["error"]["desc"].as_str().unwrap();
            assert!(description.contains(NAME), "{arguments}: {description}");
        }
    }
    let command = Command::new("acme-\u{f6} \"", "1.0");
    let list = replies(false, &[(command, ONE)], r#"{"execute":"guest-info"}"#);
    assert!(list.contains(r#""acme-\u00F6 \"""#), "{list}");
}

#[test]
fn values_of_every_kind() {
    let check = |handler: Handler, expected: &str| {
        let command = Command::new("acme-lamp", "1.0");
        let reply = replies(false, &[(command, handler)], r#"{"execute":"acme-lamp"}"#);
        assert_eq!(reply, format!("{{\"return\": {expected}}}\n"));
    };
    check(|_| Ok(()), "{}");
    check(
        |call| {
            call.reply.begin_array().begin_object().end_object().begin_array().end_array();
            call.reply.integer(-1).unsigned(u64::MAX).double(0.5).boolean(true).end_array();
            Ok(())
        },
        "[{}, [], -1, 18446744073709551615, 0.5, true]",
    );
    check(
        |call| {
            call.reply.string(b"}], {\"[\\");
            Ok(())
        },
        r#""}], {\"[\\""#,
    );
}

#[test]
#[cfg(debug_assertions)]
fn a_reply_that_is_not_one_value_is_the_makers_mistake() {
    let broken: [Handler; 5] = [
        |call| {
            call.reply.begin_object();
            Ok(())
        },
        |call| {
            call.reply.begin_array().begin_object().key("a").integer(1).end_object();
            Ok(())
        },
        |call| {
            call.reply.end_object();
            Ok(())
        },
        |call| {
            call.reply.begin_object().end_object().end_object();
            Ok(())
        },
        |call| {
            call.reply.integer(1).integer(2);
            Ok(())
        },
    ];
    for handler in broken {
        let command = (Command::new("acme-lamp", "1.0"), handler);
        let run = || replies(false, &[command], r#"{"execute":"acme-lamp"}"#);
        std::panic::catch_unwind(run).unwrap_err();
    }
}
