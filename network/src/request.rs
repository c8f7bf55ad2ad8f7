//! The head of an HTTP/1 request (RFC 9112).

/// What a client wants, or why that cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// The page.
    Page {
        /// Its head only: the method is HEAD.
        is_head: bool,
    },
    /// Something that there is not (404).
    NotFound {
        /// As above: there are no contents to an answer to HEAD, whatever it says.
        is_head: bool,
    },
    /// To do something else with the page (405).
    Method,
    /// What is no request (400).
    Malformed,
    /// A request in a version that is not HTTP/1 (505).
    Version,
    /// One that is too long (431).
    TooLong,
}

impl Request {
    /// Reads the head of a request; `None` if it has not ended yet.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut lines = Lines(bytes);
        let mut line = lines.next()?;
        // > A server SHOULD ignore at least one empty line received prior to the request-line.
        // (section 2.2)
        if line.is_empty() {
            line = lines.next()?;
        }
        let mut hosts = 0;
        let mut is_field = true;
        loop {
            let field = lines.next()?;
            if field.is_empty() {
                break;
            }
            let name = field.split(|byte| *byte == b':').next().unwrap_or_default();
            is_field &= name.len() < field.len() && !name.is_empty();
            is_field &= name.iter().all(u8::is_ascii_graphic);
            hosts += usize::from(name.eq_ignore_ascii_case(b"host"));
        }
        Some(Self::read(line, hosts).filter(|_| is_field).unwrap_or(Self::Malformed))
    }

    /// The request of a request-line, with so many Host fields after it.
    fn read(line: &[u8], hosts: usize) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let is_token = !method.is_empty() && method.iter().all(u8::is_ascii_graphic);
        let minor = match version {
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                if *major != b'1' {
                    return Some(Self::Version);
                }
                *minor
            }
            _ => return None,
        };
        // > A server MUST respond with a 400 status code to any HTTP/1.1 request message that lacks
        // > a Host header field and to any that contains more than one (section 3.2)
        let lacks_host = hosts == 0 && minor > b'0';
        if words.next().is_some() || !is_token || hosts > 1 || lacks_host {
            return None;
        }
        let path = path(target)?;
        let is_head = method == b"HEAD";
        Some(match (path, method) {
            (b"/", b"GET" | b"HEAD") => Self::Page { is_head },
            (b"/", _) | (b"*", b"OPTIONS") => Self::Method,
            _ => Self::NotFound { is_head },
        })
    }
}

/// The path of a target, without its query, if it is one (section 3.2).
fn path(target: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"http://";
    let is_absolute =
        target.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME));
    let path = if is_absolute {
        let authority = target.get(SCHEME.len()..)?;
        let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?'));
        end.and_then(|end| authority.get(end..)).unwrap_or(b"/")
    } else {
        target
    };
    let path = path.split(|byte| *byte == b'?').next()?;
    match path {
        [] if is_absolute => Some(b"/"),
        [] => None,
        _ => Some(path),
    }
}

/// The lines that have ended, without their ends.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Option<Request> = Some(Request::Page { is_head: false });
    const NOT_FOUND: Option<Request> = Some(Request::NotFound { is_head: false });
    const MALFORMED: Option<Request> = Some(Request::Malformed);

    #[test]
    fn heads_are_read() {
        let cases: [(&[u8], Option<Request>); 41] = [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PAGE),
            (b"GET / HTTP/1.0\r\n\r\n", PAGE),
            (b"GET / HTTP/1.0\n\n", PAGE),
            (b"\r\nGET / HTTP/1.0\r\n\r\n", PAGE),
            (b"GET / HTTP/1.9\r\nhost:\r\n\r\n", PAGE),
            (b"GET / HTTP/1.1\r\nAccept: */*\r\nHOST: a:80\r\n\r\nrest", PAGE),
            (b"GET /?a=b HTTP/1.0\r\n\r\n", PAGE),
            (b"GET http://a/ HTTP/1.0\r\n\r\n", PAGE),
            (b"GET HTTP://a HTTP/1.0\r\n\r\n", PAGE),
            (b"GET http://a?b HTTP/1.0\r\n\r\n", PAGE),
            (b"HEAD / HTTP/1.0\r\n\r\n", Some(Request::Page { is_head: true })),
            (b"GET /x HTTP/1.0\r\n\r\n", NOT_FOUND),
            (b"GET // HTTP/1.0\r\n\r\n", NOT_FOUND),
            (b"GET http://a/x HTTP/1.0\r\n\r\n", NOT_FOUND),
            (b"POST /x HTTP/1.0\r\n\r\n", NOT_FOUND),
            (b"HEAD /x HTTP/1.0\r\n\r\n", Some(Request::NotFound { is_head: true })),
            (b"POST / HTTP/1.0\r\n\r\n", Some(Request::Method)),
            (b"get / HTTP/1.0\r\n\r\n", Some(Request::Method)),
            (b"OPTIONS * HTTP/1.0\r\n\r\n", Some(Request::Method)),
            (b"GET / HTTP/2.0\r\n\r\n", Some(Request::Version)),
            (b"GET / HTTP/0.9\r\n\r\n", Some(Request::Version)),
            (b"GET / HTTP/1.1\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.0\r\nno field\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.0\r\n: nameless\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.0\r\nHost : a\r\n\r\n", MALFORMED),
            (b"GET /\r\n\r\n", MALFORMED),
            (b"GET  / HTTP/1.0\r\n\r\n", MALFORMED),
            (b"GET / HTTP/1.0 \r\n\r\n", MALFORMED),
            (b"GET / HTTP/10\r\n\r\n", MALFORMED),
            (b"GET / http/1.0\r\n\r\n", MALFORMED),
            (b"GET ?a HTTP/1.0\r\n\r\n", MALFORMED),
            (b" / HTTP/1.0\r\n\r\n", MALFORMED),
            (b"\n\n\n", MALFORMED),
            (b"\x16\x03\x01\0\xff\n\n", MALFORMED),
            (b"", None),
            (b"\r\n", None),
            (b"GET / HTTP/1.0\r\n", None),
            (b"GET / HTTP/1.0\r\nHost: a\r\n", None),
            (b"GET / HTTP/1.0\r\n\r", None),
        ];
        for (bytes, expected) in cases {
            let shown = core::str::from_utf8(bytes).unwrap_or("not text");
            assert_eq!(Request::parse(bytes), expected, "{shown:?}");
        }
    }

    #[test]
    fn a_head_ends_where_it_ends() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(Request::parse(&whole[..len]), None, "{len}");
        }
        assert_eq!(Request::parse(whole), PAGE);
    }
}
