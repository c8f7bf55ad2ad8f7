//! Links the program as an image for more than 2 MiB of memory: the arguments are `boot`'s

fn main() {
    let arguments = std::env::var("DEP_BOOT_LINK_ARGS_LARGE").expect("boot's build script sets it");
    for argument in arguments.split('\u{1f}') {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
