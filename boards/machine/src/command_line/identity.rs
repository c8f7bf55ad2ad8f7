//! `agent.host_name=`, `agent.os.<member>=` and `agent.timezone=`: what the guest is called
//!
//! - `agent.host_name=<name>`, as RFC 1123 §2.1 has it: labels of letters, digits and hyphens, with
//!   dots between them.
//! - `agent.os.id=`, `.name=`, `.pretty_name=`, `.version=`, `.version_id=`, `.variant=`,
//!   `.variant_id=`, `.kernel_release=`, `.kernel_version=`, `.machine=`, each with text; the words
//!   are those of `os-release(5)` and `uname(2)`. With nothing behind the `=` the member is left
//!   out of the answer.
//! - `agent.timezone=<zone><offset>`, such as `CET+01:00`: an abbreviation, which may be left out,
//!   and how far it is ahead of UTC, as RFC 3339 writes it. In POSIX's `TZ` the sign means the
//!   opposite, so nothing shorter is taken.
//!
//! What is wrong is told in the log, and stays as the image has it.

use agent_core::Timezone;

use super::words;
use crate::identity::Nameplate;

/// What the command line says, over `image`, which is what the image says.
pub fn identity<'l>(line: &'l [u8], image: Nameplate<'l>) -> Nameplate<'l> {
    let mut nameplate = image;
    if let Some(name) = told(line, b"agent.host_name=", host_name) {
        nameplate.host_name = name;
    }
    if let Some(timezone) = told(line, b"agent.timezone=", timezone) {
        nameplate.timezone = timezone;
    }
    let os = &mut nameplate.os;
    let members: [(&'static [u8], &mut Option<&'l str>); 10] = [
        (b"agent.os.id=", &mut os.id),
        (b"agent.os.name=", &mut os.name),
        (b"agent.os.pretty_name=", &mut os.pretty_name),
        (b"agent.os.version=", &mut os.version),
        (b"agent.os.version_id=", &mut os.version_id),
        (b"agent.os.variant=", &mut os.variant),
        (b"agent.os.variant_id=", &mut os.variant_id),
        (b"agent.os.kernel_release=", &mut os.kernel_release),
        (b"agent.os.kernel_version=", &mut os.kernel_version),
        (b"agent.os.machine=", &mut os.machine),
    ];
    for (key, member) in members {
        if let Some(text) = told(line, key, Some) {
            *member = Some(text).filter(|text| !text.is_empty());
        }
    }
    nameplate
}

/// What `read` makes of the text behind `key`, if that is there and right.
fn told<'l, V>(
    line: &'l [u8],
    key: &'static [u8],
    read: impl FnOnce(&'l str) -> Option<V>,
) -> Option<V> {
    let value = words::last(line, key)?;
    let is_shown = |text: &&str| !text.contains(char::is_control);
    let told = str::from_utf8(value).ok().filter(is_shown).and_then(read);
    if told.is_none() {
        crate::warning!("{=[u8]:a}{=[u8]:a}: not as it should be", key, value);
    }
    told
}

/// RFC 1123 §2.1, with the lengths of RFC 1035 §2.3.4.
fn host_name(name: &str) -> Option<&str> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    Some(name).filter(|name| name.len() <= 253 && name.split('.').all(is_label))
}

/// Letters, and RFC 3339's `time-numoffset`.
fn timezone(text: &str) -> Option<Timezone<'_>> {
    let sign = text.find(['+', '-'])?;
    let (zone, offset) = text.split_at_checked(sign)?;
    let is_abbreviation = zone.bytes().all(|byte| byte.is_ascii_alphabetic());
    let [sign, h1, h2, b':', m1, m2] = *offset.as_bytes() else { return None };
    let number = |tens: u8, ones: u8| {
        let digit = |byte: u8| char::from(byte).to_digit(10);
        i32::try_from(digit(tens)? * 10 + digit(ones)?).ok()
    };
    let (hours, minutes) = (number(h1, h2)?, number(m1, m2)?);
    if !is_abbreviation || hours > 23 || minutes > 59 {
        return None;
    }
    let ahead_s = (hours * 60 + minutes) * 60;
    Some(Timezone {
        zone: Some(zone).filter(|zone| !zone.is_empty()),
        offset_s: if sign == b'-' { -ahead_s } else { ahead_s },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Nameplate<'_> = Nameplate::image("pc");

    fn told(line: &[u8]) -> Nameplate<'_> {
        identity(line, IMAGE)
    }

    #[test]
    fn an_image_is_what_it_says_unless_told() {
        assert_eq!(told(b""), IMAGE);
        assert_eq!(told(b"agent.os.=x agent.os.ID=x agent.hostname=x agent.timezone"), IMAGE);
    }

    #[test]
    fn members_of_the_system() {
        let check = |key: &str, member: fn(&Nameplate<'_>) -> Option<String>| {
            for (value, expected) in [
                ("x", Some("x")),
                ("\"two words\"", Some("two words")),
                ("6.1.0-18~a=b", Some("6.1.0-18~a=b")),
                ("Gerät", Some("Gerät")),
                ("first agent.os.{}=last", Some("last")),
                ("", None),
            ] {
                let value = value.replace("{}", key);
                let line = format!("quiet agent.os.{key}={value} ro");
                let nameplate = told(line.as_bytes());
                assert_eq!(member(&nameplate).as_deref(), expected, "{line}");
            }
            for wrong in [&b"\xFF"[..], b"\"a\tb\"", b"a\x1Bb", b"\x7F"] {
                let line = [b"agent.os.", key.as_bytes(), b"=", wrong].concat();
                assert_eq!(told(&line), IMAGE, "{}", line.escape_ascii());
            }
        };
        check("id", |nameplate| nameplate.os.id.map(str::to_owned));
        check("name", |nameplate| nameplate.os.name.map(str::to_owned));
        check("pretty_name", |nameplate| nameplate.os.pretty_name.map(str::to_owned));
        check("version", |nameplate| nameplate.os.version.map(str::to_owned));
        check("version_id", |nameplate| nameplate.os.version_id.map(str::to_owned));
        check("variant", |nameplate| nameplate.os.variant.map(str::to_owned));
        check("variant_id", |nameplate| nameplate.os.variant_id.map(str::to_owned));
        check("kernel_release", |nameplate| nameplate.os.kernel_release.map(str::to_owned));
        check("kernel_version", |nameplate| nameplate.os.kernel_version.map(str::to_owned));
        check("machine", |nameplate| nameplate.os.machine.map(str::to_owned));
        assert_eq!(told(b"agent.os.name=x").os.id, IMAGE.os.id);
    }

    #[test]
    fn host_names() {
        let long = "a".repeat(63);
        let longest = [&long[..], &long, &long, &long[..61]].join(".");
        for name in ["a", "a.b", "web-1.example.org", "3com", "A", &long, &longest] {
            let line = format!("agent.host_name={name}");
            assert_eq!(told(line.as_bytes()).host_name, name);
        }
        let too_long = format!("{longest}a");
        let label_too_long = format!("{long}a");
        for name in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a_b",
            "\"a b\"",
            "ä",
            &too_long,
            &label_too_long,
        ] {
            let line = format!("agent.host_name={name}");
            assert_eq!(told(line.as_bytes()), IMAGE, "{line}");
        }
        assert_eq!(told(b"agent.host_name=\xFF"), IMAGE);
    }

    #[test]
    fn timezones() {
        for (text, zone, offset_s) in [
            ("CET+01:00", Some("CET"), 3600),
            ("UTC+00:00", Some("UTC"), 0),
            ("NST-03:30", Some("NST"), -12_600),
            ("+05:45", None, 20_700),
            ("-00:00", None, 0),
            ("x+23:59", Some("x"), 86_340),
        ] {
            let line = format!("agent.timezone={text}");
            assert_eq!(told(line.as_bytes()).timezone, Timezone { zone, offset_s }, "{text}");
        }
        for text in [
            "",
            "UTC",
            "CET",
            "CET-1",
            "CET1",
            "CET+1:00",
            "CET+0100",
            "CET+01:00:00",
            "CET+24:00",
            "CET+01:60",
            "CET+0a:00",
            "CET+ 1:00",
            "CE T+01:00",
            "+03+03:00",
            "é+01:00",
            "CET+é1:00",
            "CET,3600",
            "\u{661}+01:00",
        ] {
            let line = format!("agent.timezone=\"{text}\"");
            assert_eq!(told(line.as_bytes()), IMAGE, "{text}");
        }
        assert_eq!(told(b"agent.timezone=\xFF"), IMAGE);
    }
}
