//! Pure: the environment of an instance: the site file's, then ours, which wins.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::instance::Listen;

/// What an instance is told about itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub site: &'a str,
    pub server: &'a str,
    /// Its name; empty for a migration.
    pub instance: &'a str,
    pub release: &'a str,
    pub listen: Option<&'a Listen>,
    /// `mysql://user:password@host:port/schema`; `None` without a database.
    pub database_url: Option<&'a str>,
}

/// Names and values.
pub fn environment(
    written: &BTreeMap<String, String>,
    facts: &Facts<'_>,
) -> Vec<(String, OsString)> {
    let mut env: BTreeMap<String, OsString> = written
        .iter()
        .map(|(name, value)| (name.clone(), value.into()))
        .collect();
    let mut set = |name: &str, value: OsString| {
        env.insert(name.to_owned(), value);
    };
    set("MAINSTAY_SITE", facts.site.into());
    set("MAINSTAY_SERVER", facts.server.into());
    set("MAINSTAY_RELEASE", facts.release.into());
    if !facts.instance.is_empty() {
        set("MAINSTAY_INSTANCE", facts.instance.into());
    }
    match facts.listen {
        Some(Listen::Socket(path)) => set("SOCKET", path.into()),
        Some(Listen::Port(address)) => {
            set("HOST", address.ip().to_string().into());
            set("PORT", address.port().to_string().into());
        }
        None => {}
    }
    if let Some(url) = facts.database_url {
        set("DATABASE_URL", url.into());
    }
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_wins_over_the_site_files() {
        let written = [("PORT", "1"), ("MODE", "x")];
        let written = written
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let listen = Listen::Port("127.0.0.1:9000".parse().unwrap());
        let facts = Facts {
            site: "foobar",
            server: "app-1",
            instance: "app-1/1",
            release: "abc",
            listen: Some(&listen),
            database_url: None,
        };
        let env: BTreeMap<_, _> = environment(&written, &facts).into_iter().collect();
        assert_eq!(env["PORT"], "9000");
        assert_eq!(env["HOST"], "127.0.0.1");
        assert_eq!(env["MODE"], "x");
        assert!(!env.contains_key("SOCKET") && !env.contains_key("DATABASE_URL"));
    }
}
