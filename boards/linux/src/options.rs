//! The command line: qemu-ga's options, long and short.

use core::str::FromStr;
use core::time::Duration;
use std::path::PathBuf;

use agent_core::Policy;
use lexopt::{Arg, Error, Parser, ValueExt as _};

use crate::log::Log;

pub(crate) const HELP: &str = "\
Usage: tinyqga [-m <method> -p <path>] [<options>]

The QEMU guest agent without an operating system around it, as a Linux process.

  -m, --method METHOD    transport: unix-listen, isa-serial or virtio-serial
                         (virtio-serial is the default)
  -p, --path PATH        device or socket; the default for virtio-serial is
                         /dev/virtio-ports/org.qemu.guest_agent.0, for
                         isa-serial /dev/ttyS0
  -b, --block-rpcs LIST  commands to disable, with commas between them
                         (\"help\" lists those that there are)
  -a, --allow-rpcs LIST  the only commands to enable, likewise
      --dry-run          neither set the time, freeze, trim, suspend, shut down
                         nor change users, processors and memory, only log it;
                         files are written and programs run all the same
      --exec             offer guest-exec and guest-exec-status: the host may run
                         any program here
      --freeze-timeout SECONDS
                         how long file systems stay frozen if no thaw comes
                         (60 is the default; 0 is for ever)
      --root FOLDER      the system whose users' passwords and keys are meant
                         (/ is the default)
  -v, --verbose          log every connection and action
  -V, --version          print the version and exit
  -h, --help             print this and exit

A shutdown is carried out by the kernel at once, after sync(2): this is meant
for images in which the agent is the only process, or the first.
";

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    Help,
    ListCommands,
    Serve(Options),
    Version,
}

/// How to serve.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) method: Method,
    pub(crate) path: PathBuf,
    /// Change nothing of the machine, but files and what programs do.
    pub(crate) dry_run: bool,
    /// The host may run programs.
    pub(crate) exec: bool,
    /// How long a freeze may last; `None` is for ever.
    pub(crate) freeze_timeout: Option<Duration>,
    /// The system whose users are meant.
    pub(crate) root: PathBuf,
    rpcs: Rpcs,
    verbose: bool,
}

impl Options {
    pub(crate) fn log(&self) -> Log {
        Log::new(self.verbose)
    }

    pub(crate) fn policy(&self) -> Policy<'_> {
        match &self.rpcs {
            Rpcs::All => Policy::AllowAll,
            Rpcs::Allow(list) => Policy::Allow(list.as_bytes()),
            Rpcs::Block(list) => Policy::Block(list.as_bytes()),
        }
    }
}

/// [`Policy`], with lists of its own.
#[derive(Debug, PartialEq)]
enum Rpcs {
    All,
    Allow(String),
    Block(String),
}

/// The transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    IsaSerial,
    UnixListen,
    VirtioSerial,
}

impl Method {
    /// Where qemu-ga looks when it is not told.
    fn default_path(self) -> Option<PathBuf> {
        match self {
            Self::IsaSerial => Some("/dev/ttyS0".into()),
            Self::UnixListen => None,
            Self::VirtioSerial => Some("/dev/virtio-ports/org.qemu.guest_agent.0".into()),
        }
    }
}

impl FromStr for Method {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "isa-serial" => Ok(Self::IsaSerial),
            "unix-listen" => Ok(Self::UnixListen),
            "virtio-serial" => Ok(Self::VirtioSerial),
            _ => Err("expected unix-listen, isa-serial or virtio-serial"),
        }
    }
}

/// Reads a command line.
///
/// # Errors
///
/// An option that does not exist, lacks its value, or does not go with the others.
pub(crate) fn parse(mut parser: Parser) -> Result<Invocation, Error> {
    let mut method = Method::VirtioSerial;
    let mut path = None;
    let mut rpcs = Rpcs::All;
    let mut dry_run = false;
    let mut exec = false;
    let mut freeze_timeout = 60;
    let mut root = "/".into();
    let mut verbose = false;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('m') | Arg::Long("method") => method = parser.value()?.parse()?,
            Arg::Short('p') | Arg::Long("path") => path = Some(parser.value()?.into()),
            Arg::Short('b') | Arg::Long("block-rpcs") => match (list(&mut parser)?, rpcs) {
                (None, _) => return Ok(Invocation::ListCommands),
                (_, Rpcs::Allow(_)) => return Err(BOTH_LISTS.into()),
                (Some(list), _) => rpcs = Rpcs::Block(list),
            },
            Arg::Short('a') | Arg::Long("allow-rpcs") => match (list(&mut parser)?, rpcs) {
                (None, _) => return Ok(Invocation::ListCommands),
                (_, Rpcs::Block(_)) => return Err(BOTH_LISTS.into()),
                (Some(list), _) => rpcs = Rpcs::Allow(list),
            },
            Arg::Long("dry-run") => dry_run = true,
            Arg::Long("exec") => exec = true,
            Arg::Long("freeze-timeout") => freeze_timeout = parser.value()?.parse()?,
            Arg::Long("root") => root = parser.value()?.into(),
            Arg::Short('v') | Arg::Long("verbose") => verbose = true,
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Version),
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            _ => return Err(argument.unexpected()),
        }
    }
    let path = path.or_else(|| method.default_path()).ok_or("unix-listen needs a --path")?;
    let freeze_timeout = Some(Duration::from_secs(freeze_timeout)).filter(|time| !time.is_zero());
    Ok(Invocation::Serve(Options {
        method,
        path,
        dry_run,
        exec,
        freeze_timeout,
        root,
        rpcs,
        verbose,
    }))
}

const BOTH_LISTS: &str = "--allow-rpcs and --block-rpcs exclude each other";

/// A list of commands; `None` for the question which there are.
fn list(parser: &mut Parser) -> Result<Option<String>, Error> {
    let list = parser.value()?.string()?;
    Ok(Some(list).filter(|list| list != "help" && list != "?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Invocation, String> {
        parse(Parser::from_args(line.split_whitespace())).map_err(|error| error.to_string())
    }

    fn serves(line: &str, method: Method, path: &str, policy: Policy<'_>) {
        match read(line) {
            Ok(Invocation::Serve(options)) => {
                assert_eq!((options.method, options.path.to_str()), (method, Some(path)), "{line}");
                assert_eq!(options.policy(), policy, "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn ways_to_serve() {
        let port = "/dev/virtio-ports/org.qemu.guest_agent.0";
        serves("", Method::VirtioSerial, port, Policy::AllowAll);
        serves("-v --dry-run", Method::VirtioSerial, port, Policy::AllowAll);
        serves("-m isa-serial", Method::IsaSerial, "/dev/ttyS0", Policy::AllowAll);
        serves("-misa-serial -p/dev/ttyS1", Method::IsaSerial, "/dev/ttyS1", Policy::AllowAll);
        serves("--method=unix-listen --path=s", Method::UnixListen, "s", Policy::AllowAll);
        serves("-m unix-listen -p s -b x,y", Method::UnixListen, "s", Policy::Block(b"x,y"));
        serves("-p s --allow-rpcs x", Method::VirtioSerial, "s", Policy::Allow(b"x"));
        // As with qemu-ga, the last one counts.
        serves("-p s -b x -b y", Method::VirtioSerial, "s", Policy::Block(b"y"));
    }

    #[test]
    fn what_is_offered() {
        for (line, exec, root) in
            [("", false, "/"), ("--exec", true, "/"), ("--root=/sysroot", false, "/sysroot")]
        {
            let Ok(Invocation::Serve(options)) = read(line) else { panic!("{line}") };
            assert_eq!((options.exec, options.root.to_str()), (exec, Some(root)), "{line}");
        }
    }

    #[test]
    fn time_for_a_freeze() {
        for (line, expected) in [
            ("", Some(60)),
            ("--freeze-timeout 5", Some(5)),
            ("--freeze-timeout=0", None),
            ("--freeze-timeout=18446744073709551615", Some(u64::MAX)),
        ] {
            let Ok(Invocation::Serve(options)) = read(line) else { panic!("{line}") };
            assert_eq!(options.freeze_timeout, expected.map(Duration::from_secs), "{line}");
        }
    }

    #[test]
    fn questions() {
        for (line, expected) in [
            ("-V", Invocation::Version),
            ("--version --method nonsense", Invocation::Version),
            ("-v -h", Invocation::Help),
            ("-b help", Invocation::ListCommands),
            ("-a ?", Invocation::ListCommands),
        ] {
            assert_eq!(read(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn mistakes() {
        for (line, expected) in [
            ("--nope", "invalid option '--nope'"),
            ("-x", "invalid option '-x'"),
            ("extra", "unexpected argument \"extra\""),
            ("--path", "missing argument for option '--path'"),
            ("--dry-run=yes", "unexpected argument for option '--dry-run': \"yes\""),
            ("-m unix-listen", "unix-listen needs a --path"),
            (
                "--freeze-timeout soon",
                "cannot parse argument \"soon\": invalid digit found in string",
            ),
            ("-a x -b y", BOTH_LISTS),
            ("-b x -a y", BOTH_LISTS),
            (
                "-m vsock-listen",
                "cannot parse argument \"vsock-listen\": expected unix-listen, isa-serial or virtio-serial",
            ),
        ] {
            assert_eq!(read(line), Err(expected.to_owned()), "{line}");
        }
    }
}
