//! Files, file systems and the freeze, over a file system in memory.

mod play;

use core::iter::repeat;

use agent_core::{
    Agent, Board, Buffers, Errno, Extent, Files, Filesystem, Filesystems, FreezeError, Handle,
    OpenMode, Policy, Trim, TrimError, Trimmed,
};
use embedded_io::SeekFrom;
use play::play;
use ramfs::{Arena, RamFs};

/// A guest with a file system in memory, and whatever a test wants of freezing and trimming.
struct Appliance {
    files: RamFs<'static>,
    thaw: Result<u32, FreezeError>,
    /// The next reads of a file give nothing.
    shrinks: bool,
}

impl Appliance {
    fn new() -> Self {
        let arena: &'static mut Arena<64, 8> = Box::leak(Box::new(Arena::new()));
        let mut files = RamFs::new(arena);
        files.write_file(b"hello.txt", b"Hello World!\n").unwrap();
        files.write_file(b"long", &b"a".repeat(20_000)).unwrap();
        Self { files, thaw: Ok(1), shrinks: false }
    }
}

impl Files for Appliance {
    fn open(&mut self, path: &[u8], mode: OpenMode) -> Result<Handle, Errno> {
        self.files.open(path, mode)
    }

    fn is_open(&mut self, handle: Handle) -> bool {
        self.files.is_open(handle)
    }

    fn close(&mut self, handle: Handle) -> Result<(), Errno> {
        self.files.close(handle)
    }

    fn measure(&mut self, handle: Handle, longest: u64) -> Result<Extent, Errno> {
        self.files.measure(handle, longest)
    }

    fn read(&mut self, handle: Handle, buffer: &mut [u8]) -> Result<usize, Errno> {
        // Never more than a few bytes at once, as a file may.
        let some = buffer.len().min(if self.shrinks { 0 } else { 100 });
        self.files.read(handle, &mut buffer[..some])
    }

    fn write(&mut self, handle: Handle, bytes: &[u8]) -> Result<usize, Errno> {
        let some = bytes.len().min(100);
        self.files.write(handle, &bytes[..some])
    }

    fn seek(&mut self, handle: Handle, to: SeekFrom) -> Result<u64, Errno> {
        self.files.seek(handle, to)
    }

    fn flush(&mut self, handle: Handle) -> Result<(), Errno> {
        self.files.flush(handle)
    }
}

impl Filesystems for Appliance {
    fn list(&mut self, visit: &mut dyn FnMut(&Filesystem<'_>)) {
        Filesystems::list(&mut self.files, visit);
    }

    fn freeze(&mut self, selected: &mut dyn FnMut(&[u8]) -> bool) -> Result<u32, FreezeError> {
        let chosen = [&b"/"[..], b"/data"].into_iter().filter(|mountpoint| selected(mountpoint));
        Ok(u32::try_from(chosen.count()).unwrap())
    }

    fn thaw(&mut self) -> Result<u32, FreezeError> {
        self.thaw
    }

    fn trim(&mut self, minimum: u64, visit: &mut dyn FnMut(&Trim<'_>)) {
        let outcomes = [
            Ok(Trimmed { bytes: 4096, minimum }),
            Err(TrimError::Unsupported),
            Err(TrimError::Disk(Errno::IO)),
        ];
        for outcome in outcomes {
            visit(&Trim { path: "/", outcome });
        }
    }
}

impl Board for Appliance {
    fn files(&mut self) -> Option<&mut dyn Files> {
        Some(self)
    }

    fn filesystems(&mut self) -> Option<&mut dyn Filesystems> {
        Some(self)
    }
}

/// What the agent answers to a request, taken in pieces of `size` bytes.
fn ask(agent: &mut Agent<'_, Appliance>, request: &str, size: usize) -> String {
    String::from_utf8(play(agent, request.as_bytes(), repeat(size))).unwrap()
}

/// A request without arguments, or with these.
fn request(command: &str, arguments: &str) -> String {
    format!("{{\"execute\":\"{command}\",\"arguments\":{{{arguments}}}}}")
}

fn with_agent(policy: Policy<'_>, test: impl FnOnce(&mut Agent<'_, Appliance>)) {
    let mut buffers: Buffers = Buffers::new();
    test(&mut Agent::new(Appliance::new(), &mut buffers).with_policy(policy));
}

/// A generic error's line.
fn error(description: &str) -> String {
    format!("{{\"error\": {{\"class\": \"GenericError\", \"desc\": \"{description}\"}}}}\n")
}

#[test]
fn conversations_with_files() {
    let exchanges = [
        ("open", r#""path":"hello.txt""#, "{\"return\": 1000}\n".to_owned()),
        (
            "read",
            r#""handle":1000,"count":5"#,
            "{\"return\": {\"count\": 5, \"buf-b64\": \"SGVsbG8=\", \"eof\": false}}\n".to_owned(),
        ),
        (
            "read",
            r#""handle":1000"#,
            "{\"return\": {\"count\": 8, \"buf-b64\": \"IFdvcmxkIQo=\", \"eof\": true}}\n"
                .to_owned(),
        ),
        (
            "read",
            r#""handle":1000,"count":0"#,
            "{\"return\": {\"count\": 0, \"buf-b64\": \"\", \"eof\": false}}\n".to_owned(),
        ),
        (
            "seek",
            r#""handle":1000,"offset":-3,"whence":"end""#,
            "{\"return\": {\"eof\": false, \"position\": 10}}\n".to_owned(),
        ),
        (
            "seek",
            r#""handle":1000,"offset":-1,"whence":0"#,
            error("failed to seek file: Invalid argument"),
        ),
        ("seek", r#""handle":1000,"offset":0,"whence":3"#, error("invalid whence code 3")),
        (
            "seek",
            r#""handle":1000,"offset":0,"whence":"here""#,
            error("Parameter 'whence' does not accept value 'here'"),
        ),
        (
            "seek",
            r#""handle":1000,"offset":0,"whence":1.5"#,
            error("Invalid parameter type for 'whence', expected: integer"),
        ),
        (
            "seek",
            r#""handle":1000,"offset":0,"whence":null"#,
            error("Invalid parameter type for 'whence', expected: GuestFileWhence"),
        ),
        (
            "write",
            r#""handle":1000,"buf-b64":"YQ==""#,
            error("failed to write to file: Bad file descriptor"),
        ),
        (
            "write",
            r#""handle":1000,"buf-b64":"Y!==""#,
            error("Base64 data contains invalid characters"),
        ),
        (
            "write",
            r#""handle":1000,"buf-b64":"YWJj","count":4"#,
            error("value '4' is invalid for argument count"),
        ),
        (
            "read",
            r#""handle":1000,"count":50331649"#,
            error("value '50331649' is invalid for argument count"),
        ),
        ("read", r#""handle":999,"count":-1"#, error("handle '999' has not been found")),
        (
            "open",
            r#""path":"nope""#,
            error("failed to open file 'nope' (mode: 'r'): No such file or directory"),
        ),
        ("open", r#""path":"a","mode":"rw""#, error("invalid file open mode 'rw'")),
        ("open", r#""path":"new","mode":"w+""#, "{\"return\": 1001}\n".to_owned()),
        (
            "write",
            r#""handle":1001,"buf-b64":"YWJj\nZGVm","count":5"#,
            "{\"return\": {\"count\": 5, \"eof\": false}}\n".to_owned(),
        ),
        ("flush", r#""handle":1001"#, "{\"return\": {}}\n".to_owned()),
        ("close", r#""handle":1001"#, "{\"return\": {}}\n".to_owned()),
        ("close", r#""handle":1001"#, error("handle '1001' has not been found")),
    ];
    for size in [1, 7, usize::MAX] {
        with_agent(Policy::AllowAll, |agent| {
            for (command, arguments, expected) in &exchanges {
                let request = request(&format!("guest-file-{command}"), arguments);
                assert_eq!(&ask(agent, &request, size), expected, "{request}");
            }
        });
    }
}

#[test]
fn a_read_that_is_longer_than_the_reply_buffer() {
    with_agent(Policy::AllowAll, |agent| {
        ask(agent, &request("guest-file-open", r#""path":"long""#), usize::MAX);
        let read = r#"{"execute":"guest-file-read","arguments":{"handle":1000,"count":30000},"id":{"b":1,"a":2}}"#;
        let ping = r#"{"execute":"guest-ping"}"#;
        let text = "YWFh".repeat(6666) + "YWE=";
        let expected = format!(
            "{{\"return\": {{\"count\": 20000, \"buf-b64\": \"{text}\", \"eof\": true}}, \"id\": {{\"a\": 2, \"b\": 1}}}}\n{{\"return\": {{}}}}\n"
        );
        assert!(ask(agent, &format!("{read}{ping}"), 1000) == expected);
    });
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_its_line_off() {
    with_agent(Policy::AllowAll, |agent| {
        ask(agent, &request("guest-file-open", r#""path":"long""#), usize::MAX);
        let read = request("guest-file-read", r#""handle":1000,"count":20000"#);
        assert_eq!(agent.receive(read.as_bytes()), read.len());
        agent.board_mut().shrinks = true;
        let output = ask(agent, r#"{"execute":"guest-ping"}"#, usize::MAX);
        let (broken, next) = output.split_once('\n').unwrap();
        assert!(broken.starts_with("{\"return\": {\"count\": 20000, \"buf-b64\": \"YWFh"));
        assert!(serde_json::from_str::<serde_json::Value>(broken).is_err());
        assert_eq!(next, "{\"return\": {}}\n");
    });
}

#[test]
fn a_frozen_agent_does_little() {
    let frozen = |command: &str| {
        format!(
            "{{\"error\": {{\"class\": \"CommandNotFound\", \"desc\": \"Command {command} has been disabled: the agent is in frozen state\"}}}}\n"
        )
    };
    with_agent(Policy::Block(b"guest-fstrim"), |agent| {
        let status = request("guest-fsfreeze-status", "");
        let mut say = |request: &str| ask(agent, request, usize::MAX);
        assert_eq!(say(&status), "{\"return\": \"thawed\"}\n");
        assert_eq!(say(&request("guest-fsfreeze-thaw", "")), "{\"return\": 1}\n");
        // Nothing that exists is chosen: nothing is frozen.
        let none = request("guest-fsfreeze-freeze-list", r#""mountpoints":["/nope"]"#);
        assert_eq!(say(&none), "{\"return\": 0}\n");
        assert_eq!(say(&status), "{\"return\": \"thawed\"}\n");
        let wrong = request("guest-fsfreeze-freeze-list", r#""mountpoints":["/",1]"#);
        assert_eq!(
            say(&wrong),
            error("Invalid parameter type for 'mountpoints[1]', expected: string")
        );
        let wrong = request("guest-fsfreeze-freeze-list", r#""mountpoints":"/""#);
        assert_eq!(say(&wrong), error("Invalid parameter type for 'mountpoints', expected: array"));

        let one = request("guest-fsfreeze-freeze-list", r#""mountpoints":["/data","/nope"]"#);
        assert_eq!(say(&one), "{\"return\": 1}\n");
        assert_eq!(say(&status), "{\"return\": \"frozen\"}\n");
        for command in [
            "guest-fsfreeze-freeze",
            "guest-fsfreeze-freeze-list",
            "guest-fstrim",
            "guest-get-fsinfo",
            "guest-file-open",
            "guest-file-close",
            "guest-file-read",
            "guest-file-write",
            "guest-file-seek",
            "guest-file-flush",
        ] {
            assert_eq!(say(&request(command, "")), frozen(command));
        }
        assert_eq!(say(&request("guest-ping", "")), "{\"return\": {}}\n");
        assert_eq!(say(&request("guest-sync", r#""id":7"#)), "{\"return\": 7}\n");
        let info = say(&request("guest-info", ""));
        let enabled = info.matches("\"enabled\": true").count();
        assert_eq!(enabled, 6, "{info}");
        assert_eq!(say(&request("guest-fsfreeze-thaw", "")), "{\"return\": 1}\n");
        assert_eq!(say(&status), "{\"return\": \"thawed\"}\n");
        assert!(
            say(&request("guest-fstrim", "")).contains("Command guest-fstrim has been disabled\"")
        );

        // All of them.
        assert_eq!(say(&request("guest-fsfreeze-freeze", "")), "{\"return\": 2}\n");
        assert!(agent.is_frozen());
        assert_eq!(agent.thaw(), Ok(1));
        assert!(!agent.is_frozen());
    });
}

#[test]
fn a_thaw_that_fails() {
    let freeze = request("guest-fsfreeze-freeze", "");
    let thaw = request("guest-fsfreeze-thaw", "");
    with_agent(Policy::AllowAll, |agent| {
        ask(agent, &freeze, usize::MAX);
        let disk = FreezeError::Disk { mountpoint: "/data", errno: Errno::IO };
        agent.board_mut().thaw = Err(disk);
        assert_eq!(
            ask(agent, &thaw, usize::MAX),
            error("failed to thaw /data: Input/output error")
        );
        assert!(agent.is_frozen());
        assert_eq!(agent.thaw(), Err(disk));
        assert!(agent.is_frozen());
        // The hook comes last: what it was to follow has been done.
        agent.board_mut().thaw = Err(FreezeError::Hook);
        assert_eq!(ask(agent, &thaw, usize::MAX), error("fsfreeze hook has terminated abnormally"));
        assert!(!agent.is_frozen());
    });
}

#[test]
fn file_systems_are_told_in_order() {
    with_agent(Policy::AllowAll, |agent| {
        let trim = ask(agent, &request("guest-fstrim", r#""minimum":512"#), usize::MAX);
        let expected = "{\"return\": {\"paths\": [{\"minimum\": 512, \"path\": \"/\", \"trimmed\": 4096}, {\"path\": \"/\", \"error\": \"trim not supported\"}, {\"path\": \"/\", \"error\": \"failed to trim: Input/output error\"}]}}\n";
        assert_eq!(trim, expected);
        let info = ask(agent, &request("guest-get-fsinfo", ""), usize::MAX);
        let expected = "{\"return\": [{\"name\": \"ram\", \"total-bytes\": 32768, \"mountpoint\": \"/\", \"disk\": [], \"used-bytes\": ";
        assert!(info.starts_with(expected), "{info}");
        assert!(info.ends_with(", \"type\": \"ram\"}]}\n"), "{info}");
    });
}
