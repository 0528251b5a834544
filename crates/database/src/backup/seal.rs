//! From a stream to a stored object and back: zstd, then age, then SHA-256 of what is stored.
//!
//! Bounded memory: zstd's window (8 MB at level 3) and one chunk of age (64 KiB), whatever the size.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use age::stream::StreamWriter;
use nix::fcntl::{FcntlArg, fcntl};
use sha2::{Digest, Sha256};

use super::key::Key;
use super::record::Stored;

/// zstd's own default: the database's pages shrink to a third, at some 300 MB/s.
const LEVEL: i32 = 3;

/// Bytes moved at once: what a pipe is made to hold.
const BUFFER: usize = 1 << 20;

/// A pipe between a tool and a thread of ours, as large as anybody may have one (fcntl(2),
/// `/proc/sys/fs/pipe-max-size`): with the usual 64 KiB the two wait for each other all the time.
pub(super) fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (from, to) = io::pipe()?;
    let size = i32::try_from(BUFFER).unwrap_or(i32::MAX);
    if let Err(e) = fcntl(&to, FcntlArg::F_SETPIPE_SZ(size)) {
        tracing::debug!("a pipe stays small: {e}");
    }
    Ok((from, to))
}

/// All of a stream; by `std::io::copy` it would go in pieces of 8 KiB.
pub(super) fn pump(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(buffer.get(..read).unwrap_or_default())?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Takes in a stream, gives out what is stored.
pub(super) struct Sealer<W: Write> {
    zstd: zstd::Encoder<'static, Layer<W>>,
    plain: u64,
    recipient: Option<String>,
}

enum Layer<W: Write> {
    Plain(Counted<W>),
    Age(StreamWriter<Counted<W>>),
}

impl<W: Write> Sealer<W> {
    pub(super) fn new(to: W, key: Option<&Key>) -> io::Result<Self> {
        let counted = Counted {
            to,
            sum: Sum::default(),
        };
        let layer = match key {
            None => Layer::Plain(counted),
            Some(key) => {
                let recipient = key.recipient();
                let recipients = std::iter::once(&recipient as &dyn age::Recipient);
                let encryptor =
                    age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
                Layer::Age(encryptor.wrap_output(counted)?)
            }
        };
        let mut zstd = zstd::Encoder::new(layer, LEVEL)?;
        // On a thread of its own, so that reading the pipe and writing go on meanwhile.
        zstd.multithread(1)?;
        Ok(Self {
            zstd,
            plain: 0,
            recipient: key.map(Key::public),
        })
    }

    /// What it wrote to, not finished, and the record of it.
    pub(super) fn finish(self, name: &str) -> io::Result<(W, Stored)> {
        let Counted { to, sum } = match self.zstd.finish()? {
            Layer::Plain(counted) => counted,
            Layer::Age(writer) => writer.finish()?,
        };
        let stored = Stored {
            name: name.to_owned(),
            plain_bytes: self.plain,
            bytes: sum.bytes,
            sha256: sum.hex(),
            recipient: self.recipient,
        };
        Ok((to, stored))
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.zstd.write(bytes)?;
        self.plain += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.zstd.flush()
    }
}

impl<W: Write> Write for Layer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(to) => to.write(bytes),
            Self::Age(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(to) => to.flush(),
            Self::Age(to) => to.flush(),
        }
    }
}

struct Counted<W> {
    to: W,
    sum: Sum,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.add(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[derive(Default, Clone)]
struct Sum {
    sha256: Sha256,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn hex(self) -> String {
        let bytes = self.sha256.finalize();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Why an object cannot be read back, as far as its bytes say.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    #[error("it is encrypted for {0}, and there is no key here")]
    NoKey(String),
    #[error("it is encrypted for {wanted}; the key here is that of {ours}")]
    WrongKey { wanted: String, ours: String },
    #[error("{0}")]
    Damaged(String),
    #[error("reading it back: {0}")]
    Read(io::Error),
    #[error("{0}")]
    Write(io::Error),
}

impl UnsealError {
    fn may_be_damage(&self) -> bool {
        match self {
            Self::Read(_) => true,
            Self::Write(e) => e.kind() == io::ErrorKind::BrokenPipe,
            Self::NoKey(_) | Self::WrongKey { .. } | Self::Damaged(_) => false,
        }
    }
}

/// Copies what was sealed to `to`. `open` is called once, and once more to find out what is damaged.
pub(super) fn unseal<R: Read>(
    stored: &Stored,
    key: Option<&Key>,
    mut open: impl FnMut() -> io::Result<R>,
    to: &mut impl Write,
) -> Result<(), UnsealError> {
    let key = key_for(stored, key)?;
    let sum = Arc::new(Mutex::new(Sum::default()));
    let source = Watched {
        from: open().map_err(UnsealError::Read)?,
        sum: Arc::clone(&sum),
    };
    let copied = match key {
        None => zstd::Decoder::new(source)
            .map_err(UnsealError::Read)
            .and_then(|from| copy(from, to)),
        Some(key) => decrypt(source, key)
            .and_then(|from| zstd::Decoder::new(from).map_err(UnsealError::Read))
            .and_then(|from| copy(from, to)),
    };
    match copied {
        // Not all of it was seen: once more, only to compare. Who refuses it may well be right.
        Err(e) if e.may_be_damage() => {
            compare(stored, whole(open().map_err(UnsealError::Read)?)?)?;
            Err(e)
        }
        Err(e) => Err(e),
        Ok(()) => {
            let sum = sum.lock().unwrap_or_else(PoisonError::into_inner).clone();
            compare(stored, sum)
        }
    }
}

fn key_for<'a>(stored: &Stored, key: Option<&'a Key>) -> Result<Option<&'a Key>, UnsealError> {
    let Some(wanted) = &stored.recipient else {
        return Ok(None);
    };
    let key = key.ok_or_else(|| UnsealError::NoKey(wanted.clone()))?;
    if key.public() != *wanted {
        return Err(UnsealError::WrongKey {
            wanted: wanted.clone(),
            ours: key.public(),
        });
    }
    Ok(Some(key))
}

fn decrypt<R: Read>(from: R, key: &Key) -> Result<impl Read, UnsealError> {
    let failed = |e: age::DecryptError| UnsealError::Read(io::Error::other(e.to_string()));
    let decryptor = age::Decryptor::new(from).map_err(failed)?;
    let identity: &dyn age::Identity = key.identity();
    decryptor.decrypt(std::iter::once(identity)).map_err(failed)
}

fn copy(mut from: impl Read, to: &mut impl Write) -> Result<(), UnsealError> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(UnsealError::Read(e)),
        };
        to.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(UnsealError::Write)?;
    }
}

fn whole(from: impl Read) -> Result<Sum, UnsealError> {
    let sum = Arc::new(Mutex::new(Sum::default()));
    let watched = Watched {
        from,
        sum: Arc::clone(&sum),
    };
    copy(watched, &mut io::sink())?;
    let sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(sum.clone())
}

fn compare(stored: &Stored, found: Sum) -> Result<(), UnsealError> {
    if found.bytes != stored.bytes {
        return Err(UnsealError::Damaged(format!(
            "it is {} bytes long, and {} were written",
            found.bytes, stored.bytes
        )));
    }
    let sha256 = found.hex();
    if sha256 != stored.sha256 {
        return Err(UnsealError::Damaged(format!(
            "its bytes have changed: SHA-256 is {sha256}, and was {}",
            stored.sha256
        )));
    }
    Ok(())
}

/// Sums up what passes. The layers above keep their reader, so the sum is shared.
struct Watched<R> {
    from: R,
    sum: Arc<Mutex<Sum>>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
