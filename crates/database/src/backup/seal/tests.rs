//! What is sealed comes back; what was changed does not.

use std::io::{self, Write};

use proptest::prelude::*;

use super::*;

fn key() -> Key {
    Key::of("k", &Key::generate()).unwrap()
}

fn sealed(bytes: &[u8], key: Option<&Key>) -> (Vec<u8>, Stored) {
    let mut sealer = Sealer::new(Vec::new(), key).unwrap();
    sealer.write_all(bytes).unwrap();
    sealer.finish("name").unwrap()
}

fn unsealed(bytes: &[u8], stored: &Stored, key: Option<&Key>) -> Result<Vec<u8>, UnsealError> {
    let mut out = Vec::new();
    unseal(stored, key, || Ok(bytes), &mut out).map(|()| out)
}

#[test]
fn only_the_right_key_opens_it_and_without_one_it_is_said_whose_it_is() {
    let (ours, theirs) = (key(), key());
    let (bytes, stored) = sealed(b"secret rows", Some(&ours));
    assert!(!bytes.windows(6).any(|part| part == b"secret"));
    assert_eq!(
        unsealed(&bytes, &stored, Some(&ours)).unwrap(),
        b"secret rows"
    );
    let error = unsealed(&bytes, &stored, Some(&theirs)).unwrap_err();
    assert!(matches!(error, UnsealError::WrongKey { .. }));
    assert!(error.to_string().contains(&ours.public()), "{error}");
    let error = unsealed(&bytes, &stored, None).unwrap_err();
    assert!(matches!(error, UnsealError::NoKey(_)));
}

#[test]
fn a_key_prints_only_its_public_half() {
    let secret = Key::generate();
    let key = Key::of("k", &secret).unwrap();
    assert!(!format!("{key:?}").contains("SECRET"), "{key:?}");
    assert!(secret.expose().starts_with("AGE-SECRET-KEY-1"));
    let error = Key::of("backup-key", &telemetry::Secret::new("hunter2")).unwrap_err();
    assert!(error.to_string().contains("`backup-key`"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

/// A place that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn what_is_sealed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..5000), encrypted: bool) {
        let key = encrypted.then(key);
        let (there, stored) = sealed(&bytes, key.as_ref());
        prop_assert_eq!(stored.plain_bytes, bytes.len() as u64);
        prop_assert_eq!(stored.bytes, there.len() as u64);
        prop_assert_eq!(unsealed(&there, &stored, key.as_ref()).unwrap(), bytes);
    }

    #[test]
    fn any_changed_byte_and_any_cut_is_found(
        bytes in proptest::collection::vec(any::<u8>(), 1..2000),
        encrypted: bool,
        at: proptest::sample::Index,
        bit in 0..8_u8,
        cut: bool,
    ) {
        let key = encrypted.then(key);
        let (mut there, stored) = sealed(&bytes, key.as_ref());
        let at = at.index(there.len());
        if cut {
            there.truncate(at);
        } else {
            there[at] ^= 1 << bit;
        }
        let error = unsealed(&there, &stored, key.as_ref()).unwrap_err();
        prop_assert!(matches!(error, UnsealError::Damaged(_)), "{}", error);
    }

    #[test]
    fn a_full_place_is_an_error_wherever_it_ends(room in 0..3000_usize) {
        let write = || {
            let mut sealer = Sealer::new(Full(room), None)?;
            // Nothing that could be compressed.
            let noise = (0..200_u32).flat_map(|i| Sha256::digest(i.to_le_bytes()));
            let noise: Vec<u8> = noise.collect();
            sealer.write_all(&noise)?;
            sealer.finish("name").map(drop)
        };
        let error: io::Error = write().unwrap_err();
        prop_assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
