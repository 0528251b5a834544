//! mariadbd: started, asked, made to follow.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::spawn::{Exit, Launch, Running, SpawnError, Spawner};
use site::target::MemberTarget;
use telemetry::Secret;

use super::accounts::{self, PasswordHash};
use super::admin::{Admin, AdminError, LOOK};
use super::create::{self, CreateError, New};
use super::identity::{self, IdentityError, Who};
use super::options::{self, Places, SettingError};
use super::programs::{Missing, Program, Programs};
use super::tool::{Cancel, LogMark};

/// From SIGTERM to SIGKILL: a clean stop of a busy server writes its dirty pages first.
pub const STOP_GRACE: Duration = Duration::from_secs(20);
/// Until a started server answers: crash recovery of a large redo log takes minutes. Debian's unit
/// gives it the same (mariadb.service, `TimeoutStartSec=900`).
const START_LIMIT: Duration = Duration::from_secs(900);
/// Between two looks whether it answers; it takes 70–210 ms (measured, 10.11).
const START_LOOK: Duration = Duration::from_millis(10);
/// Bytes of a unix socket's path, without its closing zero (unix(7)).
const SOCKET_LIMIT: usize = 107;

/// The server did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Missing(#[from] Missing),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error(
        "the socket path {0} is longer than {SOCKET_LIMIT} bytes; use a shorter state directory"
    )]
    SocketPath(PathBuf),
    #[error("cannot use {path}: {source}")]
    Runtime {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot listen on {address}: {source}")]
    Address {
        address: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("mariadbd {how} while starting: {why}")]
    Exited { how: String, why: String },
    #[error(
        "the server refuses our password of `{}`: the secret `{}` is not the one this data directory \
         was made with; put it back",
        accounts::ADMIN,
        accounts::ADMIN_SECRET
    )]
    Denied,
    #[error("mariadbd did not answer within {} s", START_LIMIT.as_secs())]
    Timeout,
    #[error("the keeper is stopping")]
    Cancelled,
}

impl StartError {
    /// Trying again will not help until somebody has done what the message says.
    pub fn needs_you(&self) -> bool {
        match self {
            Self::Spawn(_) | Self::Exited { .. } | Self::Timeout | Self::Cancelled => false,
            Self::Missing(_)
            | Self::Identity(_)
            | Self::Create(_)
            | Self::Setting(_)
            | Self::SocketPath(_)
            | Self::Runtime { .. }
            | Self::Address { .. }
            | Self::Denied => true,
        }
    }
}

/// What becomes of transactions that are in the binary log and were not committed when the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    Commit,
    /// They are rolled back and cut off the binary log (MariaDB ≥ 10.6). A server that cannot do this (a
    /// change of a table's form among them) does not start.
    Forget,
}

/// Everything a server is started with.
#[derive(Debug, Clone)]
pub struct Server {
    pub site: String,
    pub target: MemberTarget,
    pub data_dir: PathBuf,
    pub runtime_dir: PathBuf,
    pub log: PathBuf,
    pub programs: Programs,
    pub spawner: Spawner,
    pub admin: Secret,
}

impl Server {
    pub fn who(&self) -> Who<'_> {
        Who {
            site: &self.site,
            member: &self.target.name,
            server_id: self.target.server_id,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.in_runtime_dir("sock")
    }

    pub fn in_runtime_dir(&self, suffix: &str) -> PathBuf {
        self.runtime_dir
            .join(format!("{}.{suffix}", self.target.name))
    }

    /// Beside the data, so that a large sort does not fill a file system in memory.
    pub fn tmp_dir(&self) -> PathBuf {
        create::beside(&self.data_dir, ".tmp")
    }

    /// What the tools print; a file of its own, because mariadbd may be writing to `log`.
    pub fn tools_log(&self) -> PathBuf {
        self.log.with_extension("tools.log")
    }

    pub fn connection(&self) -> Admin {
        Admin::new(&self.socket(), &self.admin)
    }

    /// Makes the data directory if there is none, starts the server, waits until it answers.
    pub async fn start(
        &self,
        recovery: Recovery,
        cancel: &mut Cancel,
    ) -> Result<Running, StartError> {
        self.prepare(cancel).await?;
        free(self.target.listen)?;
        let role: &[&str] = match recovery {
            Recovery::Commit => &[],
            // Can be given on the command line only.
            Recovery::Forget => &["--init-rpl-role=SLAVE"],
        };
        self.launch(role, cancel).await
    }

    /// The same for a server that only tools on this machine reach, and that logs nothing it is told.
    pub async fn start_apart(&self, cancel: &mut Cancel) -> Result<Running, StartError> {
        self.start_unreachable(&["--skip-log-bin"], cancel).await
    }

    /// For tools on this machine only, with further options.
    pub async fn start_unreachable(
        &self,
        options: &[&str],
        cancel: &mut Cancel,
    ) -> Result<Running, StartError> {
        self.prepare(cancel).await?;
        let mut all = vec!["--skip-networking"];
        all.extend(options);
        self.launch(&all, cancel).await
    }

    /// Everything before the process: programs, directories, option file.
    async fn prepare(&self, cancel: &mut Cancel) -> Result<(), StartError> {
        self.programs.find(Program::Server)?;
        let socket = self.socket();
        if socket.as_os_str().len() > SOCKET_LIMIT {
            return Err(StartError::SocketPath(socket));
        }
        let runtime = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::Runtime { path, source }
        };
        std::fs::create_dir_all(&self.runtime_dir).map_err(runtime(&self.runtime_dir))?;
        // Before anything is made: a setting that cannot be is known without it.
        let places = Places {
            data_dir: self.data_dir.clone(),
            socket,
            pid_file: self.in_runtime_dir("pid"),
            tmp_dir: self.tmp_dir(),
            as_root: nix::unistd::geteuid().is_root(),
        };
        let text = options::render(&self.target, &places)?;
        let is_new = identity::read(&self.data_dir, self.who())?.is_none();
        create::make_empty(&self.tmp_dir())?;
        if is_new {
            let new = New {
                data_dir: &self.data_dir,
                tmp_dir: &self.tmp_dir(),
                identity: &self.who().identity(),
                admin: &PasswordHash::of(&self.admin),
                buffer_pool: self.target.buffer_pool,
                log: &self.tools_log(),
            };
            create::create(&new, &self.programs, &self.spawner, cancel).await?;
        }
        create::writable(&self.data_dir)?;
        let options = self.in_runtime_dir("cnf");
        create::write_private(&options, &text).map_err(runtime(&options))
    }

    /// Starts the prepared server with `extra` arguments and waits for its socket.
    async fn launch(&self, extra: &[&str], cancel: &mut Cancel) -> Result<Running, StartError> {
        let program = self.programs.find(Program::Server)?;
        let mut args: Vec<OsString> = vec![create::joined(
            "--defaults-file=",
            &self.in_runtime_dir("cnf"),
        )];
        args.extend(extra.iter().map(OsString::from));
        let mark = LogMark::at_end(&self.log);
        let mut running = self
            .spawner
            .spawn(Launch {
                program: program.into(),
                args,
                env: Vec::new(),
                ours: false,
                dir: None,
                sockets: Vec::new(),
                log: self.log.clone(),
            })
            .await?;
        let outcome = tokio::select! {
            answered = self.answers() => answered,
            exit = running.exited() => return Err(exited(exit, &mark).await),
            () = cancel.told() => Err(StartError::Cancelled),
        };
        match outcome {
            Ok(()) => Ok(running),
            Err(e) => {
                running.stop(STOP_GRACE).await;
                Err(e)
            }
        }
    }

    async fn answers(&self) -> Result<(), StartError> {
        let mut admin = self.connection();
        let asking = async {
            loop {
                match admin.query("SELECT 1", LOOK).await {
                    Ok(_) => return Ok(()),
                    Err(e) if e.denied() => return Err(StartError::Denied),
                    Err(e) => tracing::trace!("{}: {e}", self.target.name),
                }
                tokio::time::sleep(START_LOOK).await;
            }
        };
        tokio::time::timeout(START_LIMIT, asking)
            .await
            .unwrap_or(Err(StartError::Timeout))
    }
}

/// mariadbd says it too, but a second later and among fifty lines.
fn free(address: std::net::SocketAddr) -> Result<(), StartError> {
    TcpListener::bind(address)
        .map(drop)
        .map_err(|source| StartError::Address { address, source })
}

async fn exited(exit: Option<Exit>, mark: &LogMark) -> StartError {
    StartError::Exited {
        how: exit.map_or_else(|| "ended".to_owned(), |exit| exit.to_string()),
        why: mark.why().await,
    }
}

/// A source to follow.
#[derive(Debug, Clone)]
pub struct Source {
    pub address: std::net::SocketAddr,
    pub user: String,
    pub password: Secret,
    /// Set by a rebuild: where the copied data stands.
    pub start_from: Option<String>,
    /// Replication goes on where its own binary log ends.
    pub was_primary: bool,
}

/// Points replication at `source`, without starting it.
pub async fn point_at(admin: &mut Admin, source: &Source) -> Result<(), AdminError> {
    let mut statements = vec!["STOP SLAVE".to_owned()];
    if let Some(position) = &source.start_from {
        statements.push(format!(
            "SET GLOBAL gtid_slave_pos = {}",
            accounts::text(position)
        ));
    } else if source.was_primary {
        statements.push("SET GLOBAL gtid_slave_pos = @@global.gtid_binlog_pos".to_owned());
    }
    statements.push(format!(
        "CHANGE MASTER TO MASTER_HOST = {host}, MASTER_PORT = {port}, MASTER_USER = {user}, \
         MASTER_PASSWORD = {password}, MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1, \
         MASTER_HEARTBEAT_PERIOD = 1",
        host = accounts::text(&source.address.ip().to_string()),
        port = source.address.port(),
        user = accounts::text(&source.user),
        password = accounts::text(source.password.expose()),
    ));
    admin.all(&statements).await
}
