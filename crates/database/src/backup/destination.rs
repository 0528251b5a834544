//! Where backups are kept. Objects have names with `/`; an object is there whole or not at all.
//!
//! Everything here blocks, and is called from threads that may.

mod directory;
mod s3;

use std::io::{self, Read, Write};

pub use directory::Directory;
pub use s3::{Bucket, S3};

/// A place for backups.
#[derive(Debug, Clone)]
pub enum Destination {
    Directory(Directory),
    S3(S3),
}

/// The place did not do what was asked; says where and which object.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("{doing} {what}: {source}")]
    Io {
        doing: &'static str,
        what: String,
        source: io::Error,
    },
    #[error("{doing} {what}: {why}")]
    Refused {
        doing: &'static str,
        what: String,
        why: String,
    },
    #[error("{0} is not there")]
    Missing(String),
    #[error("`{0}` is no name of an object")]
    Name(String),
}

/// Bytes of a record: the checksums of some ten thousand tables.
const RECORD_LIMIT: u64 = 4 << 20;

impl Destination {
    /// Begins an object; it is there when `Upload::finish` has returned.
    pub fn create(&self, name: &str) -> Result<Upload, PlaceError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => directory.create(name).map(Upload::File),
            Self::S3(s3) => Ok(Upload::S3(Box::new(s3.create(name)))),
        }
    }

    /// A whole object at once, in the place of an older one of the name.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<(), PlaceError> {
        let mut upload = self.create(name)?;
        upload
            .write_all(bytes)
            .map_err(|source| self.io("cannot write", name, source))?;
        upload.finish()
    }

    pub fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, PlaceError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => directory.open(name),
            Self::S3(s3) => s3.open(name),
        }
    }

    /// A small object.
    pub fn get(&self, name: &str) -> Result<Vec<u8>, PlaceError> {
        let mut bytes = Vec::new();
        self.open(name)?
            .take(RECORD_LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|source| self.io("cannot read", name, source))?;
        Ok(bytes)
    }

    /// Names of all objects that begin with `prefix`, sorted; not those still being written.
    pub fn list(&self, prefix: &str) -> Result<Vec<String>, PlaceError> {
        let mut names = match self {
            Self::Directory(directory) => directory.list(prefix),
            Self::S3(s3) => s3.list(prefix),
        }?;
        names.sort();
        Ok(names)
    }

    /// Nothing to remove is no error.
    pub fn remove(&self, name: &str) -> Result<(), PlaceError> {
        checked(name)?;
        match self {
            Self::Directory(directory) => directory.remove(name),
            Self::S3(s3) => s3.remove(name),
        }
    }

    /// Removes what a process that died left half-written. Only for the one who writes here.
    pub fn sweep(&self) -> Result<usize, PlaceError> {
        match self {
            Self::Directory(directory) => directory.sweep(),
            // What was not completed is not there.
            Self::S3(_) => Ok(0),
        }
    }

    /// For people.
    pub fn describe(&self, name: &str) -> String {
        match self {
            Self::Directory(directory) => directory.path(name).display().to_string(),
            Self::S3(s3) => s3.describe(name),
        }
    }

    pub(super) fn io(&self, doing: &'static str, name: &str, source: io::Error) -> PlaceError {
        PlaceError::Io {
            doing,
            what: self.describe(name),
            source,
        }
    }
}

/// An object being written. Dropped without `finish`, it never was.
#[derive(Debug)]
pub enum Upload {
    File(directory::Upload),
    S3(Box<s3::Upload>),
}

impl Upload {
    /// Makes it last, then makes it seen.
    pub fn finish(self) -> Result<(), PlaceError> {
        match self {
            Self::File(upload) => upload.finish(),
            Self::S3(upload) => upload.finish(),
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(upload) => upload.write(bytes),
            Self::S3(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names are ours; one that could leave the place is refused all the same.
fn checked(name: &str) -> Result<(), PlaceError> {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if name.split('/').all(part) {
        Ok(())
    } else {
        Err(PlaceError::Name(name.to_owned()))
    }
}
