//! How a tool logs in as the keeper: an option file of mode 0600, because arguments can be read by
//! everybody.

use std::io;
use std::path::{Path, PathBuf};

use telemetry::Secret;

use super::accounts::ADMIN;
use super::create;

/// The file, for as long as the tool needs it.
#[derive(Debug)]
pub struct Login(PathBuf);

impl Login {
    pub fn write(path: PathBuf, socket: &Path, password: &Secret) -> io::Result<Self> {
        create::write_private(&path, &options(socket, password))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.0) {
            tracing::warn!("{}: {e}", self.0.display());
        }
    }
}

/// The text of it.
pub fn options(socket: &Path, password: &Secret) -> String {
    let password = password.expose();
    format!(
        "[client]\nuser = {ADMIN}\npassword = \"{}\"\nsocket = {}\n",
        password.replace('\\', "\\\\").replace('"', "\\\""),
        socket.display()
    )
}
