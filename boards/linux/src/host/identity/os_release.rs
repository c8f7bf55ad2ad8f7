//! A description of the system: os-release(5), assignments as of a shell.

use std::path::Path;

use crate::host::kernel_files;

/// What it assigns.
#[derive(Debug, Default)]
pub(super) struct OsRelease(Vec<(String, String)>);

impl OsRelease {
    /// What was assigned last.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(assigned, _)| assigned == name).map(|(_, value)| &**value)
    }
}

/// Reads a file; `None` where it cannot be read, or is not text.
pub(super) fn read(file: &Path) -> Option<OsRelease> {
    let text = String::from_utf8(kernel_files::read_bytes(file).ok()?).ok()?;
    Some(parse(&text))
}

/// Lines that assign nothing, such as comments, are skipped. Blanks around the equals sign count as
/// none, as with qemu-ga.
fn parse(text: &str) -> OsRelease {
    let assignments = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let assignments = assignments.filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((name.trim().to_owned(), unquote(value.trim_start())))
    });
    OsRelease(assignments.collect())
}

/// The value that a shell would assign. What follows it on its line is not part of it.
fn unquote(text: &str) -> String {
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.split('\'').next().unwrap_or_default().to_owned();
    }
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split([' ', ';']).next().unwrap_or_default().to_owned();
    };
    let mut value = String::new();
    let mut characters = quoted.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            // Other backslashes stay.
            '\\' => value.push(
                characters
                    .next_if(|next| matches!(next, '$' | '\'' | '"' | '\\' | '`'))
                    .unwrap_or(character),
            ),
            _ => value.push(character),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        for (text, expected) in [
            ("", ""),
            ("debian", "debian"),
            ("two words", "two"),
            ("a;b", "a"),
            ("a # no comment", "a"),
            ("it's", "it's"),
            ("\"two words\"", "two words"),
            ("\"a; b\" rest", "a; b"),
            ("\"\"", ""),
            ("\"open", "open"),
            ("'two words'", "two words"),
            (r#"'\$"'"#, r#"\$""#),
            ("'open", "open"),
            (r#""Unit test \"\'\$\`\\ and \\\\ etc.""#, r#"Unit test "'$`\ and \\ etc."#),
            (r#""\n \a""#, r"\n \a"),
            (r#""end\"#, r"end\"),
        ] {
            assert_eq!(unquote(text), expected, "{text}");
        }
    }

    #[test]
    fn assignments() {
        let description = parse(
            "# A comment\n\nID=debian\n #NAME=no\nNAME = \"Debian GNU/Linux\"\nVERSION_ID=11\r\n\
             nonsense\nVERSION_ID=12\nEMPTY=\n",
        );
        for (name, expected) in [
            ("ID", Some("debian")),
            ("NAME", Some("Debian GNU/Linux")),
            ("VERSION_ID", Some("12")),
            ("EMPTY", Some("")),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(description.value(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_not_a_description() {
        assert!(read(Path::new("/nowhere")).is_none());
        assert!(read(Path::new("/")).is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"ID=\xFF\n").unwrap();
        assert!(read(file.path()).is_none());
    }
}
