//! The keeper's connection to its own server, over the unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mysql::client::{Address, ConnectError, Connection, QueryError, Rows};
use telemetry::Secret;

use super::accounts::ADMIN;

/// A statement that only looks: a healthy server answers in milliseconds.
pub const LOOK: Duration = Duration::from_secs(2);
/// A statement that changes something: it may have to wait for running transactions or for a
/// replication thread to end.
pub const CHANGE: Duration = Duration::from_secs(30);

/// Error 1045.
const ACCESS_DENIED: u16 = 1045;

/// The server gave no good answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl AdminError {
    /// The password is not the server's.
    pub fn denied(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::Denied {
                code: ACCESS_DENIED,
                ..
            })
        )
    }

    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Query(error) => error.code(),
            Self::Connect(_) | Self::Timeout(_) => None,
        }
    }
}

/// Connects when it is needed and again after anything went wrong.
#[derive(Debug)]
pub struct Admin {
    socket: PathBuf,
    password: Secret,
    connection: Option<Connection>,
}

impl Admin {
    pub fn new(socket: &Path, password: &Secret) -> Self {
        Self {
            socket: socket.to_owned(),
            password: password.clone(),
            connection: None,
        }
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs one statement within `limit`, the connecting included.
    pub async fn query(&mut self, sql: &str, limit: Duration) -> Result<Rows, AdminError> {
        // Taken out: after a timeout or a lost link it must not be used again.
        let connection = self.connection.take();
        let work = async {
            let mut connection = match connection {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match connection.query(sql).await {
                Ok(rows) => Ok::<_, AdminError>((connection, rows)),
                Err(error @ QueryError::Server { .. }) => {
                    // The server said no; the connection is as good as before.
                    self.connection = Some(connection);
                    Err(error.into())
                }
                Err(error) => Err(error.into()),
            }
        };
        let (connection, rows) = match tokio::time::timeout(limit, work).await {
            Ok(done) => done?,
            Err(_) => return Err(AdminError::Timeout(limit)),
        };
        self.connection = Some(connection);
        Ok(rows)
    }

    /// Closes the connection, with what was set on it.
    pub fn forget(&mut self) {
        self.connection = None;
    }

    /// Several statements, the first error ends them.
    pub async fn all<S: AsRef<str>>(&mut self, statements: &[S]) -> Result<(), AdminError> {
        for sql in statements {
            self.query(sql.as_ref(), CHANGE).await?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, AdminError> {
        let address = Address::Unix(self.socket.clone());
        Ok(Connection::connect(&address, ADMIN, &self.password, None).await?)
    }
}
