//! Every listening socket of the site, bound before anything is started: what is taken is said at once,
//! with its holder, and nothing is half up.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use process::sockets::{self, BindError, Named, UNIX, UnixBindError};
use site::name::ServerName;
use site::target::Target;
use site::target::balancer::{BalancerTarget, Bind};

/// Others may use what a balancer or SQL router offers on a unix socket, as on any other.
const MODE: u32 = 0o666;

/// The sockets of one server. They stay open here as long as the site runs, so that a role that dies
/// loses no connection: its successor gets the same.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) server: ServerName,
    pub(crate) balancer: Vec<Door>,
    pub(crate) web: Option<TcpListener>,
    pub(crate) sql: Option<TcpListener>,
    pub(crate) sql_socket: Option<UnixListener>,
    pub(crate) admin: TcpListener,
}

/// One socket of a balancer.
#[derive(Debug)]
pub(crate) struct Door {
    /// As it is handed over.
    pub(crate) name: String,
    pub(crate) bind: Bind,
    pub(crate) socket: OwnedFd,
}

/// Why a socket is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error(transparent)]
    Tcp(#[from] BindError),
    #[error(transparent)]
    Unix(#[from] UnixBindError),
}

/// Binds everything in `target`, whose ports 0 become the ports that were free.
pub(crate) fn bind(target: &mut Target) -> Result<Vec<Listeners>, ListenError> {
    let mut all = Vec::new();
    for (server, wanted) in &mut target.servers {
        let mut listeners = Listeners {
            server: server.clone(),
            balancer: Vec::new(),
            web: None,
            sql: None,
            sql_socket: None,
            admin: take(&mut wanted.admin)?,
        };
        if let Some(balancer) = &mut wanted.balancer {
            listeners.balancer = doors(balancer, &[])?;
        }
        if let Some(web) = &mut wanted.web {
            listeners.web = Some(take(&mut web.listen)?);
        }
        if let Some(router) = &mut wanted.sql_router {
            listeners.sql = Some(take(&mut router.listen)?);
            if let Some(path) = &router.socket {
                listeners.sql_socket = Some(sockets::listen_unix(path, MODE)?);
            }
        }
        all.push(listeners);
    }
    Ok(all)
}

/// Takes the file of a socket away that nobody listens on any more.
pub(crate) fn leave(bind: &Bind) {
    if let Bind::Unix(path) = bind
        && let Err(e) = std::fs::remove_file(path)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{}: {e}", path.display());
    }
}

/// The sockets of a balancer; those of `known` are taken over.
pub(crate) fn doors(
    balancer: &mut BalancerTarget,
    known: &[Door],
) -> Result<Vec<Door>, ListenError> {
    let mut doors = Vec::new();
    for listener in &mut balancer.listeners {
        let kept = known.iter().find(|door| door.bind == listener.bind);
        let (suffix, socket) = match (&mut listener.bind, kept) {
            (Bind::Tcp(_), Some(kept)) => ("", copy(&kept.socket)?),
            (Bind::Unix(_), Some(kept)) => (UNIX, copy(&kept.socket)?),
            (Bind::Tcp(address), None) => ("", OwnedFd::from(take(address)?)),
            (Bind::Unix(path), None) => (UNIX, sockets::listen_unix(path, MODE)?.into()),
        };
        doors.push(Door {
            name: format!("{}{suffix}", listener.name),
            bind: listener.bind.clone(),
            socket,
        });
    }
    Ok(doors)
}

fn copy(socket: &OwnedFd) -> Result<OwnedFd, ListenError> {
    socket.try_clone().map_err(|source| {
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        BindError::Other { address, source }.into()
    })
}

fn take(address: &mut SocketAddr) -> Result<TcpListener, BindError> {
    let listener = sockets::listen(*address)?;
    *address = listener.local_addr().map_err(|source| BindError::Other {
        address: *address,
        source,
    })?;
    Ok(listener)
}

/// A copy of the socket to hand over.
pub(crate) fn named(name: &str, socket: &OwnedFd) -> std::io::Result<Named> {
    Ok(Named {
        name: name.to_owned(),
        fd: socket.try_clone()?,
    })
}
