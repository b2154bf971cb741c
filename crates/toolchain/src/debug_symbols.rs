//! Removes debug symbols of executables and shared libraries. They are useless without a debugger, and often most of
//! a file.

use crate::replace_file::replace_file;
use object::elf::{ET_DYN, ET_EXEC, FileHeader64, SHF_ALLOC, SHT_NULL, SectionHeader64};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, ReadCache, ReadRef, SectionIndex};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use walkdir::{DirEntry, WalkDir};

type Header = FileHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;

const LITTLE: LittleEndian = LittleEndian;

/// The largest alignment of a section, in bytes.
const PAGE: u64 = 4096;

/// Sections that compilers and linkers write for other programs. Other sections that aren't loaded may contain data
/// that the program reads from its own file.
const TOOLCHAIN_SECTIONS: [&str; 7] = [
    ".comment",
    ".symtab",
    ".strtab",
    ".shstrtab",
    ".gdb_index",
    ".gnu_debuglink",
    ".gnu.build.attributes",
];

/// The symbols that are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symbols {
    /// Symbols for debuggers.
    Debug,
    /// Also the names of functions, which a program may show in its own backtraces. Dynamic linking uses a separate
    /// table.
    All,
}

/// Removes symbols of all executables and shared libraries below `dir`; returns the bytes saved.
///
/// A file is replaced, never edited: other names of it, in a cache for example, keep its content. It
/// keeps its mode and modification time.
pub fn remove(dir: &Path, symbols: Symbols) -> io::Result<u64> {
    let mut saved = 0;
    for entry in WalkDir::new(dir) {
        let entry = entry?;
        if is_candidate(&entry)? && is_elf(entry.path())? {
            saved += remove_from(entry.path(), symbols)?;
        }
    }
    Ok(saved)
}

/// Whether a file may be executed or loaded, judging by its mode and name, since opening all files would be slow.
fn is_candidate(entry: &DirEntry) -> io::Result<bool> {
    if !entry.file_type().is_file() {
        return Ok(false);
    }
    let name = entry.file_name().to_string_lossy();
    Ok(name.ends_with(".so")
        || name.contains(".so.")
        || entry.metadata()?.permissions().mode() & 0o111 != 0)
}

fn is_elf(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 4];
    match File::open(path)?.read_exact(&mut magic) {
        Ok(()) => Ok(magic == object::elf::ELFMAG),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_from(path: &Path, symbols: Symbols) -> io::Result<u64> {
    let mut source = File::open(path)?;
    let metadata = source.metadata()?;
    // Reads only parts of the file, which may be larger than the memory.
    let Some(parts) = layout(symbols, &ReadCache::new(source.try_clone()?)) else {
        return Ok(0);
    };
    replace_file(path, |file| {
        for part in &parts {
            match part {
                Part::New(bytes) => file.write_all(bytes)?,
                Part::Same { offset, size } => {
                    source.seek(SeekFrom::Start(*offset))?;
                    if io::copy(&mut (&source).take(*size), file)? != *size {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(metadata.len() - size_of_all(&parts))
}

/// A part of a stripped file.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    New(Vec<u8>),
    /// Bytes of the original file.
    Same {
        offset: u64,
        size: u64,
    },
}

fn size_of_all(parts: &[Part]) -> u64 {
    let size = |part: &Part| match part {
        Part::New(bytes) => bytes.len() as u64,
        Part::Same { size, .. } => *size,
    };
    parts.iter().map(size).sum()
}

/// Returns the parts of an ELF file (System V ABI, chapters 4 and 5) without symbols, or `None` if it
/// stays as it is.
///
/// Only segments are loaded. They keep their bytes and positions, except for the header's offset of the section
/// headers. Removed sections become inactive headers, so all other sections keep their numbers. Files without symbols
/// stay as they are, and so do object files, files for other machines than 64-bit little-endian ones, and programs
/// with data outside known sections, which they read from their own file.
fn layout<'d>(symbols: Symbols, file: impl ReadRef<'d>) -> Option<Vec<Part>> {
    let mut header = *Header::parse(file).ok()?;
    if !header.is_little_endian() || ![ET_EXEC, ET_DYN].contains(&header.e_type(LITTLE)) {
        return None;
    }
    let sections = header.sections(LITTLE, file).ok()?;
    let table_size = u64::try_from(sections.len() * size_of::<Section>()).ok()?;
    let table_end = header.e_shoff(LITTLE).checked_add(table_size)?;

    // Bytes before `loaded` stay in their places.
    let segments_size = u64::from(header.e_phnum(LITTLE)) * u64::from(header.e_phentsize(LITTLE));
    let mut loaded = header.e_phoff(LITTLE).checked_add(segments_size)?;
    for segment in header.program_headers(LITTLE, file).ok()? {
        let (offset, size) = segment.file_range(LITTLE);
        loaded = loaded.max(offset.checked_add(size)?);
    }
    let mut known = loaded.max(table_end);
    let mut removed = Vec::new();
    // Some linkers have one table for all names.
    let names = header.section_strings_index(LITTLE, file).ok()?;
    for (index, section) in sections.enumerate() {
        let Some((offset, size)) = section.file_range(LITTLE).filter(|(_, size)| *size > 0) else {
            continue;
        };
        let end = offset.checked_add(size)?;
        known = known.max(end);
        let name = str::from_utf8(sections.section_name(LITTLE, section).ok()?).ok()?;
        if section.sh_flags(LITTLE).contains(SHF_ALLOC) {
            loaded = loaded.max(end);
        } else if name.starts_with(".debug_")
            || name.starts_with(".zdebug_")
            || symbols == Symbols::All && is_symbol_table(name) && index != names
        {
            removed.push(index);
        } else if !TOOLCHAIN_SECTIONS.contains(&name) && !name.starts_with(".note") {
            return None;
        }
    }
    let length = file.len().ok()?;
    if removed.is_empty() || length != known {
        return None;
    }

    let header_size = size_of::<Header>() as u64;
    let mut kept = Vec::new();
    let mut position = loaded;
    let mut headers: Vec<Section> = sections.iter().copied().collect();
    for (index, section) in headers.iter_mut().enumerate() {
        let Some((offset, size)) = section.file_range(LITTLE) else {
            continue;
        };
        if size == 0 || offset.checked_add(size)? <= loaded {
            continue;
        }
        if removed.contains(&SectionIndex(index)) {
            section.sh_type.set(LITTLE, SHT_NULL);
            section.sh_offset.set(LITTLE, 0);
            section.sh_size.set(LITTLE, 0);
            continue;
        }
        if section.sh_addralign(LITTLE) > PAGE {
            return None;
        }
        kept.push(padding(&mut position, section.sh_addralign(LITTLE)));
        kept.push(Part::Same { offset, size });
        section.sh_offset.set(LITTLE, position);
        position = position.checked_add(size)?;
    }
    kept.push(padding(&mut position, size_of::<u64>() as u64));
    header.e_shoff.set(LITTLE, position);
    kept.push(Part::New(bytes_of_slice(&headers).to_vec()));

    let same = Part::Same {
        offset: header_size,
        size: loaded.checked_sub(header_size)?,
    };
    let mut parts = vec![Part::New(bytes_of(&header).to_vec()), same];
    parts.extend(kept);
    (size_of_all(&parts) < length).then_some(parts)
}

/// Moves a position to a multiple of `alignment`, in bytes.
fn padding(position: &mut u64, alignment: u64) -> Part {
    let end = position.next_multiple_of(alignment.max(1));
    let zeros = usize::try_from(end - *position).unwrap_or_default();
    *position = end;
    Part::New(vec![0; zeros])
}

fn is_symbol_table(name: &str) -> bool {
    [".symtab", ".strtab"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    fn without(symbols: Symbols, file: &[u8]) -> Option<Vec<u8>> {
        let bytes = |part: &Part| match part {
            Part::New(bytes) => bytes.clone(),
            Part::Same { offset, size } => {
                let start = usize::try_from(*offset).unwrap();
                file[start..start + usize::try_from(*size).unwrap()].to_vec()
            }
        };
        let parts = layout(symbols, file)?;
        Some(parts.iter().flat_map(bytes).collect())
    }

    /// The executable of these tests, which has debug symbols.
    fn executable() -> Vec<u8> {
        fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    fn runs(path: &Path) -> bool {
        let output = Command::new(path).arg("--list").output().unwrap();
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("debug_symbols")
    }

    #[test]
    fn stripped_executable_runs_and_other_names_keep_its_symbols() {
        let saved = [Symbols::Debug, Symbols::All].map(strips);
        assert!(saved[0] < saved[1]);
    }

    /// Returns the bytes saved.
    fn strips(symbols: Symbols) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("program"), dir.path().join("other"));
        let content = executable();
        fs::write(&path, &content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::open(&path).unwrap().set_modified(time).unwrap();
        let outside = tempfile::tempdir().unwrap();
        let linked = outside.path().join("linked");
        fs::hard_link(&path, &linked).unwrap();
        fs::write(&other, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();

        let saved = remove(dir.path(), symbols).unwrap();

        let metadata = path.metadata().unwrap();
        assert!(saved > 0);
        assert_eq!(metadata.len() + saved, content.len() as u64);
        assert_eq!(
            (metadata.mode() & 0o777, metadata.modified().unwrap()),
            (0o750, time)
        );
        assert!(runs(&path));
        assert_eq!(fs::read(&linked).unwrap(), content);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        assert_eq!(remove(dir.path(), symbols).unwrap(), 0);
        saved
    }

    #[test]
    fn all_that_is_loaded_keeps_its_place_and_bytes() {
        let content = executable();
        let stripped = without(Symbols::Debug, &content).unwrap();
        let nameless = without(Symbols::All, &content).unwrap();
        let loaded = |file: &[u8]| -> Vec<(u64, Vec<u8>)> {
            let header = Header::parse(file).unwrap();
            let segments = header.program_headers(LITTLE, file).unwrap();
            let range = |(offset, size)| {
                let start = usize::try_from(offset).unwrap();
                file[start..start + usize::try_from(size).unwrap()].to_vec()
            };
            let mut all: Vec<_> = segments
                .iter()
                .map(|segment| (segment.p_vaddr(LITTLE), range(segment.file_range(LITTLE))))
                .collect();
            // The header's own offset of the section headers.
            for (_, bytes) in &mut all {
                if bytes.starts_with(&object::elf::ELFMAG) {
                    bytes[40..48].fill(0);
                }
            }
            all
        };
        assert!(loaded(&content).len() > 3);
        assert!(loaded(&content) == loaded(&stripped));
        assert!(loaded(&content) == loaded(&nameless));
        let names = |file: &[u8]| -> Vec<String> {
            let sections = Header::parse(file).unwrap().sections(LITTLE, file).unwrap();
            let used = sections
                .iter()
                .filter(|section| section.sh_size(LITTLE) > 0);
            let name = |section| sections.section_name(LITTLE, section).unwrap();
            used.map(|section| String::from_utf8(name(section).to_vec()).unwrap())
                .collect()
        };
        let mut expected = names(&content);
        // The only loaded debug section.
        expected.retain(|name| !name.starts_with(".debug_") || name == ".debug_gdb_scripts");
        assert_eq!(names(&stripped), expected);
        expected.retain(|name| !is_symbol_table(name));
        assert_eq!(names(&nameless), expected);
    }

    #[test]
    fn program_with_data_of_its_own_stays() {
        let mut content = executable();
        content.extend_from_slice(b"an archive that the program unpacks");
        assert_eq!(without(Symbols::Debug, &content), None);
    }

    #[test]
    fn damaged_files_stay() {
        let content = executable();
        assert_eq!(without(Symbols::All, b""), None);
        assert_eq!(without(Symbols::All, &content[..content.len() / 2]), None);
        let length = content.len() as u64;
        let mut damaged = content.clone();
        for at in (0..64).chain((content.len() - 4096..content.len()).step_by(9)) {
            damaged[at] ^= 0xff;
            for part in layout(Symbols::All, &*damaged).into_iter().flatten() {
                if let Part::Same { offset, size } = part {
                    assert!(offset.checked_add(size).unwrap() <= length);
                }
            }
            damaged[at] ^= 0xff;
        }
    }
}
