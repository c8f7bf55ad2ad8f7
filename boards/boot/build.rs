//! Tells the boards' build scripts how an image is linked
//!
//! A dependency cannot set linker arguments for its dependents, but it can hand them over: each
//! board's `build.rs` reads `DEP_BOOT_LINK_ARGS` and passes them on for its own program, or
//! `DEP_BOOT_LINK_ARGS_LARGE` where that is not meant for 2 MiB of memory. Nothing is set for the
//! rest of the workspace, so that host programs and tests are linked as ever.

use std::env;
use std::path::Path;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let script = Path::new(&folder).join("boot.ld");
    println!("cargo::rerun-if-changed={}", script.display());

    let mut arguments = vec![format!("-T{}", script.display())];
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        // The table of defmt's format strings; the script comes with the crate.
        arguments.push("-Tdefmt.x".into());
    }
    // Pages as large as the page tables' (x86-64 allows up to 2 MiB, which would pad the file), and
    // no build id: a note of no use to a loader that looks for Xen's.
    let mut linker = vec!["-zmax-page-size=0x1000", "--build-id=none", "--gc-sections"];
    println!("cargo::rustc-check-cfg=cfg(small)");
    if env::var("OPT_LEVEL").is_ok_and(|level| level != "0") {
        // Optimised images boot in 2 MiB of memory; the others are too large for that.
        println!("cargo::rustc-cfg=small");
        linker.push("--defsym=SMALL=1");
    }
    // Where rustc calls the C compiler to link, that must leave out everything that makes a Linux
    // process.
    let (compiler, prefix) = match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("none") => (&["--no-pie"][..], ""),
        _ => (&["-nostartfiles", "-nostdlib", "-static", "-no-pie"][..], "-Wl,"),
    };
    arguments.extend(compiler.iter().map(|&argument| argument.into()));
    arguments.extend(linker.iter().map(|argument| format!("{prefix}{argument}")));
    // Joined by the separator that cargo itself uses for lists of flags: paths may hold spaces.
    println!("cargo::metadata=link_args={}", arguments.join("\u{1f}"));
    arguments.push(format!("{prefix}--defsym=LARGE=1"));
    println!("cargo::metadata=link_args_large={}", arguments.join("\u{1f}"));
}
