//! Bad input: every malformed line gets its error, and the next request is answered.
//!
//! The texts are qemu-ga's. `0xFF` and deeper corners are the conformance test's.

use core::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tests::client::{ANSWER, Client};
use tests::qemu::Guest;
use tests::transcript::readable;

use crate::Case;

pub(crate) const CASES: &[Case] =
    &[Case::new("bad-input", bad_input), Case::new("too-long", too_long)];

/// What a malformed request is answered, as the text after the class; a line for each.
#[rustfmt::skip]
const MALFORMED: &[(&str, &[&str])] = &[
    // Not JSON.
    ("}", &["JSON parse error, expecting value"]),
    (",", &["JSON parse error, expecting value"]),
    ("{]", &["JSON parse error, expecting value"]),
    ("{1:2}", &["JSON parse error, key is not a string in object"]),
    ("{\"execute\":\"guest-ping\",}", &["JSON parse error, expecting value"]),
    ("{\"execute\" \"guest-ping\"}", &["JSON parse error, missing : in object pair"]),
    ("{\"execute\":}", &["JSON parse error, expecting value"]),
    ("{\"a\":1 \"b\":2}", &["JSON parse error, expected separator in dict"]),
    ("[1 2]", &["JSON parse error, expected separator in list"]),
    ("{\"a\":1,\"a\":2}", &["JSON parse error, duplicate key"]),
    ("nope\n", &["JSON parse error, invalid keyword 'nope'"]),
    ("{\"execute\":\"\\x41\"}", &["JSON parse error, invalid escape sequence in string"]),
    ("{\"execute\":\"\\uD83D\"}", &["JSON parse error, \\\\uD83D is not a valid Unicode character"]),
    ("@\n", &["JSON parse error, stray '@'"]),
    ("{\"a\": 01}", &["JSON parse error, stray '01'", "JSON parse error, expecting value"]),
    // Not a request.
    ("[]", &["QMP input must be a JSON object"]),
    ("\"guest-ping\"", &["QMP input must be a JSON object"]),
    ("42\n", &["QMP input must be a JSON object"]),
    ("{}", &["QMP input lacks member 'execute'"]),
    ("{\"execute\":1}", &["QMP input member 'execute' must be a string"]),
    ("{\"execute\":\"guest-ping\",\"arguments\":[]}", &["QMP input member 'arguments' must be an object"]),
    ("{\"execute\":\"guest-ping\",\"foo\":1}", &["QMP input member 'foo' is unexpected"]),
    // Wrong arguments.
    ("{\"execute\":\"guest-sync\"}", &["Parameter 'id' is missing"]),
    ("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":\"1\"}}", &["Invalid parameter type for 'id', expected: integer"]),
    ("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1.0}}", &["Invalid parameter type for 'id', expected: integer"]),
    ("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":9223372036854775808}}", &["Invalid parameter type for 'id', expected: integer"]),
    ("{\"execute\":\"guest-sync-delimited\"}", &["Parameter 'id' is missing"]),
    ("{\"execute\":\"guest-get-time\",\"arguments\":{\"t\":0}}", &["Parameter 't' is unexpected"]),
];

/// Commands that no agent has, or this one not yet.
const UNKNOWN: [&str; 5] = ["guest-nope", "", "GUEST-PING", "guest-ping ", "qmp_capabilities"];

fn bad_input(guest: &mut Guest) -> Result<()> {
    let mut client = guest.connect_when_up()?;
    for (input, descs) in MALFORMED {
        client.send(input)?;
        for desc in *descs {
            expect_error(&mut client, "GenericError", desc)
                .with_context(|| format!("after `{}`", readable(input.as_bytes())))?;
        }
        expect_ping(&mut client).with_context(|| format!("after `{input}`"))?;
    }
    // Bytes that are not UTF-8.
    client.send(b"{\"execute\":\"\xc3\x28\"}\n")?;
    expect_error(
        &mut client,
        "GenericError",
        "JSON parse error, invalid UTF-8 sequence in string",
    )?;
    expect_ping(&mut client)?;
    // A control character ends a string; what follows is skipped up to the brace, which is a
    // message of its own.
    client.send(b"{\"execute\":\"guest\x01-ping\"}\n")?;
    expect_error(&mut client, "GenericError", "JSON parse error, stray '\\\"guest\\u0001'")?;
    expect_error(&mut client, "GenericError", "JSON parse error, expecting value")?;
    expect_ping(&mut client)?;

    for command in UNKNOWN {
        client.send(format!("{{\"execute\":\"{command}\"}}\n"))?;
        let desc = format!("The command {command} has not been found");
        expect_error(&mut client, "CommandNotFound", &desc)?;
        expect_ping(&mut client)?;
    }
    Ok(())
}

/// A request longer than any buffer costs one error; nothing after it is lost.
fn too_long(guest: &mut Guest) -> Result<()> {
    /// More than all the memory of the smallest image.
    const LONG: usize = 70_000;
    const WITHIN: Duration = Duration::from_secs(20);
    let mut client = guest.connect_when_up()?;
    let filler = "x".repeat(LONG);
    let mut requests = vec![
        format!("{{\"execute\":\"guest-ping\",\"id\":\"{filler}\"}}"),
        format!("{{\"execute\":\"{filler}\"}}"),
        format!("{{\"execute\":\"guest-ping\",\"arguments\":{{\"a\":[\"{filler}\",{{}}]}}}}"),
    ];
    let mut blanks = " \t\r\n".repeat(LONG / 4);
    if !guest.channel().is_virtio() {
        // Under emulation each byte of a UART costs its time.
        requests.truncate(1);
        blanks.truncate(LONG / 10);
    }
    for request in requests {
        client.send(&request)?;
        client.send("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":31}}\n")?;
        let error = client.line(WITHIN)?;
        ensure!(
            error.starts_with(b"{\"error\": {\"class\": \"GenericError\", \"desc\": \""),
            "got `{}`",
            readable(&error)
        );
        let reply = client.line(WITHIN)?;
        ensure!(reply == b"{\"return\": 31}\n", "got `{}`", readable(&reply));
    }
    // Blanks between tokens take no room.
    client.send(format!("{{\"execute\":{blanks}\"guest-ping\"}}"))?;
    let reply = client.line(WITHIN)?;
    ensure!(reply == b"{\"return\": {}}\n", "got `{}`", readable(&reply));
    Ok(())
}

fn expect_error(client: &mut Client, class: &str, desc: &str) -> Result<()> {
    let line = client.line(ANSWER)?;
    let expected = format!("{{\"error\": {{\"class\": \"{class}\", \"desc\": \"{desc}\"}}}}\n");
    ensure!(
        line == expected.as_bytes(),
        "got\n  `{}`, not\n  `{}`",
        readable(&line),
        readable(expected.as_bytes())
    );
    Ok(())
}

fn expect_ping(client: &mut Client) -> Result<()> {
    client.expect(r#"{"execute":"guest-ping"}"#, r#"{"return": {}}"#)
}
