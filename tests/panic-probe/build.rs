//! Links the probe without Rust's standard library and its start code.

fn main() {
    for argument in ["-nostartfiles", "-static", "-no-pie"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
