//! From which sources the console was built: one digest, computed alike by the build script of this crate and by
//! `cargo xtask ui`, which writes it beside what it built. The standard library alone.
//!
//! It tells an old build from a new one, nothing more: FNV-1a (64 bit) keeps nobody from forging it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The file in `ui/dist` that holds the digest.
#[allow(dead_code, reason = "each of the two that include this file uses a part of it")]
pub const FILE: &str = "stamp";

/// What lies beside the sources and is none; files `*.gen.ts` are made of openapi.json.
const NOT_SOURCES: [&str; 5] = ["node_modules", "dist", "e2e", "test-results", "README.md"];

/// The files that the console is made of, below the folder of admin-web, in order.
pub fn sources(admin_web: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let ui = admin_web.join("ui");
    if ui.join("package.json").exists() {
        walk(&ui, &mut found)?;
        // The client is generated from it.
        found.push(admin_web.join("openapi.json"));
    }
    found.sort();
    Ok(found)
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name.ends_with(".gen.ts") || NOT_SOURCES.contains(&&*name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Digest of the sources, in hexadecimal; empty where there are none.
pub fn digest(admin_web: &Path) -> io::Result<String> {
    let files = sources(admin_web)?;
    if files.is_empty() {
        return Ok(String::new());
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    for file in files {
        let text = fs::read(&file)?;
        let name = file.strip_prefix(admin_web).unwrap_or(&file);
        hash.eat(name.to_string_lossy().as_bytes());
        hash.eat(&[0]);
        hash.eat(&(text.len() as u64).to_be_bytes());
        hash.eat(&text);
    }
    Ok(format!("{:016x}", hash.0))
}

struct Fnv(u64);

impl Fnv {
    fn eat(&mut self, octets: &[u8]) {
        self.0 = octets.iter().fold(self.0, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    }
}
