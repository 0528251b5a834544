//! Every listening socket of the site, bound before anything is started: what is taken is said at once,
//! with its holder, and nothing is half up.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use process::sockets::{self, BindError, Named};
use site::name::ServerName;
use site::target::Target;

/// The sockets of one server. They stay open here as long as the site runs, so that a role that dies
/// loses no connection: its successor gets the same.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) server: ServerName,
    pub(crate) http: Option<TcpListener>,
    pub(crate) https: Option<TcpListener>,
    pub(crate) web: Option<TcpListener>,
    pub(crate) sql: Option<TcpListener>,
    pub(crate) admin: TcpListener,
}

/// Binds everything in `target`, whose ports 0 become the ports that were free.
pub(crate) fn bind(target: &mut Target) -> Result<Vec<Listeners>, BindError> {
    let mut all = Vec::new();
    for (server, wanted) in &mut target.servers {
        let mut listeners = Listeners {
            server: server.clone(),
            http: None,
            https: None,
            web: None,
            sql: None,
            admin: take(&mut wanted.admin)?,
        };
        if let Some(balancer) = &mut wanted.balancer {
            listeners.http = Some(take(&mut balancer.http)?);
            listeners.https = balancer.https.as_mut().map(take).transpose()?;
        }
        if let Some(web) = &mut wanted.web {
            listeners.web = Some(take(&mut web.listen)?);
        }
        if let Some(router) = &mut wanted.sql_router {
            listeners.sql = Some(take(&mut router.listen)?);
        }
        all.push(listeners);
    }
    Ok(all)
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
pub(crate) fn named(name: &str, listener: Option<&TcpListener>) -> std::io::Result<Option<Named>> {
    let Some(listener) = listener else {
        return Ok(None);
    };
    let fd = OwnedFd::from(listener.try_clone()?);
    Ok(Some(Named {
        name: name.to_owned(),
        fd,
    }))
}
