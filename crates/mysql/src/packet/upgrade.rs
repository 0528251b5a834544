//! How a connection goes on over TLS.

use std::io;
use std::sync::Arc;

use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Channel, Transport};
use crate::tls::carrier::{Carrier, Plain};
use crate::tls::{Acceptor, Connector};

impl Channel {
    /// Goes on over TLS, as the server. What was read already is the beginning of it. Limits of time are
    /// the caller's.
    pub async fn accept_tls(&mut self, acceptor: &Acceptor) -> io::Result<()> {
        let carrier = self.carrier()?;
        let accepting = TlsAcceptor::from(Arc::clone(&acceptor.config));
        // On the heap: a task must not be as large as its handshake for ever.
        let stream = Box::pin(accepting.accept(carrier)).await?;
        self.transport = Transport::Tls(Box::new(stream.into()));
        Ok(())
    }

    /// The same as the client.
    pub async fn connect_tls(&mut self, connector: &Connector) -> io::Result<()> {
        let address = match &self.transport {
            Transport::Tcp(stream) => Some(stream.peer_addr()?.ip()),
            _ => None,
        };
        let carrier = self.carrier()?;
        let connecting = TlsConnector::from(Arc::clone(&connector.config));
        let stream = Box::pin(connecting.connect(Connector::name(address), carrier)).await?;
        self.transport = Transport::Tls(Box::new(stream.into()));
        Ok(())
    }

    fn carrier(&mut self) -> io::Result<Carrier> {
        let plain = match std::mem::replace(&mut self.transport, Transport::Gone) {
            Transport::Tcp(stream) => Plain::Tcp(stream),
            Transport::Unix(stream) => Plain::Unix(stream),
            Transport::Tls(_) | Transport::Gone => {
                return Err(io::ErrorKind::NotConnected.into());
            }
        };
        let before = std::mem::take(&mut self.input);
        Ok(Carrier { plain, before })
    }
}
