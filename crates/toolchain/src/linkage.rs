//! The libraries that executables and shared libraries need: the dynamic section of ELF files.
//!
//! Sources: System V ABI, chapter 5; "LSB symbol versioning" for the tables of versions; `ld.so(8)`.

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, DT_VERDEF, DT_VERNEED, EM_386,
    EM_AARCH64, EM_ARM, EM_X86_64, FileHeader64, PT_LOAD, ProgramHeader64,
};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, ReadCache, ReadRef};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use versions::target::Arch;

type Header = FileHeader64<LittleEndian>;

const LITTLE: LittleEndian = LittleEndian;

/// The flag of an optional version.
const WEAK: u16 = 2;
/// The maximum number of entries in a table. One with more is damaged.
const MAX_ENTRIES: usize = 4096;

/// The processor that a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    Arch(Arch),
    /// Another processor, with its usual name.
    Other(&'static str),
}

impl Machine {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arch(arch) => arch.otp_name(),
            Self::Other(name) => name,
        }
    }
}

/// An executable or a shared library, as the dynamic linker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkage {
    pub machine: Machine,
    /// The file names of libraries, such as `libc.so.6`.
    pub needed: Vec<String>,
    /// Directories to search, as they are in the file: they may begin with `$ORIGIN`.
    pub search: Vec<String>,
    /// The versions of symbols that must exist: library, version.
    pub versions: Vec<(String, String)>,
    /// The versions of symbols that this library has. Empty if it has none at all.
    pub defined: Vec<String>,
    /// Whether the file is a NIF library: the VM calls its `nif_init`.
    pub is_nif: bool,
}

impl Linkage {
    /// Reads a file. Returns `None` if it isn't an ELF file, or is damaged.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let mut ident = [0; 20];
        match file.read_exact(&mut ident) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        if ident[..4] != object::elf::ELFMAG {
            return Ok(None);
        }
        // 64-bit and little-endian, like both architectures of OTP builds.
        if ident[4..6] != [2, 1] {
            let machine = u16::from_le_bytes([ident[18], ident[19]]);
            let foreign = Self::of_machine(machine_of(machine, ident[5] == 1));
            return Ok(Some(foreign));
        }
        Ok(parse(&ReadCache::new(file)))
    }

    fn of_machine(machine: Machine) -> Self {
        Self {
            machine,
            needed: Vec::new(),
            search: Vec::new(),
            versions: Vec::new(),
            defined: Vec::new(),
            is_nif: false,
        }
    }
}

fn machine_of(number: u16, is_little_endian: bool) -> Machine {
    match number {
        _ if !is_little_endian => Machine::Other("a big-endian processor"),
        number if number == EM_X86_64.0 => Machine::Arch(Arch::Amd64),
        number if number == EM_AARCH64.0 => Machine::Arch(Arch::Arm64),
        number if number == EM_386.0 => Machine::Other("32-bit x86"),
        number if number == EM_ARM.0 => Machine::Other("32-bit ARM"),
        _ => Machine::Other("another processor"),
    }
}

fn parse<'d>(file: impl ReadRef<'d>) -> Option<Linkage> {
    let header = Header::parse(file).ok()?;
    let mut linkage = Linkage::of_machine(machine_of(header.e_machine(LITTLE).0, true));
    let segments = header.program_headers(LITTLE, file).ok()?;
    let dynamic = segments
        .iter()
        .find_map(|segment| segment.dynamic(LITTLE, file).ok().flatten());
    // A static executable has no dynamic section.
    let Some(dynamic) = dynamic else {
        return Some(linkage);
    };
    let value = |tag| {
        let mut entries = dynamic.iter();
        entries
            .find(|entry| entry.d_tag.get(LITTLE) == tag)
            .map(|entry| entry.d_val.get(LITTLE))
    };
    let image = Image { file, segments };
    let names = Names {
        bytes: image.bytes(value(DT_STRTAB)?, value(DT_STRSZ)?)?,
    };
    for entry in dynamic {
        let name = || names.at(entry.d_val.get(LITTLE));
        match entry.d_tag.get(LITTLE) {
            tag if tag == DT_NEEDED => linkage.needed.push(name()?),
            tag if tag == DT_RPATH || tag == DT_RUNPATH => {
                let dirs = name()?;
                let dirs = dirs.split(':').filter(|dir| !dir.is_empty());
                linkage.search.extend(dirs.map(str::to_owned));
            }
            _ => {}
        }
    }
    linkage.is_nif = names.has(b"nif_init");
    if let Some(table) = value(DT_VERNEED) {
        linkage.versions = needed_versions(&image, &names, table)?;
    }
    if let Some(table) = value(DT_VERDEF) {
        linkage.defined = defined_versions(&image, &names, table)?;
    }
    Some(linkage)
}

/// A file whose parts are found by their address in memory.
struct Image<'d, R> {
    file: R,
    segments: &'d [ProgramHeader64<LittleEndian>],
}

impl<'d, R: ReadRef<'d>> Image<'d, R> {
    fn bytes(&self, address: u64, size: u64) -> Option<&'d [u8]> {
        let segment = self.segments.iter().find(|segment| {
            let (start, size) = (segment.p_vaddr(LITTLE), segment.p_filesz(LITTLE));
            segment.p_type(LITTLE) == PT_LOAD
                && address
                    .checked_sub(start)
                    .is_some_and(|offset| offset < size)
        })?;
        let offset = segment.p_offset(LITTLE) + (address - segment.p_vaddr(LITTLE));
        self.file.read_bytes_at(offset, size).ok()
    }
}

struct Names<'d> {
    bytes: &'d [u8],
}

impl Names<'_> {
    fn at(&self, offset: impl Into<u64>) -> Option<String> {
        let start = usize::try_from(offset.into()).ok()?;
        let rest = self.bytes.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        String::from_utf8(rest[..end].to_vec()).ok()
    }

    fn has(&self, name: &[u8]) -> bool {
        self.bytes.split(|byte| *byte == 0).any(|one| one == name)
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads `Elf64_Verneed` entries (file at 4, first `Elf64_Vernaux` at 8, next at 12) and their
/// `Elf64_Vernaux` entries (flags at 4, name at 8, next at 12): 16 bytes each, with offsets from
/// their own start.
fn needed_versions<'d, R: ReadRef<'d>>(
    image: &Image<'d, R>,
    names: &Names<'_>,
    mut table: u64,
) -> Option<Vec<(String, String)>> {
    let mut versions = Vec::new();
    for _ in 0..MAX_ENTRIES {
        let entry = image.bytes(table, 16)?;
        let library = names.at(word(entry, 4))?;
        let mut version = table + u64::from(word(entry, 8));
        for _ in 0..half(entry, 2) {
            let aux = image.bytes(version, 16)?;
            if half(aux, 4) & WEAK == 0 {
                versions.push((library.clone(), names.at(word(aux, 8))?));
            }
            version += u64::from(word(aux, 12));
        }
        match word(entry, 12) {
            0 => break,
            next => table += u64::from(next),
        }
    }
    Some(versions)
}

/// Reads `Elf64_Verdef` entries (20 bytes: first `Elf64_Verdaux` at 12, next at 16), whose first
/// `Elf64_Verdaux` (name at 0) is the version.
fn defined_versions<'d, R: ReadRef<'d>>(
    image: &Image<'d, R>,
    names: &Names<'_>,
    mut table: u64,
) -> Option<Vec<String>> {
    let mut versions = Vec::new();
    for _ in 0..MAX_ENTRIES {
        let entry = image.bytes(table, 20)?;
        let aux = image.bytes(table + u64::from(word(entry, 12)), 8)?;
        versions.push(names.at(word(aux, 0))?);
        match word(entry, 16) {
            0 => break,
            next => table += u64::from(next),
        }
    }
    Some(versions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn executable() -> Linkage {
        let path = std::env::current_exe().unwrap();
        Linkage::read(&path).unwrap().unwrap()
    }

    #[test]
    fn lists_libraries_and_versions_of_executable() {
        let linkage = executable();
        assert_eq!(linkage.machine, machine_of_tests());
        assert!(linkage.needed.contains(&"libc.so.6".to_owned()));
        let of_libc = |(library, version): &(String, String)| {
            library == "libc.so.6" && version.starts_with("GLIBC_2.")
        };
        assert!(linkage.versions.iter().any(of_libc), "{linkage:?}");
        assert!(linkage.defined.is_empty() && !linkage.is_nif);
    }

    fn machine_of_tests() -> Machine {
        Machine::Arch(Arch::parse(std::env::consts::ARCH).unwrap())
    }

    #[test]
    fn lists_versions_that_libc_defines() {
        let libc = ["x86_64", "aarch64"]
            .map(|arch| format!("/lib/{arch}-linux-gnu/libc.so.6"))
            .into_iter()
            .find(|path| Path::new(path).exists())
            .unwrap();
        let linkage = Linkage::read(Path::new(&libc)).unwrap().unwrap();
        assert!(linkage.defined.contains(&"GLIBC_2.17".to_owned()));
        assert!(!linkage.defined.contains(&"GLIBC_2.9999".to_owned()));
    }

    #[test]
    fn damaged_files_and_other_files_are_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let content = fs::read(std::env::current_exe().unwrap()).unwrap();
        let read = |content: &[u8]| {
            fs::write(&file, content).unwrap();
            Linkage::read(&file).unwrap()
        };
        assert_eq!(read(b"#!/bin/sh\n"), None);
        assert_eq!(read(b""), None);
        assert_eq!(read(&content[..200]), None);
        let mut damaged = content[..1 << 16].to_vec();
        for at in (0..4096).step_by(7) {
            damaged[at] ^= 0xff;
            let _ = read(&damaged);
            damaged[at] ^= 0xff;
        }
    }

    #[test]
    fn file_for_other_processor_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let mut content = fs::read(std::env::current_exe().unwrap()).unwrap();
        content.truncate(64);
        // 32-bit.
        content[4] = 1;
        content[18..20].copy_from_slice(&EM_386.0.to_le_bytes());
        fs::write(&file, &content).unwrap();
        let linkage = Linkage::read(&file).unwrap().unwrap();
        assert_eq!(linkage.machine.name(), "32-bit x86");
    }
}
