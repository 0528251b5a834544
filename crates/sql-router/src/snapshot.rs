//! Pure: what the router knows of the site, one value that is swapped whole; and what it answers
//! when asked for its status. The only serialized types of this crate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use site::name::MemberName;
use site::target::SqlRouterTarget;
use site::target::balancer::CertificateFiles;

/// Everything a router needs to know, made by its agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub target: SqlRouterTarget,
    pub servers: Servers,
    /// Socket at which web servers are answered; none when nobody reads for visitors.
    pub visitors: Option<PathBuf>,
    /// Logs in to the members to read the users; may do nothing else.
    pub service_user: String,
    /// File (mode 0600) with the service user's password.
    pub service_password_file: PathBuf,
    /// Where slow statements are written down, if they are.
    pub slow_log: PathBuf,
    /// The site's own certificate for clients; one in the target comes before it. None and none there: TLS
    /// is not offered.
    #[serde(default)]
    pub certificate: Option<CertificateFiles>,
    #[serde(default)]
    pub servers_tls: ServersTls,
}

impl Snapshot {
    /// What clients are shown.
    pub fn certificate_files(&self) -> Option<&CertificateFiles> {
        self.target
            .certificate
            .as_ref()
            .or(self.certificate.as_ref())
    }
}

/// Whether connections to the members go over TLS, and whom they trust. The file has the authorities in PEM.
/// It counts for connections that are made from now on; a new generation leaves none of the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServersTls {
    #[default]
    Off,
    /// The certificate is of this authority, for whatever name.
    Authority { authority: PathBuf },
    /// And for the member's address.
    Verify { authority: PathBuf },
}

/// Who is primary, and how the replicas are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Servers {
    /// Grows by one at every change of primary; a lower one is never obeyed.
    pub generation: u64,
    /// None while there is no primary: statements wait up to `target.hold`.
    pub primary: Option<MemberName>,
    /// The primary is about to hand over: what is begun on it may end, nothing new is sent to it.
    #[serde(default)]
    pub draining: bool,
    pub replicas: Vec<Replica>,
}

/// A replica as its keeper saw it last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replica {
    pub member: MemberName,
    /// Both threads run and it follows this generation's primary.
    pub replicating: bool,
    /// `None`: not known, so it gets no reads.
    pub lag_ms: Option<u64>,
}

/// The router's answer to `About::Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub sessions: u64,
    /// Statements so far, by where they went.
    pub to_primary: u64,
    pub to_replica: u64,
    /// Reads that went to the primary because no replica had what the session had seen in time.
    pub causal_fallback: u64,
    pub errors: u64,
}

/// What a router can be asked besides its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// Answered by `Statistics`.
    Statistics {
        /// Count from now on anew.
        reset: bool,
    },
    /// Answered by `RouteAnswer`.
    Route(RouteQuestion),
}

/// Which statements were run, and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// In no order; each digest once.
    pub statements: Vec<DigestCount>,
}

/// The statements of one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestCount {
    /// The text with `?` in the place of values.
    pub digest: String,
    pub count: u64,
    /// Of these, answered by an error, or not to the end.
    pub errors: u64,
    /// Sent to clients.
    pub rows: u64,
    pub total_us: u64,
    pub longest_us: u64,
    /// Those that a server ran, by which and why.
    pub went: Vec<Went>,
}

/// Where some statements of a digest went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Went {
    /// `primary` or `replica`.
    pub to: String,
    pub because: String,
    pub count: u64,
}

/// Where would this statement go?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteQuestion {
    pub statement: String,
    /// None: one without rules of its own.
    pub user: Option<String>,
    pub schema: Option<String>,
    pub in_transaction: bool,
    pub autocommit: bool,
}

/// Where a statement would go, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteAnswer {
    /// `primary`, `replica`, or `router`: it is refused.
    pub to: String,
    /// The member, if there is one.
    pub member: Option<String>,
    /// One word, as in the metrics.
    pub because: String,
    /// The same as a sentence.
    pub why: String,
    pub digest: String,
    pub mode: String,
    pub consistency: String,
    /// What the replica has to have before it is used; empty when none is.
    pub waits_for: String,
    /// What would keep the session on the primary afterwards; empty for nothing.
    pub pins: String,
    pub servers: Vec<ServerAnswer>,
}

/// A member, as far as routing cares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerAnswer {
    pub member: String,
    /// `primary` or `replica`.
    pub role: String,
    /// Can it be used as what it is?
    pub usable: bool,
    pub lag_ms: Option<u64>,
    pub why: String,
}
