//! Pure: the integers and strings packets are made of, little-endian, never reading past the end.
//!
//! Source: MySQL internals, "Protocol::Integer" and "Protocol::String"; MariaDB KB, "Protocol data types".

/// A packet that ends too early or contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed {0}")]
pub struct Malformed(pub &'static str);

/// Takes a payload apart from its front. `None`: it ends too early.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(payload: &'a [u8]) -> Self {
        Self(payload)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u24(&mut self) -> Option<u32> {
        self.array::<3>()
            .map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length-encoded integer. 0xFB (NULL) and 0xFF (an error packet) are no integers.
    pub fn lenenc(&mut self) -> Option<u64> {
        match self.u8()? {
            small @ 0..=0xfa => Some(u64::from(small)),
            0xfc => self.u16().map(u64::from),
            0xfd => self.u24().map(u64::from),
            0xfe => self.u64(),
            0xfb | 0xff => None,
        }
    }

    pub fn lenenc_bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.lenenc()?).ok()?;
        self.bytes(length)
    }

    /// A text row's value: `Some(None)` is NULL.
    pub fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&0xfb) {
            self.bytes(1)?;
            return Some(None);
        }
        self.lenenc_bytes().map(Some)
    }

    /// Up to a zero byte, which is taken too.
    pub fn nul_terminated(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let taken = self.bytes(end)?;
        self.bytes(1)?;
        Some(taken)
    }
}

/// Appends a length-encoded integer.
pub fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    let (marker, width) = match value {
        0..=0xfa => (None, 1),
        0xfb..=0xffff => (Some(0xfc), 2),
        0x1_0000..=0xff_ffff => (Some(0xfd), 3),
        _ => (Some(0xfe), 8),
    };
    out.extend(marker);
    out.extend(bytes.iter().take(width));
}

/// Appends a length-encoded string.
pub fn put_lenenc_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_lenenc(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Appends a zero-terminated string, cut at a zero byte it may contain.
pub fn put_nul_terminated(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().take_while(|byte| **byte != 0));
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_lenenc_integer_comes_back(value: u64, small in 0u64..70_000) {
            for value in [value, small] {
                let mut out = Vec::new();
                put_lenenc(&mut out, value);
                let mut reader = Reader::new(&out);
                prop_assert_eq!(reader.lenenc(), Some(value));
                prop_assert!(reader.is_empty());
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, count: usize) {
            let mut reader = Reader::new(&bytes);
            while !reader.is_empty() {
                let before = reader.left();
                let _ = (reader.lenenc_bytes(), reader.nul_terminated(), reader.nullable_bytes());
                let _ = (reader.bytes(count), reader.u24(), reader.u64());
                if reader.left() == before {
                    reader.rest();
                }
            }
        }
    }
}
