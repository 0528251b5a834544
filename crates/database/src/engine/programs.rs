//! Where the programs of the database are, and which package brings one that is missing.

use std::ffi::OsString;
use std::path::PathBuf;

/// Searched after `PATH`: Debian leaves `/usr/sbin`, where mariadbd is, out of a user's.
const ALSO: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// A program of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Server,
    Install,
    Backup,
    /// Unpacks what `Backup` streams.
    Unpack,
    Dump,
    Client,
    /// Reads binary logs.
    Binlog,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "mariadbd",
            Self::Install => "mariadb-install-db",
            Self::Backup => "mariadb-backup",
            Self::Unpack => "mbstream",
            Self::Dump => "mariadb-dump",
            Self::Client => "mariadb",
            Self::Binlog => "mariadb-binlog",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Server | Self::Install => "mariadb-server",
            Self::Backup | Self::Unpack => "mariadb-backup",
            Self::Dump | Self::Client | Self::Binlog => "mariadb-client",
        }
    }
}

/// The program is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{program} was not found; install it with `apt-get install {package}`")]
pub struct Missing {
    program: &'static str,
    package: &'static str,
}

/// The directories where programs are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs(Vec<PathBuf>);

impl Programs {
    /// `path`: the value of `PATH`.
    pub fn from_path(path: Option<OsString>) -> Self {
        let mut dirs: Vec<PathBuf> = path
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default();
        dirs.extend(ALSO.map(PathBuf::from));
        Self(dirs)
    }

    /// Only in these.
    pub fn in_dirs(dirs: Vec<PathBuf>) -> Self {
        Self(dirs)
    }

    /// Asked anew each time: a package may be installed while we wait.
    pub fn find(&self, program: Program) -> Result<PathBuf, Missing> {
        self.0
            .iter()
            .map(|dir| dir.join(program.name()))
            .find(|path| path.is_file())
            .ok_or(Missing {
                program: program.name(),
                package: program.package(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let programs = Programs::in_dirs(Vec::new());
        let error = programs.find(Program::Server).unwrap_err().to_string();
        assert!(error.contains("mariadbd"), "{error}");
        assert!(error.contains("apt-get install mariadb-server"), "{error}");
        let error = programs.find(Program::Backup).unwrap_err().to_string();
        assert!(error.contains("apt-get install mariadb-backup"), "{error}");
    }
}
