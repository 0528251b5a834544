//! Listening sockets: bound by the parent, handed to a role as systemd does (`LISTEN_FDS`,
//! `LISTEN_FDNAMES`, descriptors from 3; sd_listen_fds(3)). A role that dies loses no connection: the
//! kernel queues them until its successor accepts.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections the kernel keeps for us before they are accepted (it caps this at
/// net.core.somaxconn, 4096 since Linux 5.4).
const BACKLOG: i32 = 4096;

/// Ends the name of a unix socket that is handed over: its receiver must know the kind before it takes it.
pub const UNIX: &str = ".unix";

/// A bound socket and the name it is handed over by.
#[derive(Debug)]
pub struct Named {
    pub name: String,
    pub fd: OwnedFd,
}

/// Why an address could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("address {address} is in use{}", holder(.by.as_ref()))]
    InUse {
        address: SocketAddr,
        by: Option<Holder>,
    },
    #[error("cannot listen on {address}: {source}")]
    Other {
        address: SocketAddr,
        source: io::Error,
    },
}

fn holder(by: Option<&Holder>) -> String {
    by.map_or_else(String::new, |holder| format!(" by {holder}"))
}

/// A process that holds an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: i32,
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.command)
    }
}

/// Listens on `address`; the error names the process that holds it.
pub fn listen(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    bound().map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse {
            address,
            by: holder_of(address),
        },
        _ => BindError::Other { address, source },
    })
}

/// Listens on a unix socket at `path`. A file that an earlier run left there is replaced; a socket that
/// somebody listens on is not. Who may connect is said by the directory's permissions and `mode`.
pub fn listen_unix(path: &Path, mode: u32) -> Result<UnixListener, UnixBindError> {
    let failed = |source| UnixBindError::Other {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).is_ok() {
        return Err(UnixBindError::InUse {
            path: path.to_owned(),
        });
    }
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(failed)?;
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Why a unix socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum UnixBindError {
    #[error("{} is in use", path.display())]
    InUse { path: PathBuf },
    #[error("cannot listen on {}: {source}", path.display())]
    Other { path: PathBuf, source: io::Error },
}

/// The process that listens on `address` (or on all addresses with that port), where /proc shows it.
pub fn holder_of(address: SocketAddr) -> Option<Holder> {
    let mut entries = procfs::net::tcp().unwrap_or_default();
    entries.extend(procfs::net::tcp6().unwrap_or_default());
    let inode = entries
        .into_iter()
        .filter(|entry| entry.state == procfs::net::TcpState::Listen)
        .find(|entry| {
            let local = entry.local_address;
            local.port() == address.port()
                && (local.ip() == address.ip() || local.ip().is_unspecified())
        })?
        .inode;
    procfs::process::all_processes()
        .ok()?
        .flatten()
        .find_map(|process| {
            let holds = process.fd().ok()?.flatten().any(
                |fd| matches!(fd.target, procfs::process::FDTarget::Socket(of) if of == inode),
            );
            holds.then(|| Holder {
                pid: process.pid(),
                command: process.stat().map(|stat| stat.comm).unwrap_or_default(),
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_names_its_holder() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen(first.local_addr().unwrap()).unwrap_err();
        let BindError::InUse {
            by: Some(holder), ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(holder.pid, std::process::id().cast_signed());
    }
}
