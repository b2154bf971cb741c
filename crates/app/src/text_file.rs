//! Reads the app's text files, in the encodings that editors and shells use.

use std::io;
use std::path::Path;

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    /// Written by PowerShell's `>`.
    Utf16,
    Utf32,
}

impl Encoding {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Utf32 => "UTF-32",
        }
    }
}

/// The maximum size of a text file, in bytes. Lockfiles of large apps have about 10 MB.
const MAX_SIZE: u64 = 128 << 20;

/// Decodes a file without its byte order mark. Invalid bytes become `U+FFFD`.
#[must_use]
pub fn decode(bytes: &[u8]) -> (String, Encoding) {
    // No text begins with a NUL or has one after its first character, so a file without a byte
    // order mark is recognised by its first bytes.
    let (text, encoding) = match bytes {
        [0xff, 0xfe, 0, 0, ..] | [1..=255, 0, 0, 0, ..] => {
            (utf32(bytes, u32::from_le_bytes), Encoding::Utf32)
        }
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, 1..=255, ..] => {
            (utf32(bytes, u32::from_be_bytes), Encoding::Utf32)
        }
        [0xff, 0xfe, ..] | [1..=255, 0, ..] => (utf16(bytes, u16::from_le_bytes), Encoding::Utf16),
        [0xfe, 0xff, ..] | [0, 1..=255, ..] => (utf16(bytes, u16::from_be_bytes), Encoding::Utf16),
        _ => (String::from_utf8_lossy(bytes).into_owned(), Encoding::Utf8),
    };
    match text.strip_prefix('\u{feff}') {
        Some(text) => (text.to_owned(), encoding),
        None => (text, encoding),
    }
}

fn utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let (units, _) = bytes.as_chunks();
    let units = units.iter().map(|bytes| unit(*bytes));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn utf32(bytes: &[u8], unit: impl Fn([u8; 4]) -> u32) -> String {
    let (units, _) = bytes.as_chunks();
    units
        .iter()
        .map(|bytes| char::from_u32(unit(*bytes)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Reads a file in any of these encodings.
pub fn read(path: &Path) -> io::Result<String> {
    Ok(decode(&read_bytes(path)?).0)
}

/// Rejects anything but files and directories: reading a pipe or a terminal wouldn't end.
pub(crate) fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let found = path.metadata()?;
    if !found.is_file() && !found.is_dir() {
        return Err(io::Error::other("not a regular file"));
    }
    if found.len() > MAX_SIZE {
        let megabytes = MAX_SIZE >> 20;
        let reason = format!("larger than {megabytes} MB");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "elixir 1.18\r\n# é ☃ 𝄞\n";

    fn utf16_le(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn utf16_be(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    fn utf32_le(text: &str) -> Vec<u8> {
        text.chars()
            .map(u32::from)
            .flat_map(u32::to_le_bytes)
            .collect()
    }

    fn utf32_be(text: &str) -> Vec<u8> {
        text.chars()
            .map(u32::from)
            .flat_map(u32::to_be_bytes)
            .collect()
    }

    #[test]
    fn decodes_text_with_and_without_byte_order_mark() {
        let utf8 = |text: &str| text.as_bytes().to_vec();
        let check = |encode: &dyn Fn(&str) -> Vec<u8>, encoding| {
            let expected = (TEXT.to_owned(), encoding);
            assert_eq!(decode(&encode(TEXT)), expected);
            assert_eq!(decode(&encode(&format!("\u{feff}{TEXT}"))), expected);
        };
        check(&utf8, Encoding::Utf8);
        check(&utf16_le, Encoding::Utf16);
        check(&utf16_be, Encoding::Utf16);
        check(&utf32_le, Encoding::Utf32);
        check(&utf32_be, Encoding::Utf32);
        assert_eq!(decode(b""), (String::new(), Encoding::Utf8));
        assert_eq!(decode(b"a"), ("a".to_owned(), Encoding::Utf8));
    }

    #[test]
    fn invalid_bytes_are_replaced() {
        assert_eq!(decode(b"caf\xe9\n").0, "caf\u{fffd}\n");
        assert_eq!(decode(b"\xff\xfea\0\0\xd8b\0").0, "a\u{fffd}b");
        assert_eq!(decode(b"\xff\xfea\0b").0, "a");
    }
}
