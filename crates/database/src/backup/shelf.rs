//! The records at a destination: read into a catalog, written, removed.
//!
//! Records do not change once they are written (a verification is replaced only by us), so each is read
//! once.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::catalog::{Backup, Catalog};
use super::destination::{Destination, PlaceError};
use super::key::Key;
use super::record::{FORMAT, LogRecord, Manifest, Stored, Summed, Verification};
use super::seal::{self, UnsealError};

const BACKUPS: &str = "backups/";
const LOGS: &str = "logs/";
const MANIFEST: &str = "/manifest.json";
const VERIFIED: &str = "/verified.json";

/// A record or an object cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(
        "the backups in {place} are of the site `{theirs}`, not of `{ours}`: give each site a place \
             of its own"
    )]
    Foreign {
        place: String,
        theirs: String,
        ours: String,
    },
    #[error("{what}: {why}")]
    Object { what: String, why: UnsealError },
}

/// What is at a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    pub catalog: Catalog,
    /// Records that cannot be read, each with its reason: their backups do not count.
    pub unreadable: Vec<String>,
}

#[derive(Debug)]
pub struct Shelf {
    pub destination: Destination,
    site: String,
    manifests: BTreeMap<String, Manifest>,
    verifications: BTreeMap<String, Verification>,
    logs: BTreeMap<String, LogRecord>,
}

impl Shelf {
    pub fn new(destination: Destination, site: String) -> Self {
        Self {
            destination,
            site,
            manifests: BTreeMap::new(),
            verifications: BTreeMap::new(),
            logs: BTreeMap::new(),
        }
    }

    pub fn site(&self) -> &str {
        &self.site
    }

    /// All there is. Blocks.
    pub fn load(&mut self) -> Result<Inventory, ShelfError> {
        let mut unreadable = Vec::new();
        let of = |names: &[String], end: &str| -> Vec<String> {
            let ends = names.iter().filter(|name| name.ends_with(end));
            ends.cloned().collect()
        };
        let names = self.destination.list(BACKUPS)?;
        let place = &self.destination;
        read_all(
            place,
            &of(&names, MANIFEST),
            &mut self.manifests,
            &mut unreadable,
        );
        read_all(
            place,
            &of(&names, VERIFIED),
            &mut self.verifications,
            &mut unreadable,
        );
        let names = self.destination.list(LOGS)?;
        read_all(place, &of(&names, ".json"), &mut self.logs, &mut unreadable);
        self.ours()?;
        let backups = self.manifests.iter().map(|(name, manifest)| Backup {
            manifest: manifest.clone(),
            verification: self
                .verifications
                .get(&name.replace(MANIFEST, VERIFIED))
                .cloned(),
        });
        let catalog = Catalog::new(backups.collect(), self.logs.values().cloned().collect());
        Ok(Inventory {
            catalog,
            unreadable,
        })
    }

    fn ours(&self) -> Result<(), ShelfError> {
        let sites = self.manifests.values().map(|manifest| &manifest.site);
        let sites = sites.chain(self.logs.values().map(|log| &log.site));
        match sites.into_iter().find(|site| **site != self.site) {
            None => Ok(()),
            Some(theirs) => Err(ShelfError::Foreign {
                place: self.destination.describe(""),
                theirs: theirs.clone(),
                ours: self.site.clone(),
            }),
        }
    }

    /// From now on the backup exists.
    pub fn add_backup(&mut self, manifest: &Manifest) -> Result<(), ShelfError> {
        let name = format!("{BACKUPS}{}{MANIFEST}", manifest.id);
        self.write(&name, manifest)?;
        self.manifests.insert(name, manifest.clone());
        Ok(())
    }

    pub fn add_verification(&mut self, verification: &Verification) -> Result<(), ShelfError> {
        let name = format!("{BACKUPS}{}{VERIFIED}", verification.id);
        self.write(&name, verification)?;
        self.verifications.insert(name, verification.clone());
        Ok(())
    }

    pub fn add_log(&mut self, log: &LogRecord) -> Result<(), ShelfError> {
        let name = format!("{LOGS}{}.json", log.id);
        self.write(&name, log)?;
        self.logs.insert(name, log.clone());
        Ok(())
    }

    /// The record first: what has no record does not count.
    pub fn remove_backup(&mut self, id: &str) -> Result<(), ShelfError> {
        let manifest = format!("{BACKUPS}{id}{MANIFEST}");
        self.destination.remove(&manifest)?;
        self.manifests.remove(&manifest);
        for name in self.destination.list(&format!("{BACKUPS}{id}/"))? {
            self.destination.remove(&name)?;
        }
        self.verifications
            .remove(&format!("{BACKUPS}{id}{VERIFIED}"));
        Ok(())
    }

    pub fn remove_log(&mut self, id: &str) -> Result<(), ShelfError> {
        let name = format!("{LOGS}{id}.json");
        self.destination.remove(&name)?;
        if let Some(log) = self.logs.remove(&name) {
            self.destination.remove(&log.data.name)?;
        }
        Ok(())
    }

    /// Removes what was begun and never finished: nothing else writes here.
    pub fn sweep(&mut self) -> Result<(), ShelfError> {
        self.destination.sweep()?;
        let names = self.destination.list(BACKUPS)?;
        let whole = |name: &String| {
            let id = name.split('/').nth(1).unwrap_or_default();
            names
                .binary_search(&format!("{BACKUPS}{id}{MANIFEST}"))
                .is_ok()
        };
        for name in names.iter().filter(|name| !whole(name)) {
            tracing::info!("removing {name}, which belongs to no backup");
            self.destination.remove(name)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, record: &impl Serialize) -> Result<(), ShelfError> {
        let failed = |e: serde_json::Error| self.destination.io("cannot write", name, e.into());
        let sha256 = sum(record).map_err(failed)?;
        let bytes = serde_json::to_vec_pretty(&Summed { record, sha256 }).map_err(failed)?;
        Ok(self.destination.put(name, &bytes)?)
    }
}

/// Copies a stored object, as it was before, to `to`.
pub fn fetch(
    destination: &Destination,
    stored: &Stored,
    key: Option<&Key>,
    to: &mut impl io::Write,
) -> Result<(), ShelfError> {
    let open = || destination.open(&stored.name).map_err(io::Error::other);
    seal::unseal(stored, key, open, to).map_err(|why| ShelfError::Object {
        what: destination.describe(&stored.name),
        why,
    })
}

/// Keeps those of `known` that are still there, reads the others.
fn read_all<T: Serialize + DeserializeOwned + Formatted>(
    place: &Destination,
    names: &[String],
    known: &mut BTreeMap<String, T>,
    unreadable: &mut Vec<String>,
) {
    known.retain(|name, _| names.binary_search(name).is_ok());
    for name in names {
        if known.contains_key(name) {
            continue;
        }
        let read = place.get(name).map_err(|e| e.to_string());
        let parsed = read.and_then(|bytes| {
            parse::<T>(&bytes).map_err(|why| format!("{}: {why}", place.describe(name)))
        });
        match parsed {
            Ok(record) if record.format() == FORMAT => {
                known.insert(name.clone(), record);
            }
            Ok(record) => unreadable.push(format!(
                "{} has format {}, this version knows {FORMAT}",
                place.describe(name),
                record.format()
            )),
            Err(why) => unreadable.push(why),
        }
    }
}

fn sum(record: &impl Serialize) -> serde_json::Result<String> {
    let digest = Sha256::digest(serde_json::to_vec(record)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn parse<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let read: Summed<T> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    match sum(&read.record) {
        Ok(sha256) if sha256 == read.sha256 => Ok(read.record),
        _ => Err("its bytes have changed since it was written".to_owned()),
    }
}

trait Formatted {
    fn format(&self) -> u32;
}

impl Formatted for Manifest {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Formatted for Verification {
    fn format(&self) -> u32 {
        self.format
    }
}

impl Formatted for LogRecord {
    fn format(&self) -> u32 {
        self.format
    }
}
