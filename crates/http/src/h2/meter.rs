//! Pure: counts a client's frames as they pass, from the raw bytes, against floods of frames that carry
//! nothing and cost work (RFC 9113 section 10.5: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM).
//! `h2` bounds what they hold, but not how many come.
//!
//! A bucket: each such frame adds one; bytes that carry something, either way, and time take away.

use super::preface::PREFACE;
use crate::limits;

const HEAD: usize = 9;

/// More than is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flood;

/// One connection's bucket.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes of the preface, or of a frame's payload, that still have to pass.
    skip: usize,
    head: [u8; HEAD],
    filled: usize,
    level: u64,
    paid: u64,
    paid_until_ms: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE.len(),
            head: [0; HEAD],
            filled: 0,
            level: 0,
            paid: 0,
            paid_until_ms: 0,
        }
    }

    /// `bytes` have been read. `now_ms`: asked only when there is something to pay.
    pub(super) fn read(
        &mut self,
        mut bytes: &[u8],
        now_ms: impl FnOnce() -> u64,
    ) -> Result<(), Flood> {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            let wanted = (HEAD - self.filled).min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(wanted).unwrap_or_default();
            if let Some(room) = self.head.get_mut(self.filled..self.filled + wanted) {
                room.copy_from_slice(piece);
            }
            self.filled += wanted;
            bytes = rest;
            if self.filled == HEAD {
                self.filled = 0;
                frames += u64::from(self.begin());
            }
        }
        if frames == 0 {
            return Ok(());
        }
        self.level += frames;
        self.pay(now_ms);
        if self.level > limits::H2_CONTROL_FRAMES {
            Err(Flood)
        } else {
            Ok(())
        }
    }

    /// `count` bytes have been written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.paid = self.paid.saturating_add(count as u64);
    }

    /// A frame's head is complete. Whether the frame is to be paid for.
    fn begin(&mut self) -> bool {
        let [a, b, c, kind, ..] = self.head;
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // DATA, HEADERS, CONTINUATION: bounded by flow control, by the streams and by `h2`.
        let carries = matches!(kind, 0 | 1 | 9);
        if carries {
            self.paid = self.paid.saturating_add(self.skip as u64);
        }
        !carries
    }

    fn pay(&mut self, now_ms: impl FnOnce() -> u64) {
        let affordable = self.paid / limits::H2_BYTES_PER_CONTROL_FRAME;
        self.level = self.level.saturating_sub(affordable);
        self.paid %= limits::H2_BYTES_PER_CONTROL_FRAME;
        let now = now_ms();
        let since = now.saturating_sub(self.paid_until_ms);
        let by_time = since * limits::H2_CONTROL_FRAMES_PER_SECOND / 1000;
        if by_time > 0 {
            self.level = self.level.saturating_sub(by_time);
            self.paid_until_ms = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 1]);
        frame.resize(HEAD + length, b'x');
        frame
    }

    fn pings(count: u64) -> Vec<u8> {
        frame(6, 8).repeat(usize::try_from(count).unwrap())
    }

    #[test]
    fn a_flood_is_seen_however_it_is_cut() {
        let bytes = [PREFACE.as_slice(), &pings(limits::H2_CONTROL_FRAMES)].concat();
        for step in [1, 7, 9, 17, 8192, bytes.len()] {
            let mut meter = Meter::new();
            for piece in bytes.chunks(step) {
                assert_eq!(meter.read(piece, || 0), Ok(()));
            }
            assert_eq!(meter.read(&pings(1), || 0), Err(Flood));
        }
    }

    #[test]
    fn content_and_time_pay() {
        let mut meter = Meter::new();
        meter.read(PREFACE, || 0).unwrap();
        for _ in 0..100 {
            // A gigabyte down, a window update for every frame of 16 KiB.
            for _ in 0..640 {
                meter.wrote(16 << 10);
                meter.read(&frame(8, 4), || 0).unwrap();
            }
        }
        assert_eq!(meter.level, 0);
        for second in 0..1000 {
            let pings = pings(limits::H2_CONTROL_FRAMES_PER_SECOND);
            meter.read(&pings, || second * 1000).unwrap();
        }
        meter.read(&frame(0, 1 << 20), || 0).unwrap();
        meter.read(&pings(1), || 1_000_000).unwrap();
        assert_eq!(meter.level, 0);
    }
}
