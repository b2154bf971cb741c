//! Compresses the pages that `mixpack explain` shows, which would otherwise be a hundredth of the executable.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut pages = DeflateEncoder::new(Vec::new(), Compression::best());
    for page in ["../../docs/errors.md", "../../docs/doctor.md"] {
        println!("cargo::rerun-if-changed={page}");
        pages.write_all(&fs::read(page)?)?;
    }
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(PathBuf::from(out).join("pages.deflate"), pages.finish()?)
}
