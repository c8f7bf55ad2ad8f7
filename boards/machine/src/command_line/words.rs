//! The words of the command line, as Linux takes it apart (`next_arg` in `lib/cmdline.c`)
//!
//! White space between two double quotes does not end a word. Quotes around the whole word or
//! around its value are not part of it; all others are.

/// What follows `key`, which ends in `=`, in the last word that begins with it.
pub(super) fn last<'l>(line: &'l [u8], key: &'static [u8]) -> Option<&'l [u8]> {
    values(line, key).last()
}

/// What follows `key`, which ends in `=`, in each word that begins with it.
pub(super) fn values<'l>(line: &'l [u8], key: &'static [u8]) -> impl Iterator<Item = &'l [u8]> {
    let mut in_quotes = false;
    let ends = move |byte: &u8| {
        in_quotes ^= *byte == b'"';
        byte.is_ascii_whitespace() && !in_quotes
    };
    line.split(ends).filter_map(move |word| {
        let value = without_quote(without_quote(word).strip_prefix(key)?);
        let is_quoted = key.len() + value.len() < word.len();
        Some(value.strip_suffix(b"\"").filter(|_| is_quoted).unwrap_or(value))
    })
}

/// Takes a quote at the start away.
fn without_quote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_linux_takes_them_for() {
        for (line, expected) in [
            ("", &[][..]),
            ("k k", &[]),
            ("xk=1 kk=1 K=1 k =1", &[]),
            ("k=", &[""]),
            ("k=1", &["1"]),
            ("  k=1\tk=2\n k=3 ", &["1", "2", "3"]),
            ("k=k=1", &["k=1"]),
            // Quotes around the value, around the word, and an empty one.
            (r#"k="a b" k=c"#, &["a b", "c"]),
            (r#""k=a b" k=c"#, &["a b", "c"]),
            (r#"k="" k=c"#, &["", "c"]),
            (r#"k=" a ""#, &[" a "]),
            // Within a value they stay, and still keep its words together.
            (r#"k=a" "b"#, &[r#"a" "b"#]),
            (r#"k=ab"c d""#, &[r#"ab"c d""#]),
            (r#"k="a"b"#, &[r#"a"b"#]),
            (r#"k="a b"c"#, &[r#"a b"c"#]),
            // Both at once are more than Linux takes away.
            (r#""k="a""#, &["a"]),
            // A word in quotes hides what looks like others.
            (r#"other="x k=1" k=2"#, &["2"]),
            // One that does not end takes the rest of the line.
            (r#"k="a b k=c"#, &["a b k=c"]),
            (r#"k=1 other="x k=2"#, &["1"]),
            (r#"k=""#, &[""]),
            (r#"""#, &[]),
        ] {
            let values: Vec<&[u8]> = values(line.as_bytes(), b"k=").collect();
            let expected: Vec<&[u8]> = expected.iter().map(|text| text.as_bytes()).collect();
            assert_eq!(values, expected, "{line}");
            assert_eq!(last(line.as_bytes(), b"k="), expected.last().copied(), "{line}");
        }
        assert_eq!(last(b"k=\xFF\x00", b"k="), Some(&b"\xFF\x00"[..]));
    }
}
