//! Who may log in, as the primary has it: read through the service account, kept for a while, read
//! again when somebody is not found. With it comes what a greeting needs: the servers' version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql::client::{Address, Connection, Rows};
use mysql::tls::Connector;
use telemetry::Secret;

use crate::account::Account;
use crate::limits::CONNECT;
use crate::snapshot::Snapshot;
use crate::tls::Tls;

/// What was read from a server.
#[derive(Debug)]
pub(crate) struct Users {
    accounts: HashMap<String, Vec<Account>>,
    /// As the server announces itself.
    pub(crate) version: String,
    /// The status word of a new connection.
    pub(crate) status: u16,
    read_at: Instant,
}

impl Users {
    pub(crate) fn accounts(&self, user: &str) -> &[Account] {
        self.accounts.get(user).map_or(&[], Vec::as_slice)
    }
}

/// The last reading, of all threads, and the way to another.
#[derive(Debug)]
pub(crate) struct Store {
    tls: Arc<Tls>,
    last: Mutex<Option<Arc<Users>>>,
    /// One reads, the others wait for it.
    reading: tokio::sync::Mutex<()>,
}

impl Store {
    pub(crate) fn new(tls: Arc<Tls>) -> Self {
        Self {
            tls,
            last: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// A reading not older than `age`, if a server can be asked; else the last one.
    pub(crate) async fn get(&self, snapshot: &Snapshot, age: Duration) -> Option<Arc<Users>> {
        if let Some(users) = self.fresh(age) {
            return Some(users);
        }
        let _one_at_a_time = self.reading.lock().await;
        if let Some(users) = self.fresh(age) {
            return Some(users);
        }
        match read(snapshot, &self.tls).await {
            Ok(users) => {
                let users = Arc::new(users);
                *self.last() = Some(Arc::clone(&users));
                Some(users)
            }
            Err(why) => {
                tracing::warn!("the accounts cannot be read: {why}");
                self.last().clone()
            }
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Arc<Users>>> {
        // A panic elsewhere leaves it whole: each change is one assignment.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self, age: Duration) -> Option<Arc<Users>> {
        self.last()
            .as_ref()
            .filter(|users| users.read_at.elapsed() < age)
            .cloned()
    }
}

/// From the primary, else from any member that answers: accounts are replicated.
async fn read(snapshot: &Snapshot, tls: &Tls) -> Result<Users, String> {
    let tls = tls.connector(snapshot)?;
    let file = &snapshot.service_password_file;
    let password = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let password = Secret::new(password.trim_end());
    let primary = snapshot.servers.primary.as_ref();
    let mut members: Vec<_> = snapshot.target.members.iter().collect();
    members.sort_by_key(|member| Some(&member.name) != primary);
    let mut problems = Vec::new();
    for member in members {
        let reading = read_from(
            member.address,
            &snapshot.service_user,
            &password,
            tls.as_ref(),
        );
        match tokio::time::timeout(CONNECT, reading).await {
            Ok(Ok(users)) => return Ok(users),
            Ok(Err(why)) => problems.push(format!("{}: {why}", member.name)),
            Err(_) => problems.push(format!("{}: no answer", member.name)),
        }
    }
    Err(problems.join("; "))
}

async fn read_from(
    address: std::net::SocketAddr,
    user: &str,
    password: &Secret,
    tls: Option<&Connector>,
) -> Result<Users, String> {
    let address = Address::Tcp(address);
    let mut connection = Connection::connect_by(&address, user, password, None, tls)
        .await
        .map_err(|e| e.to_string())?;
    let rows = connection
        .query("SELECT User, Host, Priv FROM mysql.global_priv")
        .await
        .map_err(|e| e.to_string())?;
    let users = Users {
        accounts: by_name(&rows),
        version: connection.server_version().to_owned(),
        status: connection.server_status(),
        read_at: Instant::now(),
    };
    connection.quit().await;
    Ok(users)
}

fn by_name(rows: &Rows) -> HashMap<String, Vec<Account>> {
    let mut accounts: HashMap<String, Vec<Account>> = HashMap::new();
    for row in 0..rows.rows.len() {
        let text = |column| rows.get(row, column).unwrap_or_default();
        if let Some(account) = Account::parse(text("User"), text("Host"), text("Priv")) {
            accounts
                .entry(account.user.clone())
                .or_default()
                .push(account);
        }
    }
    accounts
}
