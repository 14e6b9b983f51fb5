//! Says at compile time which sources the console would be built from. It builds nothing: no npm runs here.

#[path = "stamp.rs"]
mod stamp;

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=stamp.rs");
    println!("cargo::rerun-if-changed=openapi.json");
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let here = Path::new(&here);
    // A path that is not there would make cargo build this crate anew each time. Where the folder cannot be made
    // (sources that are read-only), that is the price.
    _ = fs::create_dir_all(here.join("ui/dist"));
    println!("cargo::rerun-if-changed=ui/dist");
    for file in stamp::sources(here).unwrap_or_default() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    for folder in ["ui/src", "ui/public"].iter().filter(|f| here.join(f).is_dir()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    let digest = stamp::digest(here).unwrap_or_default();
    println!("cargo::rustc-env=SEKISHO_CONSOLE_SOURCES={digest}");
}
