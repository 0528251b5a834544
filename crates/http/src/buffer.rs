//! A bounded, reused byte buffer: bytes are read in at the end and taken from the front. It holds memory
//! only while it holds bytes or is being read into; the memory comes from the thread's free list.

use std::io;
use std::task::{Context, Poll};

use crate::free_buffers;
use crate::limits;
use crate::stream::Stream;

/// Invariant: `start <= end <= bytes.len()`.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// Without memory until `make_room`.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: free_buffers::take(capacity),
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

    /// Where the next read goes. Empty when the buffer is full or without memory: see `make_room`.
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
        let larger = (self.bytes.len() * 2).clamp(limits::BUFFER.min(limit), limit);
        if self.bytes.is_empty() {
            self.bytes = free_buffers::take(larger);
        } else {
            self.bytes.resize(larger, 0);
        }
        true
    }

    /// Grows an empty buffer for a long body.
    pub fn widen(&mut self, capacity: usize) {
        if self.is_empty() && self.bytes.len() < capacity {
            self.give_back();
            self.bytes = free_buffers::take(capacity);
        }
    }

    /// Gives the memory back when nothing is held.
    pub fn release(&mut self) {
        if self.is_empty() {
            self.give_back();
        }
    }

    /// Reads once, with room for up to `limit` bytes in all. While nothing has come and nothing is held,
    /// no memory is. `Ready(Ok(0))` is the end of the stream; a full buffer is an error, so a caller
    /// with a bound looks at it first.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        if !self.make_room(limit) {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        let read = from.poll_read(cx, self.spare());
        match &read {
            Poll::Ready(Ok(count)) => self.advance(*count),
            Poll::Ready(Err(_)) | Poll::Pending => self.release(),
        }
        read
    }

    fn give_back(&mut self) {
        if !self.bytes.is_empty() {
            free_buffers::give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_empty_buffer_can_go_without_memory() {
        let mut buffer = Buffer::new();
        assert!(buffer.spare().is_empty());
        assert!(buffer.make_room(limits::HEAD));
        assert_eq!(buffer.spare().len(), limits::BUFFER);
        buffer.advance(1);
        buffer.release();
        assert_eq!(buffer.filled().len(), 1);
        buffer.consume(1);
        buffer.release();
        assert_eq!(buffer.bytes.capacity(), 0);
        buffer.widen(limits::BODY_BUFFER);
        assert_eq!(buffer.spare().len(), limits::BODY_BUFFER);
    }

    #[tokio::test]
    async fn no_memory_is_held_while_waiting() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut stream = Stream::Unix(ours);
        let mut buffer = Buffer::new();
        let mut fill = async |buffer: &mut Buffer| {
            std::future::poll_fn(|cx| {
                let step = buffer.poll_fill(cx, &mut stream, limits::HEAD);
                Poll::Ready((step.is_pending(), buffer.bytes.capacity()))
            })
            .await
        };
        assert_eq!(fill(&mut buffer).await, (true, 0));
        theirs.try_write(b"abc").unwrap();
        while buffer.is_empty() {
            tokio::task::yield_now().await;
            fill(&mut buffer).await;
        }
        // What has come is kept, and the memory it stands in.
        assert_eq!(fill(&mut buffer).await, (true, limits::BUFFER));
        assert_eq!(buffer.filled(), b"abc");
    }
}
