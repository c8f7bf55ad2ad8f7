//! Links the program as an image: the arguments are `boot`'s

fn main() {
    let arguments = std::env::var("DEP_BOOT_LINK_ARGS").expect("boot's build script sets it");
    for argument in arguments.split('\u{1f}') {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
