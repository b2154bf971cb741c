use serde_json::json;

use super::*;
use crate::keys::generate;

const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn signer() -> SigningKey {
    SigningKey::parse(&generate().unwrap().signing_key).unwrap()
}

fn object(archive: Option<&[u8]>) -> Object {
    Object {
        statement: json!({ "name": "plug", "modules": 12 }),
        archive: archive.map(<[u8]>::to_vec),
    }
}

/// The offsets at which the parts begin: signature, length, envelope, archive.
fn parts(bytes: &[u8]) -> [usize; 4] {
    let length = MAGIC.len() + SIGNATURE;
    let envelope = length + LENGTH;
    let size = u32::from_be_bytes(bytes[length..envelope].try_into().unwrap());
    [MAGIC.len(), length, envelope, envelope + size as usize]
}

#[test]
fn opens_sealed_data() {
    let signer = signer();
    for archive in [None, Some(b"".as_slice()), Some(b"archive")] {
        let object = object(archive);
        let bytes = seal(&object, KEY, &signer).unwrap();
        assert_eq!(open(bytes, KEY, &signer.writer()), Ok(object));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let signer = signer();
    let bytes = seal(&object(Some(b"archive")), KEY, &signer).unwrap();
    let [signature, length, envelope, archive] = parts(&bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let invalid = open(flipped, KEY, &signer.writer()).unwrap_err();
            match at {
                at if at < signature => assert_eq!(invalid, Invalid::NotAnObject),
                at if at >= archive => assert_eq!(invalid, Invalid::Archive),
                at if at >= envelope || at < length => assert_eq!(invalid, Invalid::Signature),
                _ => assert!(
                    [Invalid::Signature, Invalid::Truncated, Invalid::Envelope].contains(&invalid)
                ),
            }
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    let signer = signer();
    let bytes = seal(&object(Some(b"archive")), KEY, &signer).unwrap();
    for length in 0..bytes.len() {
        let invalid = open(bytes[..length].to_vec(), KEY, &signer.writer()).unwrap_err();
        assert_eq!(invalid, Invalid::Truncated, "{length}");
    }
    let longer = [&bytes, b"!".as_slice()].concat();
    assert_eq!(open(longer, KEY, &signer.writer()), Err(Invalid::Archive));
    let with_archive = [seal(&object(None), KEY, &signer).unwrap(), b"!".to_vec()].concat();
    assert_eq!(
        open(with_archive, KEY, &signer.writer()),
        Err(Invalid::Archive)
    );
}

#[test]
fn signature_of_another_writer_is_refused() {
    let signer = signer();
    let bytes = seal(&object(None), KEY, &signer).unwrap();
    let other = self::signer().writer();
    assert_eq!(open(bytes, KEY, &other), Err(Invalid::Signature));
}

#[test]
fn object_of_another_key_is_refused() {
    let signer = signer();
    let bytes = seal(&object(None), KEY, &signer).unwrap();
    let other = KEY.replace('0', "1");
    assert_eq!(
        open(bytes, &other, &signer.writer()),
        Err(Invalid::OtherKey)
    );
}

/// A signature over the bare envelope, as another protocol with the same key might make it.
#[test]
fn signature_is_bound_to_its_purpose() {
    let signer = signer();
    let mut bytes = seal(&object(None), KEY, &signer).unwrap();
    let [signature, length, envelope, _] = parts(&bytes);
    let bare = signer.sign(&bytes[envelope..]);
    bytes[signature..length].copy_from_slice(&bare);
    assert_eq!(open(bytes, KEY, &signer.writer()), Err(Invalid::Signature));
}

#[test]
fn pages_and_other_files_are_distinguished() {
    let writer = signer().writer();
    let open = |bytes: &[u8]| open(bytes.to_vec(), KEY, &writer).unwrap_err();
    assert_eq!(
        open(b"\n<!doctype html><title>Login</title>"),
        Invalid::Page
    );
    assert_eq!(open(&[0x1f, 0x8b, 8, 0]), Invalid::NotAnObject);
    assert_eq!(
        open(b"MIXPKOBJ\x02 of a later version"),
        Invalid::NotAnObject
    );
}

#[test]
fn announced_envelope_length_is_limited() {
    let mut bytes = [MAGIC, &[0; SIGNATURE]].concat();
    bytes.extend(u32::MAX.to_be_bytes());
    assert_eq!(open(bytes, KEY, &signer().writer()), Err(Invalid::Envelope));
    let large = Object {
        statement: json!("x".repeat(MAX_ENVELOPE)),
        archive: None,
    };
    assert_eq!(seal(&large, KEY, &signer()), None);
}
