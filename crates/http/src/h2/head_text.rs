//! Pure: collects a head of HTTP/1.1 from what is written to a stream. Nearly always it comes whole, in
//! one write; it is copied once, into memory that its fields then share.

use bytes::{Bytes, BytesMut};

use crate::fault::Kind;
use crate::head;
use crate::limits;

/// A head that has begun.
#[derive(Debug, Default)]
pub(super) struct HeadText {
    held: BytesMut,
}

impl HeadText {
    /// How many of `bytes` belong to the head, and the head when it is complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Bytes>), Kind> {
        let before = self.held.len();
        if before == 0
            && let Some(end) = head::find_end(bytes, 0)
        {
            let whole = bytes.get(..end).unwrap_or_default();
            return Ok((end, Some(Bytes::copy_from_slice(whole))));
        }
        // The writer's limit is `HEAD`, to which it adds fields of its own.
        if before + bytes.len() > limits::HEAD + limits::BUFFER {
            return Err(Kind::TooLarge("head"));
        }
        self.held.extend_from_slice(bytes);
        match head::find_end(&self.held, before) {
            Some(end) => {
                let whole = self.held.split_to(end).freeze();
                self.held.clear();
                Ok((end - before, Some(whole)))
            }
            None => Ok((bytes.len(), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_whole_however_it_comes() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
        let end = text.len() - 4;
        for step in 1..=text.len() {
            let mut head = HeadText::default();
            let mut at = 0;
            let whole = loop {
                let until = (at + step).min(text.len());
                let (used, whole) = head.take(&text[at..until]).unwrap();
                at += used;
                if let Some(whole) = whole {
                    break whole;
                }
            };
            assert_eq!((at, &whole[..]), (end, &text[..end]), "{step}");
        }
        let mut head = HeadText::default();
        let large = vec![b'x'; limits::HEAD];
        assert_eq!(head.take(&large), Ok((large.len(), None)));
        assert!(head.take(&large).is_err());
    }
}
