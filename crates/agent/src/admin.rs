//! The admin API: a unix socket for the command line (guarded by its directory's mode), and per server
//! an address with its metrics; the first server's has the live page too, which asks for a token.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use balancer::snapshot::{Change as EndpointChange, Explanation, Override, Question, Wish};
use database::operate::message::{Account, Change, Users};
use database::operate::status::ClusterStatus;
use database::record::RequestRecord;
use monitor::events::EventLog;
use monitor::status::SiteStatus;
use process::message::About;
use serde::Deserialize;
use site::name::ServerName;
use site::target::Target;
use sql_router::snapshot::{RouteAnswer, RouteQuestion, Statistics};
use telemetry::metrics;
use telemetry::metrics::Exposition;
use telemetry::wall_clock::now_ms;
use telemetry::{Event, Severity};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};

use crate::backup_side;
use crate::balancer_side::Balancers;
use crate::database_side::{self, Database};
use crate::known::Known;
use crate::local::Running;
use crate::role_process::RoleState;
use crate::sql_side;
use crate::statuses;
use crate::up_error::UpError;

/// Name of the socket in the runtime directory.
pub const SOCKET: &str = "admin.sock";
/// Events sent when nobody says how many.
const EVENTS: usize = 50;

#[derive(Clone)]
struct Admin {
    /// As it was seen last.
    status: watch::Receiver<SiteStatus>,
    known: Arc<Known>,
    target: Arc<Target>,
    events: EventLog,
    stop: watch::Sender<bool>,
    balancers: watch::Receiver<Option<Balancers>>,
    changes: mpsc::Sender<Event>,
    database: Database,
}

/// Opens the socket and the addresses; they are served until the site ends.
pub(crate) async fn open(running: &mut Running) -> Result<(), UpError> {
    let Some(monitor) = &running.monitor else {
        return Ok(());
    };
    let admin = Admin {
        status: running.status.subscribe(),
        known: Arc::clone(&running.known),
        target: Arc::new(running.target.clone()),
        events: monitor.events.clone(),
        stop: running.stop.0.clone(),
        balancers: running.balancers.subscribe(),
        changes: running.events(),
        database: Database {
            cluster: running.cluster.clone(),
            secrets: running.secrets.clone(),
        },
    };
    let page = monitor.routes();
    let path = running.state.runtime.join(SOCKET);
    let failed = |what: String, e: std::io::Error| UpError::new(format!("{what}: {e}"), "");
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed(path.display().to_string(), e));
        }
        _ => {}
    }
    let socket = UnixListener::bind(&path).map_err(|e| failed(path.display().to_string(), e))?;
    let routes = Router::new()
        .route("/status", get(status))
        .route("/events", get(events))
        .route("/stop", post(stop))
        .route("/endpoint", post(endpoint))
        .route("/explain", post(explain))
        .route("/sql/statistics", post(sql_statistics))
        .route("/sql/route", post(sql_route))
        .route("/database", get(database_status))
        .route("/database/backup", post(backup))
        .route("/database/request", post(database_request))
        .route("/database/users", post(database_users))
        .route("/reload", post(reload))
        .route("/upgrade", post(upgrade))
        .with_state(admin);
    running.tasks.spawn(async move {
        if let Err(e) = axum::serve(socket, routes).await {
            tracing::error!("admin socket: {e}");
        }
    });
    let mut page = Some(page);
    let mut is_first = true;
    for listeners in &running.listeners {
        let listener = listeners.admin.try_clone().and_then(TcpListener::from_std);
        let listener = listener.map_err(|e| failed("the admin address".to_owned(), e))?;
        let of = Of {
            server: listeners.server.clone(),
            known: Arc::clone(&running.known),
            is_first: std::mem::take(&mut is_first),
        };
        let routes = Router::new()
            .route("/metrics", get(server_metrics))
            .with_state(of);
        let routes = match page.take() {
            Some(page) => routes.merge(page),
            None => routes,
        };
        running.tasks.spawn(async move {
            if let Err(e) = axum::serve(listener, routes).await {
                tracing::error!("admin address: {e}");
            }
        });
    }
    Ok(())
}

/// Observed now: whoever asks may have just changed something.
async fn status(State(admin): State<Admin>) -> Json<SiteStatus> {
    let mut now = statuses::observe(&admin.known, &admin.target).await;
    let former = admin.status.borrow();
    now.urls.clone_from(&former.urls);
    now.dashboard.clone_from(&former.dashboard);
    Json(now)
}

#[derive(Deserialize)]
struct Count {
    count: Option<usize>,
}

async fn events(State(admin): State<Admin>, Query(query): Query<Count>) -> impl IntoResponse {
    Json(admin.events.recent(query.count.unwrap_or(EVENTS)))
}

async fn stop(State(admin): State<Admin>) -> StatusCode {
    admin.stop.send_replace(true);
    StatusCode::ACCEPTED
}

impl Admin {
    fn balancers(&self) -> Result<Balancers, Refused> {
        let running = self.balancers.borrow().clone();
        running.ok_or_else(|| Refused(UpError::new("the site is still being started", "try again")))
    }

    fn tell(&self, subject: &str, kind: &str, what: String) {
        let event = Event {
            at_ms: now_ms(),
            severity: Severity::Info,
            server: String::new(),
            subject: subject.to_owned(),
            kind: kind.to_owned(),
            what,
        };
        if self.changes.try_send(event).is_err() {
            tracing::warn!("an event was dropped: nobody takes them up");
        }
    }
}

/// What could not be done, as JSON with what to do next.
struct Refused(UpError);

impl From<UpError> for Refused {
    fn from(error: UpError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let UpError { what, next } = self.0;
        let body = Json(serde_json::json!({ "what": what, "next": next }));
        (StatusCode::CONFLICT, body).into_response()
    }
}

/// What somebody wants of an endpoint.
async fn endpoint(
    State(admin): State<Admin>,
    Json(change): Json<EndpointChange>,
) -> Result<Json<Override>, Refused> {
    let wanted = admin.balancers()?.wish(change).await?;
    let mut what = format!("endpoint {}/{}: ", wanted.backend, wanted.endpoint);
    what.push_str(match wanted.admin {
        Wish::Ready => "ready",
        Wish::Drain => "drained: no new visitors",
        Wish::Maintenance => "in maintenance: no requests",
    });
    if let Some(weight) = wanted.weight {
        what.push_str(&format!(", weight {weight}"));
    }
    admin.tell("balancer", "endpoint-changed", what);
    Ok(Json(wanted))
}

async fn explain(
    State(admin): State<Admin>,
    Json(question): Json<Question>,
) -> Result<Json<Explanation>, Refused> {
    Ok(Json(admin.balancers()?.explain(&question).await?))
}

#[derive(Deserialize)]
struct Reset {
    reset: bool,
}

async fn sql_statistics(
    State(admin): State<Admin>,
    Json(Reset { reset }): Json<Reset>,
) -> Result<Json<BTreeMap<ServerName, Statistics>>, Refused> {
    Ok(Json(sql_side::statistics(&admin.known, reset).await?))
}

async fn sql_route(
    State(admin): State<Admin>,
    Json(question): Json<RouteQuestion>,
) -> Result<Json<RouteAnswer>, Refused> {
    Ok(Json(sql_side::route(&admin.known, question).await?))
}

/// Answers when it is done.
async fn backup(
    State(admin): State<Admin>,
    Json(wanted): Json<backup_side::Wanted>,
) -> Result<Json<serde_json::Value>, Refused> {
    Ok(Json(backup_side::order(&admin.known, wanted).await?))
}

async fn database_status(State(admin): State<Admin>) -> Result<Json<ClusterStatus>, Refused> {
    let status = database_side::status(&admin.database, &admin.known, &admin.target).await?;
    Ok(Json(status))
}

/// Answers when it is written down, not when it is done.
async fn database_request(
    State(admin): State<Admin>,
    Json(change): Json<Change>,
) -> Result<Json<RequestRecord>, Refused> {
    let wanted = database_side::change(&admin.database, &change).await?;
    if let Some((kind, what)) = database_side::told(&change) {
        admin.tell("database", kind, what);
    }
    Ok(Json(wanted))
}

async fn database_users(
    State(admin): State<Admin>,
    Json(wanted): Json<Users>,
) -> Result<Json<Vec<Account>>, Refused> {
    let (database, known) = (&admin.database, &admin.known);
    let accounts = database_side::users(database, known, &admin.target, &wanted).await?;
    Ok(Json(accounts))
}

/// The body is the text of the site file.
async fn reload(State(admin): State<Admin>, text: String) -> Result<Json<Vec<String>>, Refused> {
    let site = site::load(&text, "site.toml").map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        UpError::new(lines.join("\n"), "`mainstay check` shows it in full")
    })?;
    let done = admin.balancers()?.reload(&site).await?;
    admin.tell("balancer", "configuration-changed", done.join("; "));
    Ok(Json(done))
}

#[derive(Deserialize)]
struct Program {
    program: PathBuf,
}

async fn upgrade(
    State(admin): State<Admin>,
    Json(Program { program }): Json<Program>,
) -> Result<Json<Vec<String>>, Refused> {
    let done = admin.balancers()?.upgrade(&program).await?;
    admin.tell("balancer", "process-replaced", done.join("; "));
    Ok(Json(done))
}

#[derive(Clone)]
struct Of {
    server: ServerName,
    known: Arc<Known>,
    /// It has what belongs to the whole site.
    is_first: bool,
}

/// Every process of the server, as one exposition.
async fn server_metrics(State(of): State<Of>) -> String {
    let mut parts = vec![(format!("server=\"{}\"", of.server), own(&of))];
    for role in of
        .known
        .roles()
        .into_iter()
        .filter(|role| role.server == of.server)
    {
        if role.report.borrow().state != RoleState::Ready {
            continue;
        }
        if let Some(text) = role.asker.ask(About::Metrics).await {
            parts.push((
                format!("server=\"{}\",role=\"{}\"", of.server, role.role),
                text,
            ));
        }
    }
    metrics::merge(&parts)
}

/// What the agent itself knows of its server's processes.
fn own(of: &Of) -> String {
    let mut text = Exposition::default();
    let instances = of.known.instance_reports(&of.server);
    text.family("mainstay_instance_up", "gauge", "1: the instance is ready.");
    for instance in &instances {
        let up = u8::from(instance.state == app::instance::InstanceState::Ready);
        text.sample(
            "mainstay_instance_up",
            &format!("instance=\"{}\"", instance.name),
            up,
        );
    }
    text.family(
        "mainstay_instance_restarts_total",
        "counter",
        "Times it was started again.",
    );
    for instance in &instances {
        let labels = format!("instance=\"{}\"", instance.name);
        text.sample(
            "mainstay_instance_restarts_total",
            &labels,
            instance.restarts,
        );
    }
    text.family(
        "mainstay_process_up",
        "gauge",
        "1: the role process is ready.",
    );
    text.family(
        "mainstay_process_restarts_total",
        "counter",
        "Times it was started again.",
    );
    for role in of
        .known
        .roles()
        .iter()
        .filter(|role| role.server == of.server)
    {
        let report = role.report.borrow();
        let labels = format!("process=\"{}\"", role.role);
        let up = u8::from(report.state == RoleState::Ready);
        text.sample("mainstay_process_up", &labels, up);
        text.sample("mainstay_process_restarts_total", &labels, report.restarts);
    }
    let members = of.known.member_reports();
    let generation = members.iter().filter_map(|member| member.generation).max();
    text.family("mainstay_database_up", "gauge", "1: the member runs.");
    text.family(
        "mainstay_database_primary",
        "gauge",
        "1: the member takes the writes.",
    );
    text.family(
        "mainstay_database_lag_seconds",
        "gauge",
        "How far a replica is behind.",
    );
    for member in members.iter().filter(|member| member.server == of.server) {
        let labels = format!("member=\"{}\"", member.name);
        let running = u8::from(member.state == database::MemberState::Running);
        let is_primary = member.role == database::Role::Primary && member.generation == generation;
        let primary = u8::from(is_primary);
        text.sample("mainstay_database_up", &labels, running);
        text.sample("mainstay_database_primary", &labels, primary);
        if let Some(lag) = member.lag_ms {
            let seconds = std::time::Duration::from_millis(lag).as_secs_f64();
            text.sample("mainstay_database_lag_seconds", &labels, seconds);
        }
    }
    if of.is_first {
        backup_side::metrics(&of.known, &mut text);
    }
    text.into_text()
}
