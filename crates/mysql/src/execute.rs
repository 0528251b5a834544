//! Pure: COM_STMT_EXECUTE, taken apart as far as needed to send it to another server: the id, the
//! types and where they stand. The values are not looked at.
//!
//! Source: MySQL internals, "COM_STMT_EXECUTE".

use crate::wire::Reader;

/// What COM_STMT_EXECUTE says before the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    pub id: u32,
    /// It opens a cursor.
    pub cursor: bool,
    /// The types that come with it, if any.
    pub types: Option<&'a [u8]>,
    /// Where in the payload types stand, or would stand.
    pub types_at: usize,
}

/// The id of any COM_STMT_*; `payload` with the command's byte.
pub fn id_of(payload: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    reader.u32()
}

/// Bytes of COM_STMT_EXECUTE up to the end of the types.
pub fn head_length(parameters: u16) -> usize {
    let parameters = usize::from(parameters);
    1 + 4 + 1 + 4 + parameters.div_ceil(8) + 1 + 2 * parameters
}

/// `payload` with the command's byte, at least its head.
pub fn parse(payload: &[u8], parameters: u16) -> Option<Execute<'_>> {
    let mut reader = Reader::new(payload);
    reader.u8()?;
    let id = reader.u32()?;
    let flags = reader.u8()?;
    reader.u32()?;
    let mut types = None;
    if parameters > 0 {
        reader.bytes(usize::from(parameters).div_ceil(8))?;
        if reader.u8()? == 1 {
            types = Some(reader.bytes(2 * usize::from(parameters))?);
        }
    }
    let types_at = payload.len() - reader.left() - types.map_or(0, <[u8]>::len);
    Some(Execute {
        id,
        cursor: flags != 0,
        types,
        types_at,
    })
}

/// The payload with types put in, for a server that has not been told them.
pub fn with_types(payload: &[u8], types_at: usize, types: &[u8]) -> Option<Vec<u8>> {
    let (head, values) = payload.split_at_checked(types_at)?;
    let (_, head) = head.split_last()?;
    let mut out = Vec::with_capacity(payload.len() + types.len());
    out.extend_from_slice(head);
    out.push(1);
    out.extend_from_slice(types);
    out.extend_from_slice(values);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: &[u8] = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x01\x08\x00\xfe\x00AAAAAAAA\x01b";
    const UNBOUND: &[u8] = b"\x17\x07\0\0\0\0\x01\0\0\0\x00\x00AAAAAAAA\x01b";

    #[test]
    fn types_are_found_and_put_in() {
        let bound = parse(BOUND, 2).unwrap();
        assert_eq!((bound.id, bound.cursor), (7, false));
        assert_eq!(bound.types, Some(b"\x08\x00\xfe\x00".as_slice()));
        let unbound = parse(UNBOUND, 2).unwrap();
        assert_eq!((unbound.types, unbound.types_at), (None, 12));
        let told = with_types(UNBOUND, unbound.types_at, bound.types.unwrap()).unwrap();
        assert_eq!(told, BOUND);
        assert_eq!(head_length(2), 16);
    }

    #[test]
    fn without_parameters_there_is_nothing_to_find() {
        let execute = parse(b"\x17\x07\0\0\0\x01\x01\0\0\0", 0).unwrap();
        assert_eq!((execute.types, execute.cursor), (None, true));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(payload: Vec<u8>, parameters in 0u16..20) {
            if let Some(execute) = parse(&payload, parameters) {
                let told = with_types(&payload, execute.types_at, b"abcd");
                prop_assert!(told.is_none_or(|told| told.len() <= payload.len() + 4));
            }
            id_of(&payload);
        }
    }
}
