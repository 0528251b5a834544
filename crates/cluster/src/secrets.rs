//! Generated secrets: one file each, mode 0600, in a directory of mode 0700.
//!
//! A secret is made once and then kept: whoever asks first makes it, everybody else gets the same,
//! also when two ask at the same moment. Later, with several servers, sealed values come here from
//! the cluster state; the names stay.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use telemetry::Secret;

/// 192 bits: beyond guessing, and 48 characters as hex, which needs no quoting in SQL or a URL.
const RANDOM_BYTES: usize = 24;
/// Bytes of a secret's file; a person may have put a longer secret of their own there.
const FILE_LIMIT: u64 = 4096;

/// A secret could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("{doing} {path}: {source}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "others may read {path}; run `chmod {mode:o} {path}` and change the secret if they did"
    )]
    Open { path: PathBuf, mode: u32 },
    #[error("the secret in {0} is empty or not text; delete the file to have a new one made")]
    Unusable(PathBuf),
    #[error("`{0}` is not a secret's name: letters, digits, `-` and `.` only, not first a `.`")]
    Name(String),
    #[error("the system gave no random numbers: {0}")]
    Random(String),
}

/// The directory of secrets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets {
    dir: Arc<PathBuf>,
}

impl Secrets {
    /// Opens or creates `dir`; refuses one that others may look into.
    pub fn open(dir: &Path) -> Result<Self, SecretsError> {
        let created = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir);
        created.map_err(io_error("cannot create the secrets directory", dir))?;
        let mode = std::fs::metadata(dir)
            .map_err(io_error("cannot look at the secrets directory", dir))?
            .permissions()
            .mode();
        refuse_open(dir, mode, 0o700)?;
        Ok(Self {
            dir: Arc::new(dir.to_owned()),
        })
    }

    /// The secret of that name, made now if there is none.
    pub fn get_or_create(&self, name: &str) -> Result<Secret, SecretsError> {
        match self.get(name)? {
            Some(secret) => Ok(secret),
            None => self.get_or_keep(name, &Secret::new(random_hex()?)),
        }
    }

    /// The secret of that name; `None` when there is none.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        read(&self.path(name)?)
    }

    /// The secret of that name; `new` from now on if there was none.
    pub fn get_or_keep(&self, name: &str, new: &Secret) -> Result<Secret, SecretsError> {
        let path = self.path(name)?;
        if let Some(secret) = read(&path)? {
            return Ok(secret);
        }
        self.create(name, &path, new.expose())?;
        // Somebody else may have been quicker: theirs counts.
        read(&path)?.ok_or(SecretsError::Unusable(path))
    }

    /// Forgets a secret that nothing needs any more; one that is not there is as good.
    pub fn remove(&self, name: &str) -> Result<(), SecretsError> {
        let path = self.path(name)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(io_error("cannot remove the secret", &path)(e))
            }
            _ => Ok(()),
        }
    }

    /// Where a secret is kept, to tell people.
    pub fn path(&self, name: &str) -> Result<PathBuf, SecretsError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(allowed) {
            return Err(SecretsError::Name(name.to_owned()));
        }
        Ok(self.dir.join(name))
    }

    /// A hard link appears whole or not at all and never replaces: no reader sees half a secret, and
    /// of two makers one wins.
    fn create(&self, name: &str, path: &Path, value: &str) -> Result<(), SecretsError> {
        let temporary = self.dir.join(format!(".{name}.{}", random_hex()?));
        let failed = io_error("cannot write the secret", path);
        let written = write_new(&temporary, value).and_then(|()| {
            match std::fs::hard_link(&temporary, path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        });
        let removed = std::fs::remove_file(&temporary);
        written.and(removed).map_err(failed)?;
        File::open(&*self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(io_error("cannot keep the secret", path))
    }
}

fn write_new(path: &Path, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    // Whatever the umask added or took.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(value.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Option<Secret>, SecretsError> {
    let failed = || io_error("cannot read the secret", path);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed()(e)),
    };
    let mode = file.metadata().map_err(failed())?.permissions().mode();
    refuse_open(path, mode, 0o600)?;
    let mut text = String::new();
    match file.take(FILE_LIMIT).read_to_string(&mut text) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(SecretsError::Unusable(path.to_owned()));
        }
        Err(e) => return Err(failed()(e)),
    }
    let value = text.trim_end_matches(['\n', '\r']);
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(SecretsError::Unusable(path.to_owned()));
    }
    Ok(Some(Secret::new(value)))
}

/// As ssh does with its keys.
fn refuse_open(path: &Path, mode: u32, wanted: u32) -> Result<(), SecretsError> {
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(SecretsError::Open {
        path: path.to_owned(),
        mode: wanted,
    })
}

fn random_hex() -> Result<String, SecretsError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|e| SecretsError::Random(e.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretsError {
    move |source| SecretsError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(&dir.path().join("a/secrets")).unwrap();
        (dir, secrets)
    }

    #[test]
    fn a_secret_is_made_once_and_only_we_can_read_it() {
        let (_dir, secrets) = secrets();
        let made = secrets.get_or_create("database-user").unwrap();
        assert_eq!(made.expose().len(), 48);
        assert_eq!(secrets.get_or_create("database-user").unwrap(), made);
        assert_ne!(secrets.get_or_create("database-admin").unwrap(), made);
        let path = secrets.path("database-user").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let names = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 2, "no temporary file is left");
    }

    #[test]
    fn all_who_ask_at_once_get_the_same() {
        let (_dir, secrets) = secrets();
        let made: Vec<Secret> = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| secrets.get_or_create("one").unwrap()))
                .collect();
            asking.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(made.iter().all(|secret| *secret == made[0]));
    }

    #[test]
    fn a_secret_of_ones_own_is_taken() {
        let (_dir, secrets) = secrets();
        write_new(&secrets.path("mine").unwrap(), "pass word'\\").unwrap();
        assert_eq!(
            secrets.get_or_create("mine").unwrap().expose(),
            "pass word'\\"
        );
    }

    #[test]
    fn what_others_can_read_is_refused_and_named() {
        let (_dir, secrets) = secrets();
        secrets.get_or_create("s").unwrap();
        let path = secrets.path("s").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = secrets.get_or_create("s").unwrap_err().to_string();
        assert!(
            error.contains(&format!("chmod 600 {}", path.display())),
            "{error}"
        );
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "\n").unwrap();
        let error = secrets.get_or_create("s").unwrap_err().to_string();
        assert!(error.contains("delete the file"), "{error}");
        let dir = path.parent().unwrap();
        std::fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
        let error = Secrets::open(dir).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_name_cannot_leave_the_directory() {
        let (_dir, secrets) = secrets();
        for bad in ["", "../x", "a/b", ".hidden", "a b"] {
            assert!(secrets.get_or_create(bad).is_err(), "{bad}");
        }
    }
}
