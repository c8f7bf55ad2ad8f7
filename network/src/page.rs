//! What the clients of the page are answered: plain text over HTTP/1.1.

use core::fmt::{self, Write as _};

use heapless::String;

use crate::date::Date;
use crate::request::Request;

/// Bytes of the longest answer. That of four interfaces with all their addresses has room.
pub(crate) const ANSWER_BYTES: usize = 2048;

/// Bytes of the longest contents; the head in front of them takes at most 256.
const CONTENTS_BYTES: usize = ANSWER_BYTES - 256;

/// An answer, head and contents.
pub(crate) type Answer = String<ANSWER_BYTES>;

type Contents = String<CONTENTS_BYTES>;

/// What the page tells about the guest, beside its network.
pub trait Guest {
    /// The first line of the page: what the guest is, and its version.
    fn title(&self) -> &str;

    /// Its wall clock, in seconds since the beginning of 1970, if it has one.
    fn unix_s(&mut self) -> Option<u64>;

    /// The rest, in lines: a word of up to ten letters, and what there is to tell of it. All of
    /// them together have 400 bytes; a line that does not fit is left out.
    fn lines(&mut self, line: &mut dyn FnMut(&str, fmt::Arguments<'_>));
}

/// Shows each interface to a visitor.
pub(crate) type List<'l> = &'l dyn Fn(&mut dyn FnMut(&agent_core::Interface<'_>));

/// Answers a request.
pub(crate) fn answer(request: Request, guest: &mut dyn Guest, interfaces: List<'_>) -> Answer {
    let mut contents = Contents::new();
    let date = guest.unix_s().and_then(Date::new);
    let (status, is_head) = match request {
        Request::Page { is_head } => {
            describe(&mut contents, guest, date, interfaces);
            ("200 OK", is_head)
        }
        Request::NotFound { is_head } => ("404 Not Found", is_head),
        Request::Method => ("405 Method Not Allowed", false),
        Request::Malformed => ("400 Bad Request", false),
        Request::Version => ("505 HTTP Version Not Supported", false),
        Request::TooLong => ("431 Request Header Fields Too Large", false),
    };
    if contents.is_empty() {
        line(&mut contents, format_args!("{status}\n"));
    }
    let mut answer = Answer::new();
    line(&mut answer, format_args!("HTTP/1.1 {status}\r\n"));
    if let Some(date) = date {
        line(&mut answer, format_args!("Date: {date}\r\n"));
    }
    if request == Request::Method {
        // > The origin server MUST generate an Allow header field in a 405 response (RFC 9110, section
        // > 15.5.6)
        line(&mut answer, format_args!("Allow: GET, HEAD\r\n"));
    }
    line(
        &mut answer,
        format_args!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            contents.len()
        ),
    );
    if !is_head {
        line(&mut answer, format_args!("{contents}"));
    }
    answer
}

/// Writes the page.
fn describe(
    contents: &mut Contents,
    guest: &mut dyn Guest,
    date: Option<Date>,
    interfaces: List<'_>,
) {
    line(contents, format_args!("{}\n\n", guest.title()));
    if let Some(date) = date {
        line(contents, format_args!("{:<10}  {date}\n", "time"));
    }
    guest.lines(&mut |word, text| line(contents, format_args!("{word:<10}  {text}\n")));
    interfaces(&mut |interface| {
        line(contents, format_args!("{:<10}  {}\n", interface.name, Hardware(interface)));
        for address in interface.addresses {
            line(contents, format_args!("{:<10}  {}/{}\n", "", address.address, address.prefix));
        }
    });
}

/// An interface's hardware address.
struct Hardware<'i>(&'i agent_core::Interface<'i>);

impl fmt::Display for Hardware<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.0.hardware_address.unwrap_or_default();
        for (index, octet) in octets.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

/// Writes all of it or nothing.
fn line<const BYTES: usize>(text: &mut String<BYTES>, line: fmt::Arguments<'_>) {
    let before = text.len();
    if text.write_fmt(line).is_err() {
        text.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use agent_core::InterfaceAddress;

    use super::*;
    use crate::interface::ADDRESSES;
    use crate::network::INTERFACES_MAX;

    /// A guest that tells as much as it may.
    struct Talkative;

    impl Guest for Talkative {
        fn title(&self) -> &'static str {
            "a guest with a name that is rather long, 1234.5678.9012"
        }

        fn unix_s(&mut self) -> Option<u64> {
            Some(0)
        }

        fn lines(&mut self, line: &mut dyn FnMut(&str, fmt::Arguments<'_>)) {
            for _ in 0..4 {
                line("0123456789", format_args!("{:>87}", "."));
            }
        }
    }

    fn list(visit: &mut dyn FnMut(&agent_core::Interface<'_>)) {
        let longest =
            InterfaceAddress { address: Ipv6Addr::from_bits(u128::MAX).into(), prefix: 128 };
        let mut addresses = [longest; ADDRESSES];
        addresses[0] = InterfaceAddress { address: Ipv4Addr::BROADCAST.into(), prefix: 32 };
        for _ in 0..INTERFACES_MAX {
            visit(&agent_core::Interface {
                name: "eth0",
                hardware_address: Some([0xff; 6]),
                addresses: &addresses,
                statistics: None,
            });
        }
    }

    #[test]
    fn the_longest_page_has_room() {
        let answer = answer(Request::Page { is_head: false }, &mut Talkative, &list);
        let (head, contents) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.len() + 4 <= ANSWER_BYTES - CONTENTS_BYTES, "{}", head.len());
        assert_eq!(contents.lines().count(), 2 + 1 + 4 + INTERFACES_MAX * (1 + ADDRESSES));
        assert!(head.contains(&*std::format!("Content-Length: {}", contents.len())));
    }

    #[test]
    fn a_line_that_does_not_fit_is_left_out() {
        let mut text = String::<10>::new();
        line(&mut text, format_args!("{}", "1234567"));
        line(&mut text, format_args!("{}{}", "89", "01"));
        line(&mut text, format_args!("{}", "890"));
        assert_eq!(text, "1234567890");
    }
}
