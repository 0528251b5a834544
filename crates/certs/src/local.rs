//! A local authority and a certificate of it, in files.
//!
//! The authority's name limits it: a browser that trusts it trusts it for what its key signs, so the key
//! never leaves its file (mode 0600) and each state directory has an authority of its own.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Trusting it again is work for a person.
const AUTHORITY_DAYS: u32 = 3650;
/// The longest that Apple's platforms accept of any certificate (HT211025: 825 days for private
/// authorities); renewed long before.
const SITE_DAYS: u32 = 397;
const RENEW_DAYS: u32 = 60;

/// The files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// What browsers are to trust.
    pub authority: PathBuf,
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// What a certificate is for: also the name of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Site,
    /// Shown by the SQL routers.
    Sql,
}

impl Purpose {
    fn stem(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Sql => "sql",
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("{path}: {source}; remove the directory to have a new authority made")]
    Read { path: PathBuf, source: rcgen::Error },
}

/// The files' places under `dir`, whether they exist or not.
pub fn files(dir: &Path) -> Local {
    files_for(dir, Purpose::Site)
}

fn files_for(dir: &Path, purpose: Purpose) -> Local {
    let stem = purpose.stem();
    Local {
        authority: dir.join("authority.pem"),
        chain: dir.join(format!("{stem}.pem")),
        key: dir.join(format!("{stem}-key.pem")),
    }
}

/// Makes what is missing: the authority once, the site's certificate when its names have changed or it
/// grows old. Names are DNS names or addresses.
pub fn ensure(
    dir: &Path,
    site: &str,
    names: &[String],
    now: SystemTime,
) -> Result<Local, LocalError> {
    ensure_for(dir, site, Purpose::Site, names, now)
}

/// The same for a certificate of its own, of the same authority.
pub fn ensure_for(
    dir: &Path,
    site: &str,
    purpose: Purpose,
    names: &[String],
    now: SystemTime,
) -> Result<Local, LocalError> {
    fs::create_dir_all(dir).map_err(|source| LocalError::Io {
        path: dir.to_owned(),
        source,
    })?;
    let local = files_for(dir, purpose);
    let authority_key = dir.join("authority-key.pem");
    if !local.authority.exists() || !authority_key.exists() {
        let (certificate, key) = make_authority(site, now)?;
        write(&authority_key, &key, 0o600)?;
        write(&local.authority, &certificate, 0o644)?;
    }
    // Beside the certificate stands what it was made for, so that nothing has to be parsed to know.
    let made_for = dir.join(format!("{}.made-for", purpose.stem()));
    let wanted = names.join("\n");
    if !is_current(&made_for, &wanted, now) || !local.chain.exists() || !local.key.exists() {
        let (chain, key) = make_site(&local.authority, &authority_key, names, now)?;
        write(&local.key, &key, 0o600)?;
        write(&local.chain, &chain, 0o644)?;
        write(&made_for, &wanted, 0o644)?;
    }
    Ok(local)
}

fn is_current(made_for: &Path, wanted: &str, now: SystemTime) -> bool {
    let same = fs::read_to_string(made_for).is_ok_and(|made| made == wanted);
    let age = fs::metadata(made_for)
        .and_then(|metadata| metadata.modified())
        .ok()
        // Made in the future: the clock went back; it is young all the same.
        .map(|made| now.duration_since(made).unwrap_or_default());
    same && age.is_some_and(|age| age < DAY * (SITE_DAYS - RENEW_DAYS))
}

fn make_authority(site: &str, now: SystemTime) -> Result<(String, String), LocalError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    let name = format!("Mainstay local authority of {site}");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(now, AUTHORITY_DAYS);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn make_site(
    authority: &Path,
    authority_key: &Path,
    names: &[String],
    now: SystemTime,
) -> Result<(String, String), LocalError> {
    let authority_pem = read(authority)?;
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| LocalError::Read { path, source }
    };
    let signing = KeyPair::from_pem(&read(authority_key)?).map_err(unreadable(authority_key))?;
    let issuer =
        Issuer::from_ca_cert_pem(&authority_pem, signing).map_err(unreadable(authority))?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    if let Some(first) = names.first() {
        params.distinguished_name.push(DnType::CommonName, first);
    }
    for name in names {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        params.subject_alt_names.push(match bare.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(now, SITE_DAYS);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok((certificate.pem() + &authority_pem, key.serialize_pem()))
}

/// From yesterday, for clocks that are behind.
fn validity(now: SystemTime, days: u32) -> (time::OffsetDateTime, time::OffsetDateTime) {
    ((now - DAY).into(), (now + DAY * days).into())
}

fn read(path: &Path) -> Result<String, LocalError> {
    fs::read_to_string(path).map_err(|source| LocalError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Whole or not at all: written beside and renamed. The mode is set before the content is there.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), LocalError> {
    let io = |source| LocalError::Io {
        path: path.to_owned(),
        source,
    };
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&part)
        .map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&part, path).map_err(io)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_authority_is_made_once_and_the_certificate_when_names_change() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["www.foobar.com".to_owned(), "127.0.0.1".to_owned()];
        let now = SystemTime::now();
        let local = ensure(dir.path(), "foobar", &names, now).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let (authority, chain) = (read(&local.authority), read(&local.chain));
        assert!(chain.ends_with(&authority));

        ensure(dir.path(), "foobar", &names, now).unwrap();
        assert_eq!(read(&local.chain), chain);

        ensure(dir.path(), "foobar", &names[..1], now).unwrap();
        assert_ne!(read(&local.chain), chain);
        assert_eq!(read(&local.authority), authority);

        let renewed = read(&local.chain);
        ensure(dir.path(), "foobar", &names[..1], now + DAY * 350).unwrap();
        assert_ne!(read(&local.chain), renewed);
    }

    #[test]
    fn the_sql_routers_have_one_of_the_same_authority() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let site = ensure(dir.path(), "foobar", &["www.foobar.com".to_owned()], now).unwrap();
        let names = ["127.0.0.1".to_owned()];
        let sql = ensure_for(dir.path(), "foobar", Purpose::Sql, &names, now).unwrap();
        assert_eq!(sql.authority, site.authority);
        assert_ne!((&sql.chain, &sql.key), (&site.chain, &site.key));
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert!(read(&sql.chain).ends_with(&read(&site.authority)));
        assert!(read(&site.chain) != read(&sql.chain));
    }

    #[test]
    fn keys_are_for_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["www.foobar.com".to_owned()];
        let local = ensure(dir.path(), "foobar", &names, SystemTime::now()).unwrap();
        for key in [&local.key, &dir.path().join("authority-key.pem")] {
            assert_eq!(
                fs::metadata(key).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
    }
}
