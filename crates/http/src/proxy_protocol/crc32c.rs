//! Pure: CRC-32C (Castagnoli, RFC 3720 appendix B.4), with which version 2 may protect its header.

const POLYNOMIAL: u32 = 0x82F6_3B78;

/// Headers are short and the check is rare: bit by bit, without a table.
pub(super) fn checksum<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = pieces.into_iter().flatten();
    !bytes.fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn the_values_of_rfc_3720() {
        assert_eq!(checksum([&b"123456789"[..]]), 0xE306_9283);
        assert_eq!(checksum([&[0; 30][..], &[0; 2]]), 0x8A91_36AA);
        assert_eq!(checksum([]), 0);
    }
}
