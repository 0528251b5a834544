//! A bounded, reused byte buffer: bytes are read in at the end and taken from the front.

/// Invariant: `start <= end <= bytes.len()`.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity],
            start: 0,
            end: 0,
        }
    }

    /// What has been read and not taken.
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Where the next read goes. Empty when the buffer is full: see `make_room`.
    pub fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were written into `spare`.
    pub fn advance(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// Takes `count` bytes off the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Makes `spare` non-empty: moves what is left to the front, else grows up to `limit`.
    /// Returns false when the buffer holds `limit` bytes already.
    pub fn make_room(&mut self, limit: usize) -> bool {
        if self.end < self.bytes.len() {
            return true;
        }
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            return true;
        }
        if self.bytes.len() >= limit {
            return false;
        }
        let larger = (self.bytes.len() * 2).clamp(crate::limits::BUFFER, limit);
        self.bytes.resize(larger, 0);
        true
    }

    /// Grows an empty buffer for a long body.
    pub fn widen(&mut self, capacity: usize) {
        if self.is_empty() && self.bytes.len() < capacity {
            self.bytes.resize(capacity, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn bytes_come_out_in_order_and_the_bound_holds() {
        let mut buffer = Buffer::with_capacity(4);
        buffer.spare().copy_from_slice(b"abcd");
        buffer.advance(4);
        buffer.consume(3);
        assert!(buffer.make_room(4));
        assert_eq!(buffer.filled(), b"d");
        assert_eq!(buffer.spare().len(), 3);
        buffer.advance(3);
        assert!(!buffer.make_room(4));
        buffer.consume(4);
        assert!(buffer.is_empty());
    }
}
