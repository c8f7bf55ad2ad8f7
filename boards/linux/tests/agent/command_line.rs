//! What the command line says where it does not serve.

use crate::process::{command, outcome};

fn check(arguments: &[&str], code: i32, output: &str, errors: &str) {
    let found = outcome(command().args(arguments));
    assert_eq!(found, (Some(code), output.to_owned(), errors.to_owned()), "{arguments:?}");
}

#[test]
fn questions() {
    let version = concat!("tinyqga ", env!("CARGO_PKG_VERSION"), "\n");
    check(&["--version"], 0, version, "");
    check(&["-V"], 0, version, "");
    let (code, output, errors) = outcome(command().arg("--help"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.starts_with("Usage: tinyqga [-m <method> -p <path>] [<options>]\n"), "{output}");
    let (code, output, errors) = outcome(command().args(["-b", "help"]));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(output.lines().any(|line| line == "guest-sync-delimited"), "{output}");
}

#[test]
fn mistakes() {
    let hint = "tinyqga: try 'tinyqga --help' for more information\n";
    for (arguments, error) in [
        (&["--nope"][..], "invalid option '--nope'"),
        (&["-p"][..], "missing argument for option '-p'"),
        (&["-m", "unix-listen"][..], "unix-listen needs a --path"),
        (&["-a", "x", "-b", "y"][..], "--allow-rpcs and --block-rpcs exclude each other"),
    ] {
        check(arguments, 1, "", &format!("tinyqga: {error}\n{hint}"));
    }
}

#[test]
fn devices_that_are_not_there() {
    check(
        &["-p", "/nowhere/port"],
        1,
        "",
        "tinyqga: /nowhere/port: No such file or directory (os error 2)\n",
    );
    check(
        &["-m", "isa-serial", "-p", "/dev/null"],
        1,
        "",
        "tinyqga: /dev/null: Inappropriate ioctl for device (os error 25)\n",
    );
}
