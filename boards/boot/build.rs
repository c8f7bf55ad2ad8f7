//! Tells the boards' build scripts how an image is linked
//!
//! A dependency cannot set linker arguments for its dependents, but it can hand them over: each
//! board's `build.rs` reads `DEP_BOOT_LINK_ARGS` and passes them on for its own program. Nothing is
//! set for the rest of the workspace, so that host programs and tests are linked as ever.

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
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        // Here rustc calls the linker itself.
        arguments.push("--no-pie".into());
        arguments.extend(linker.into_iter().map(String::from));
    } else {
        // Here it calls the C compiler, which must leave out everything that makes a Linux process.
        arguments.extend(["-nostartfiles", "-nostdlib", "-static", "-no-pie"].map(String::from));
        arguments.extend(linker.into_iter().map(|argument| format!("-Wl,{argument}")));
    }
    // Joined by the separator that cargo itself uses for lists of flags: paths may hold spaces.
    println!("cargo::metadata=link_args={}", arguments.join("\u{1f}"));
}
