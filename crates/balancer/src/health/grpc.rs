//! Pure: `grpc.health.v1.Health/Check` on the wire (the gRPC health checking protocol; framing: gRPC
//! over HTTP2, "Length-Prefixed-Message"; fields: Protocol Buffers encoding). Two messages of one field
//! each are no reason for a library.

use std::fmt;

/// What the request's head must have besides `:method: POST`.
pub const PATH: &str = "/grpc.health.v1.Health/Check";
pub const CONTENT_TYPE: &str = "application/grpc";
/// Bytes of an answer that need be read: one number, and room for fields to come.
pub const ANSWER: usize = 4 << 10;

/// What a server says of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The message is not complete.
    Short,
    Compressed,
    /// Not Protocol Buffers, or a status that is none.
    Malformed,
}

impl fmt::Display for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        })
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "the gRPC answer is not complete",
            Self::Compressed => "the gRPC answer is compressed, which was not asked for",
            Self::Malformed => "the gRPC answer is not one of a health check",
        })
    }
}

/// The request's body. `service`: empty for the whole server.
pub fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(
        &u32::try_from(message.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    frame.extend_from_slice(&message);
    frame
}

/// From the answer's body.
pub fn answer(body: &[u8]) -> Result<Serving, Unreadable> {
    let (head, rest) = body.split_first_chunk::<5>().ok_or(Unreadable::Short)?;
    let [compressed, length @ ..] = *head;
    if compressed != 0 {
        return Err(Unreadable::Compressed);
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let mut message = rest.get(..length).ok_or(Unreadable::Short)?;
    // A field that is not there has the value 0.
    let mut status = 0;
    while !message.is_empty() {
        let tag = read_varint(&mut message).ok_or(Unreadable::Malformed)?;
        let skipped = match tag & 7 {
            0 => {
                let value = read_varint(&mut message).ok_or(Unreadable::Malformed)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => read_varint(&mut message).ok_or(Unreadable::Malformed)?,
            5 => 4,
            _ => return Err(Unreadable::Malformed),
        };
        let skipped = usize::try_from(skipped).map_err(|_| Unreadable::Malformed)?;
        message = message.get(skipped..).ok_or(Unreadable::Malformed)?;
    }
    match status {
        0 => Ok(Serving::Unknown),
        1 => Ok(Serving::Serving),
        2 => Ok(Serving::NotServing),
        3 => Ok(Serving::ServiceUnknown),
        _ => Err(Unreadable::Malformed),
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    // Ten bytes have 70 bits.
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(
            request(&"x".repeat(200))[..8],
            [0, 0, 0, 0, 203, 0x0a, 200, 1]
        );
    }

    #[test]
    fn answers() {
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8, 1]), Ok(Serving::Serving));
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8, 2]), Ok(Serving::NotServing));
        assert_eq!(answer(&[0, 0, 0, 0, 0]), Ok(Serving::Unknown));
        // With a field from the future before and one behind.
        let more = [0, 0, 0, 0, 7, 0x12, 1, 9, 8, 1, 0x18, 5];
        assert_eq!(answer(&more), Ok(Serving::Serving));
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8, 9]), Err(Unreadable::Malformed));
        assert_eq!(answer(&[0, 0, 0, 0, 2, 8]), Err(Unreadable::Short));
        assert_eq!(answer(&[1, 0, 0, 0, 2, 8, 1]), Err(Unreadable::Compressed));
        assert_eq!(
            answer(&[0, 0, 0, 0, 2, 0x12, 9]),
            Err(Unreadable::Malformed)
        );
        assert_eq!(answer(&[0, 0]), Err(Unreadable::Short));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let read = answer(&body);
            prop_assert!(read.is_err() || body.len() >= 5);
        }
    }
}
