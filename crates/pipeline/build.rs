//! Compresses Mixpack's mix tasks, which would otherwise make the executable 30 kB larger.

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;
use std::path::PathBuf;
use std::{env, fs, io};

/// Relative to this file.
const TASKS: [&str; 4] = [
    "src/mix_info.exs",
    "src/mix_dependencies.exs",
    "src/mix_reads.exs",
    "src/mix_file_reads.exs",
];

fn main() -> io::Result<()> {
    let mut tasks = DeflateEncoder::new(Vec::new(), Compression::best());
    for task in TASKS {
        println!("cargo::rerun-if-changed={task}");
        tasks.write_all(&fs::read(task)?)?;
    }
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(PathBuf::from(out).join("tasks.deflate"), tasks.finish()?)
}
