//! What of an answer can be compared: neither the time nor what moves while one looks.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Numbers that only grow, by the names of their members: what a machine counts.
const GROWING: [&str; 32] = [
    // guest-get-cpustats
    "guest",
    "guestnice",
    "irq",
    "nice",
    "softirq",
    "steal",
    "system",
    "user",
    // guest-get-diskstats
    "discard-ios",
    "discard-merges",
    "discard-sectors",
    "discard-ticks",
    "flush-ios",
    "flush-ticks",
    "read-ios",
    "read-merges",
    "read-sectors",
    "read-ticks",
    "total-ticks",
    "weight-ticks",
    "write-ios",
    "write-merges",
    "write-sectors",
    "write-ticks",
    // guest-network-get-interfaces
    "rx-bytes",
    "rx-dropped",
    "rx-errs",
    "rx-packets",
    "tx-bytes",
    "tx-dropped",
    "tx-errs",
    "tx-packets",
];

/// Numbers that go up and down: proc(5) says so of the first two, the others are no counts.
const MOVING: [&str; 5] = ["idle", "iowait", "ios-pgr", "pid", "used-bytes"];

/// What qemu-ga 7.2 lists without offering it, on every system but Windows.
const LISTED_ONLY: &str = "guest-get-devices";

/// How two agents' answers are made comparable.
#[derive(Debug)]
pub(super) struct Masks {
    /// Commands that both offer.
    common: Vec<String>,
    has_udev: bool,
}

/// An answer without what differs from run to run or by nature.
#[derive(Debug)]
pub(super) struct Comparable {
    pub(super) text: Vec<u8>,
    /// The numbers that only grow.
    counts: Vec<u64>,
}

impl Masks {
    /// For agents that offer these commands.
    pub(super) fn new(real: &[String], ours: &[String]) -> Self {
        let is_common = |name: &&String| ours.contains(name) && *name != LISTED_ONLY;
        Self {
            common: real.iter().filter(is_common).cloned().collect(),
            has_udev: Path::new("/run/udev/data").exists(),
        }
    }

    pub(super) fn apply(&self, answer: &[u8]) -> Comparable {
        let mut comparable = Comparable { text: Vec::new(), counts: Vec::new() };
        for line in answer.split_inclusive(|&byte| byte == b'\n') {
            let Ok(text) = core::str::from_utf8(line) else {
                comparable.text.extend_from_slice(line);
                continue;
            };
            let masked = if text.starts_with("{\"return\": {\"version\": \"") {
                self.info(text)
            } else if let Some(rest) = after_time(text) {
                format!("{{\"return\": TIME{rest}")
            } else if text.starts_with("{\"return\": ") {
                numbers(&self.serials(text), &mut comparable.counts)
            } else {
                text.to_owned()
            };
            comparable.text.extend(masked.into_bytes());
        }
        comparable
    }

    /// The list of guest-info, of the commands that both offer.
    fn info(&self, info: &str) -> String {
        let mut parts = info.split("{\"enabled\": ");
        parts.next();
        let mut kept =
            String::from("{\"return\": {\"version\": VERSION, \"supported_commands\": [");
        let mut tail = "";
        for part in parts {
            let (command, rest) = part.split_once('}').unwrap_or((part, ""));
            tail = rest;
            if self.common.iter().any(|name| command.contains(&format!("\"{name}\""))) {
                kept += command;
                kept += "; ";
            }
        }
        kept + tail
    }

    /// Disks without serial numbers, where there is no udev to tell qemu-ga of them.
    fn serials(&self, answer: &str) -> String {
        const SERIAL: &str = "\"serial\": \"";
        if self.has_udev {
            return answer.to_owned();
        }
        let mut parts = answer.split(SERIAL);
        let first = parts.next().unwrap_or_default().to_owned();
        parts
            .fold(first, |kept, part| kept + part.split_once("\", ").map_or(part, |(_, rest)| rest))
    }
}

impl Comparable {
    /// Whether ours, which has answered after the real one, says the same.
    pub(super) fn is_followed_by(&self, ours: &Self) -> bool {
        let mut counts = self.counts.iter().zip(&ours.counts);
        self.text == ours.text && counts.all(|(before, after)| before <= after)
    }
}

/// A reply without the numbers that change; those that only grow are added to `counts`.
fn numbers(reply: &str, counts: &mut Vec<u64>) -> String {
    const COLON: &str = "\": ";
    let mut kept = String::new();
    let mut rest = reply;
    while let Some((before, after)) = rest.split_once(COLON) {
        let name = before.rsplit('"').next().unwrap_or_default();
        let end = after.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(after.len());
        let (digits, behind) = after.split_at(end);
        kept = kept + before + COLON;
        rest = after;
        let grows = GROWING.contains(&name);
        if let Ok(number) = digits.parse::<u64>()
            && (grows || MOVING.contains(&name))
        {
            counts.extend(grows.then_some(number));
            kept += "NUMBER";
            rest = behind;
        }
    }
    kept + rest
}

/// The rest of a reply after a time that is about now.
fn after_time(reply: &str) -> Option<&str> {
    const A_DAY: u128 = 86_400 * 1_000_000_000;
    let number = reply.strip_prefix("{\"return\": ")?;
    let end = number.find(|digit: char| !digit.is_ascii_digit())?;
    let (digits, rest) = number.split_at(end);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_nanos();
    (digits.parse::<u128>().ok()?.abs_diff(now) < A_DAY).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(has_udev: bool) -> Masks {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let real = names(&["guest-ping", "guest-get-devices", "guest-sync"]);
        let ours = names(&["guest-ping", "guest-get-devices", "guest-get-load"]);
        Masks { has_udev, ..Masks::new(&real, &ours) }
    }

    fn check(real: &str, ours: &str, expected: bool) {
        let masks = masks(false);
        let [real_masked, ours_masked] = [real, ours].map(|answer| masks.apply(answer.as_bytes()));
        assert_eq!(real_masked.is_followed_by(&ours_masked), expected, "{real} {ours}");
    }

    #[test]
    fn counts_grow() {
        let reply =
            |user, idle| format!("{{\"return\": [{{\"idle\": {idle}, \"user\": {user}}}]}}\n");
        check(&reply(7, 5), &reply(7, 5), true);
        check(&reply(7, 5), &reply(8, 4), true);
        check(&reply(7, 5), &reply(6, 5), false);
        check("{\"return\": {\"user\": \"a\"}}\n", "{\"return\": {\"user\": \"b\"}}\n", false);
        check("{\"return\": {\"size\": 1}}\n", "{\"return\": {\"size\": 2}}\n", false);
        check("{\"return\": {\"pid\": 9}}\n", "{\"return\": {\"pid\": 3}}\n", true);
    }

    #[test]
    fn serial_numbers_need_udev() {
        let with =
            "{\"return\": [{\"serial\": \"a\", \"bus\": 0}, {\"serial\": \"b\", \"bus\": 1}]}";
        let without = "{\"return\": [{\"bus\": 0}, {\"bus\": 1}]}";
        assert_eq!(masks(false).apply(with.as_bytes()).text, without.as_bytes());
        assert_eq!(masks(true).apply(with.as_bytes()).text, with.as_bytes());
    }

    #[test]
    fn commands_that_both_offer() {
        let info = |names: &[&str]| {
            let commands: Vec<_> = names
                .iter()
                .map(|name| format!("{{\"enabled\": true, \"name\": \"{name}\"}}"))
                .collect();
            format!(
                "{{\"return\": {{\"version\": \"1.2.3\", \"supported_commands\": [{}]}}}}\n",
                commands.join(", ")
            )
        };
        check(&info(&["guest-sync", "guest-ping"]), &info(&["guest-ping", "guest-get-load"]), true);
        check(&info(&["guest-sync", "guest-ping"]), &info(&["guest-get-load"]), false);
    }

    #[test]
    fn what_is_no_answer_stays_as_it_is() {
        for answer in [&b"\xFF{\"return\": 5}\n"[..], b"{\"error\": {\"user\": 5}}\n", b"\xFF\xFE"]
        {
            assert_eq!(masks(false).apply(answer).text, answer);
        }
    }
}
