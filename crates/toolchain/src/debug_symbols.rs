//! Debug symbols of executables and shared libraries: of no use where nobody debugs, and often most of a
//! file.

use object::elf::{ET_DYN, ET_EXEC, FileHeader64, SHF_ALLOC, SHT_NULL, SectionHeader64};
use object::pod::{bytes_of, bytes_of_slice};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, SectionIndex};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;
use walkdir::{DirEntry, WalkDir};

type Header = FileHeader64<LittleEndian>;
type Section = SectionHeader64<LittleEndian>;

const LITTLE: LittleEndian = LittleEndian;

/// No section needs a larger alignment, in bytes.
const PAGE: usize = 4096;

/// Sections that compilers and linkers write for other programs to read. What else isn't loaded may
/// be data that the program finds in its own file.
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
    /// What debuggers read.
    Debug,
    /// Also the names of functions, which a program may show in its own backtraces. Dynamic linking
    /// has a table of its own.
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

/// Whether a file may be executed or loaded, by its mode and name: opening all files would cost more
/// than all the rest.
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
    let content = fs::read(path)?;
    let Some(stripped) = without(symbols, &content) else {
        return Ok(0);
    };
    let metadata = path.metadata()?;
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(&stripped)?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().set_modified(metadata.modified()?)?;
    file.persist(path)?;
    Ok((content.len() - stripped.len()) as u64)
}

/// Returns an ELF file (System V ABI, chapters 4 and 5) without symbols, or `None` if it stays as it is.
///
/// Segments, which are all that is loaded, keep their bytes and places; only the header's offset of
/// the section headers changes. Removed sections become inactive headers, so all other sections keep
/// their numbers. Files without symbols stay as they are, and so do object files, files for
/// other machines than 64-bit little-endian ones, and programs with data in places that no
/// toolchain writes: they look for it in their own file.
fn without(symbols: Symbols, file: &[u8]) -> Option<Vec<u8>> {
    let mut header = *Header::parse(file).ok()?;
    if !header.is_little_endian() || ![ET_EXEC, ET_DYN].contains(&header.e_type(LITTLE)) {
        return None;
    }
    let sections = header.sections(LITTLE, file).ok()?;
    let end = |offset: u64, size: u64| usize::try_from(offset.checked_add(size)?).ok();
    let table_end = end(
        header.e_shoff(LITTLE),
        u64::try_from(sections.len() * size_of::<Section>()).ok()?,
    )?;

    // Bytes before `loaded` stay in their places.
    let mut loaded = end(
        header.e_phoff(LITTLE),
        u64::from(header.e_phnum(LITTLE)) * u64::from(header.e_phentsize(LITTLE)),
    )?;
    for segment in header.program_headers(LITTLE, file).ok()? {
        let (offset, size) = segment.file_range(LITTLE);
        loaded = loaded.max(end(offset, size)?);
    }
    let mut known = loaded.max(table_end);
    let mut removed = Vec::new();
    // Some linkers have one table for all names.
    let names = header.section_strings_index(LITTLE, file).ok()?;
    let names_sections = |index: SectionIndex| index == names;
    for (index, section) in sections.enumerate() {
        let Some((offset, size)) = section.file_range(LITTLE).filter(|(_, size)| *size > 0) else {
            continue;
        };
        known = known.max(end(offset, size)?);
        let name = str::from_utf8(sections.section_name(LITTLE, section).ok()?).ok()?;
        if section.sh_flags(LITTLE).contains(SHF_ALLOC) {
            loaded = loaded.max(end(offset, size)?);
        } else if name.starts_with(".debug_")
            || name.starts_with(".zdebug_")
            || symbols == Symbols::All && is_symbol_table(name) && !names_sections(index)
        {
            removed.push(index);
        } else if !TOOLCHAIN_SECTIONS.contains(&name) && !name.starts_with(".note") {
            return None;
        }
    }
    if removed.is_empty() || file.len() > known {
        return None;
    }

    let mut stripped = file.get(..loaded)?.to_vec();
    let mut headers: Vec<Section> = sections.iter().copied().collect();
    for (index, section) in headers.iter_mut().enumerate() {
        let Some((offset, size)) = section.file_range(LITTLE) else {
            continue;
        };
        if end(offset, size)? <= loaded {
            continue;
        }
        if removed.contains(&SectionIndex(index)) {
            section.sh_type.set(LITTLE, SHT_NULL);
            section.sh_offset.set(LITTLE, 0);
            section.sh_size.set(LITTLE, 0);
            continue;
        }
        let alignment = usize::try_from(section.sh_addralign(LITTLE)).ok()?.max(1);
        if alignment > PAGE {
            return None;
        }
        stripped.resize(stripped.len().checked_next_multiple_of(alignment)?, 0);
        let content = section.data(LITTLE, file).ok()?;
        section.sh_offset.set(LITTLE, stripped.len() as u64);
        stripped.extend_from_slice(content);
    }
    stripped.resize(stripped.len().next_multiple_of(size_of::<u64>()), 0);
    header.e_shoff.set(LITTLE, stripped.len() as u64);
    stripped.extend_from_slice(bytes_of_slice(&headers));
    stripped
        .get_mut(..size_of::<Header>())?
        .copy_from_slice(bytes_of(&header));
    (stripped.len() < file.len()).then_some(stripped)
}

fn is_symbol_table(name: &str) -> bool {
    [".symtab", ".strtab"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;
    use std::time::{Duration, SystemTime};

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
        // The only one that is loaded.
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
        let mut damaged = content.clone();
        for at in (0..64).chain((content.len() - 4096..content.len()).step_by(9)) {
            damaged[at] ^= 0xff;
            let _ = without(Symbols::All, &damaged);
            damaged[at] ^= 0xff;
        }
    }
}
