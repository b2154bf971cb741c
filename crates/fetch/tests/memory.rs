//! Alone in its binary, since it measures the whole process.

#![expect(
    clippy::unwrap_used,
    clippy::panic_in_result_fn,
    reason = "helpers of tests may panic"
)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use fetch::{Archive, Checksum, Client, Format, Settings};
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

const FILES: u64 = 64;
const FILE_BYTES: u64 = 1024 * 1024;

/// Bytes that do not compress, made as they are read.
struct Noise(u64);

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for chunk in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
        Ok(buffer.len())
    }
}

fn write_archive(to: impl Write) -> io::Result<()> {
    let mut builder = tar::Builder::new(GzEncoder::new(to, Compression::fast()));
    for file in 1..=FILES {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(FILE_BYTES);
        builder.append_data(
            &mut header,
            format!("dir/{file}"),
            Noise(file).take(FILE_BYTES),
        )?;
    }
    builder.into_inner()?.finish()?.flush()
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; 4096];
    assert!(stream.read(&mut request)? > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
    write_archive(io::BufWriter::new(stream))
}

/// The most memory this process has used, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn large_archive_unpacks_in_little_memory() {
    let mut hashing = Hashing(Sha256::new());
    write_archive(&mut hashing).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/large.tar.gz", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let directory = tempfile::tempdir().unwrap();
    let dest = directory.path().join("dest");
    let archive = Archive {
        url,
        format: Format::TarGz,
        strip_components: 1,
        checksum: Some(Checksum::Sha256(hex::encode(hashing.0.finalize()))),
    };

    let before = peak();
    let unpacked = Client::new(Settings::default())
        .archive(&archive, &dest, &())
        .unwrap();
    let grown = peak() - before;

    server.join().unwrap().unwrap();
    assert_eq!(unpacked.entries, FILES);
    assert!(unpacked.bytes >= FILES * FILE_BYTES, "{unpacked:?}");
    assert_eq!(
        std::fs::metadata(dest.join("64")).unwrap().len(),
        FILE_BYTES
    );
    assert!(
        grown < 8 * 1024,
        "{grown} KiB more for an archive of {} KiB",
        unpacked.bytes / 1024
    );
}
