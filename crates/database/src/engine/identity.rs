//! Whose a data directory is: `mainstay-member.json` inside it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use site::name::MemberName;

use crate::record::{FORMAT, Identity};

const FILE: &str = "mainstay-member.json";
/// Bytes; ours has a few hundred.
const FILE_LIMIT: u64 = 16 << 10;

/// A data directory that this member may not use, or that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "the data directory {dir} belongs to member {theirs}, not to {ours}; give each member a \
         directory of its own, or move this one away"
    )]
    Foreign {
        dir: PathBuf,
        theirs: String,
        ours: String,
    },
    #[error(
        "the data directory {0} holds files but no {FILE}: it was not made by Mainstay; move it away"
    )]
    Unmarked(PathBuf),
    #[error(
        "{0} cannot be understood: {1}; put back a copy of it, or move the data directory away"
    )]
    Damaged(PathBuf, String),
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Who a member is.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    pub site: &'a str,
    pub member: &'a MemberName,
    pub server_id: u32,
}

impl Who<'_> {
    /// Of a directory made new.
    pub fn identity(&self) -> Identity {
        Identity {
            format: FORMAT,
            site: self.site.to_owned(),
            member: self.member.clone(),
            server_id: self.server_id,
            obeyed: None,
            start_from: None,
        }
    }
}

/// The identity in `data_dir`; `None` when the directory is missing or empty. Another's is an error.
pub fn read(data_dir: &Path, who: Who<'_>) -> Result<Option<Identity>, IdentityError> {
    let path = data_dir.join(FILE);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(FILE_LIMIT).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return unmarked(data_dir),
        Err(source) => return Err(IdentityError::Io { path, source }),
    }
    let identity: Identity = serde_json::from_str(&text)
        .map_err(|e| IdentityError::Damaged(path.clone(), e.to_string()))?;
    if identity.format != FORMAT {
        let reason = format!("it has format {}, not {FORMAT}", identity.format);
        return Err(IdentityError::Damaged(path, reason));
    }
    let ours = who.identity();
    if (&identity.site, &identity.member, identity.server_id)
        != (&ours.site, &ours.member, ours.server_id)
    {
        return Err(IdentityError::Foreign {
            dir: data_dir.to_owned(),
            theirs: named(&identity),
            ours: named(&ours),
        });
    }
    Ok(Some(identity))
}

/// Whole or not at all.
pub fn write(data_dir: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let path = data_dir.join(FILE);
    let write = || {
        let temporary = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(identity)?)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(data_dir)?.sync_all()
    };
    write().map_err(|source| IdentityError::Io { path, source })
}

fn unmarked(data_dir: &Path) -> Result<Option<Identity>, IdentityError> {
    match std::fs::read_dir(data_dir).map(|mut entries| entries.next().is_some()) {
        Ok(false) => Ok(None),
        Ok(true) => Err(IdentityError::Unmarked(data_dir.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::Io {
            path: data_dir.to_owned(),
            source,
        }),
    }
}

fn named(identity: &Identity) -> String {
    format!(
        "{} of site {} (server id {})",
        identity.member, identity.site, identity.server_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Generation, Obeyed};

    #[test]
    fn anothers_directory_is_refused_and_both_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let [db1, db2] = ["db-1", "db-2"].map(MemberName::new);
        let who = |member, site| Who {
            site,
            member,
            server_id: 7,
        };
        assert_eq!(read(dir.path(), who(&db1, "a")).unwrap(), None);
        assert_eq!(read(&dir.path().join("x"), who(&db1, "a")).unwrap(), None);
        let mut identity = who(&db1, "a").identity();
        identity.obeyed = Some(Obeyed {
            primary: db2.clone(),
            generation: Generation(3),
        });
        write(dir.path(), &identity).unwrap();
        assert_eq!(read(dir.path(), who(&db1, "a")).unwrap(), Some(identity));
        for other in [who(&db2, "a"), who(&db1, "b")] {
            let error = read(dir.path(), other).unwrap_err().to_string();
            for part in [dir.path().to_str().unwrap(), "db-1 of site a", other.site] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn a_directory_of_somebody_elses_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let member = MemberName::new("db-1");
        let who = Who {
            site: "a",
            member: &member,
            server_id: 7,
        };
        std::fs::write(dir.path().join("ibdata1"), "x").unwrap();
        assert!(matches!(
            read(dir.path(), who),
            Err(IdentityError::Unmarked(_))
        ));
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert!(matches!(
            read(dir.path(), who),
            Err(IdentityError::Damaged(..))
        ));
    }
}
