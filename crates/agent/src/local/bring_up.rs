//! The steps of a start, in order, each told as it begins and ends.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime};

use app::instance::InstanceState;
use app::release::Release;
use certs::local::Local;
use database::{MemberState, Role as MemberRole};
use process::sockets::UNIX;
use site::name::ServerName;
use telemetry::Severity;
use tokio::sync::watch;

use super::certificates;
use super::running::Running;
use super::teller::{Teller, ms_since};
use crate::app_side::{AppSide, last_lines};
use crate::balancer_side::{Balancers, Told};
use crate::known::{Role, locked};
use crate::listeners::Listeners;
use crate::progress::Ready;
use crate::role_process::{Asker, Keeper, Parts, RoleState};
use crate::up_error::UpError;
use crate::{admin, backup_side, statuses};

/// The app's own keeper says first why it is late.
const LEEWAY: Duration = Duration::from_millis(300);
/// How long a start may take before it is called failed.
const START: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Starts everything; an error leaves things running that the caller stops.
pub(crate) async fn bring_up(running: &mut Running, teller: &Teller) -> Result<Ready, UpError> {
    let local = certificates::site(running, SystemTime::now())?;
    running.sql_certificate = certificates::sql(running, SystemTime::now())?;
    admin::open(running).await?;
    start_members(running)?;
    start_roles(running, "sql-router");
    start_roles(running, "web");
    running.wire();
    running.observe();

    let release = match running.alone {
        true => None,
        false => release(running, teller).await?,
    };

    if running
        .target
        .servers
        .values()
        .any(|server| !server.database.is_empty())
    {
        let since = teller.begin("database").await;
        let primary = wait_for_primary(running).await?;
        teller
            .done("database", since, format!("{primary} is primary"))
            .await;
    }
    wait_for_roles(running, "sql-router").await?;
    if let Some(release) = release.as_ref().filter(|_| app_side(running).has_app()) {
        let since = teller.begin("migration").await;
        let migrated = app_side(running).migrate(release).await?;
        teller.done("migration", since, migrated.to_string()).await;

        let since = teller.begin("app").await;
        let started = Instant::now();
        let instances = app_side(running).start(release)?;
        for instances in instances {
            let reports = instances.reports.clone();
            locked(&running.known.instances).insert(instances.server.clone(), reports.clone());
            for report in reports {
                running.follow(report);
            }
            running.instances.push(instances);
        }
        let count = wait_for_instances(running, started).await?;
        teller
            .done("app", since, format!("{count} instances ready"))
            .await;
    }
    if running
        .target
        .servers
        .values()
        .any(|server| server.database.len() > 1)
        || running.members.len() > 1
    {
        let since = teller.begin("replication").await;
        let detail = wait_for_replicas(running).await?;
        teller.done("replication", since, detail).await;
    }
    wait_for_roles(running, "web").await?;

    let since = teller.begin("balancer").await;
    start_balancers(running, local.as_ref()).await?;
    wait_for_roles(running, "balancer").await?;
    let ready = ready(running, teller, local);
    first_page(running).await?;
    backup_side::start(running)?;
    *locked(&running.known.serving) = true;
    running.status.send_modify(|status| {
        status.urls = std::iter::once(ready.http.clone())
            .chain(ready.https.clone())
            .collect();
        status.dashboard = Some(ready.dashboard.clone());
    });
    // Whoever asks right after the start sees it.
    let mut now = statuses::observe(&running.known, &running.target).await;
    running.status.send_modify(|status| {
        now.urls.append(&mut status.urls);
        now.dashboard = status.dashboard.take();
        *status = now;
    });
    teller.done("balancer", since, "the site answers").await;
    let what = format!("the site answers at {}", ready.http);
    running.tell(Severity::Info, "site", "site-serving", what);
    Ok(Ready {
        took_ms: ms_since(teller.started),
        ..ready
    })
}

/// The code base as a release of its own, which the roles are told of.
async fn release(running: &Running, teller: &Teller) -> Result<Option<Release>, UpError> {
    let since = teller.begin("release").await;
    let release = app_side(running).release().await?;
    let detail = match &release {
        Some(release) => {
            *locked(&running.known.release) = Some((release.hash.clone(), release.root.clone()));
            running.known.changed.notify_one();
            release.hash.clone()
        }
        None => "no app: static files only".to_owned(),
    };
    teller.done("release", since, detail).await;
    Ok(release)
}

fn app_side(running: &Running) -> AppSide<'_> {
    AppSide {
        target: &running.target,
        state: &running.state,
        spawner: &running.spawner,
        cluster: &running.cluster,
        secrets: &running.secrets,
        events: running.events(),
    }
}

fn start_members(running: &mut Running) -> Result<(), UpError> {
    let members: Vec<_> = running
        .target
        .servers
        .values()
        .flat_map(|server| server.database.clone())
        .collect();
    for member in members {
        let name = member.name.to_string();
        let runtime_dir = running.state.runtime.join(&name);
        std::fs::create_dir_all(&runtime_dir)
            .map_err(|e| UpError::new(format!("{}: {e}", runtime_dir.display()), ""))?;
        let server = member
            .members
            .iter()
            .find(|other| other.name == member.name);
        let server = server.map_or_else(|| name.clone(), |other| other.server.to_string());
        let keeper = database::start(database::Parts {
            site: running.target.site.clone(),
            data_dir: running.state.root.join("database").join(&name),
            runtime_dir,
            log: running.state.log(&server, &format!("database-{name}")),
            programs: database::Programs::from_path(std::env::var_os("PATH")),
            spawner: running.spawner.clone(),
            cluster: running.cluster.clone(),
            secrets: running.secrets.clone(),
            events: running.events(),
            target: member,
        });
        locked(&running.known.members).push(keeper.report());
        running.follow(keeper.report());
        running.members.push(keeper);
    }
    Ok(())
}

fn start_roles(running: &mut Running, role: &'static str) {
    let listeners = std::mem::take(&mut running.listeners);
    for listeners in &listeners {
        let (name, listener) = match role {
            "web" => ("web", &listeners.web),
            _ => ("sql", &listeners.sql),
        };
        if let Some(listener) = listener.as_ref().and_then(|l| l.try_clone().ok()) {
            let mut sockets = vec![(name.to_owned(), listener.into())];
            let socket = listeners.sql_socket.as_ref().filter(|_| name == "sql");
            if let Some(socket) = socket.and_then(|socket| socket.try_clone().ok()) {
                sockets.push((format!("{name}{UNIX}"), socket.into()));
            }
            start_role(running, &listeners.server, role, sockets, None);
        }
    }
    running.listeners = listeners;
}

async fn start_balancers(running: &mut Running, local: Option<&Local>) -> Result<(), UpError> {
    let balancers = Balancers::new(
        &running.cluster,
        &running.secrets,
        local,
        running.ground.clone(),
        running.target.clone(),
        &running.known,
    )?;
    let listeners = std::mem::take(&mut running.listeners);
    for listeners in listeners {
        let target = running.target.servers.get(&listeners.server);
        let Some(target) = target.and_then(|server| server.balancer.clone()) else {
            running.listeners.push(listeners);
            continue;
        };
        let log = running.state.log(listeners.server.as_str(), "access");
        let snapshot = balancers.snapshot(target, log).await;
        let copies = listeners.balancer.iter();
        let copies =
            copies.filter_map(|door| Some((door.name.clone(), door.socket.try_clone().ok()?)));
        let sockets = copies.collect();
        let value = serde_json::to_value(&snapshot).ok();
        let (to, asker) = start_role(running, &listeners.server, "balancer", sockets, value);
        let told = Told {
            server: listeners.server.clone(),
            snapshot,
            to,
            doors: listeners.balancer,
            asker,
        };
        balancers.add(told).await;
        running.listeners.push(Listeners {
            balancer: Vec::new(),
            ..listeners
        });
    }
    running.balancers.send_replace(Some(balancers));
    Ok(())
}

fn start_role(
    running: &mut Running,
    server: &ServerName,
    role: &'static str,
    sockets: Vec<(String, OwnedFd)>,
    snapshot: Option<serde_json::Value>,
) -> (watch::Sender<Option<serde_json::Value>>, Asker) {
    let (snapshot_in, snapshot) = watch::channel(snapshot);
    let keeper = Keeper::start(
        &running.hub,
        Parts {
            server: server.to_string(),
            role,
            sockets,
            snapshot,
            log: running.state.log(server.as_str(), role),
            spawner: running.spawner.clone(),
            events: running.events(),
        },
    );
    locked(&running.known.roles).push(Role {
        server: server.clone(),
        role,
        report: keeper.report(),
        asker: keeper.asker(),
        snapshot: snapshot_in.clone(),
    });
    running.follow(keeper.report());
    let asker = keeper.asker();
    running.roles.push((server.clone(), keeper));
    running.known.changed.notify_one();
    (snapshot_in, asker)
}

/// Waits until `look` answers; an error of it, or too long a wait, ends the start.
async fn wait<T>(
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, UpError>,
) -> Result<T, UpError> {
    let since = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if since.elapsed() > START {
            let what = format!("{what}: not within {} s", START.as_secs());
            return Err(UpError::new(
                what,
                "`mainstay logs` shows what each process says",
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn wait_for_primary(running: &Running) -> Result<String, UpError> {
    wait("a database primary", || {
        let reports = running.known.member_reports();
        for report in &reports {
            if let MemberState::Down {
                reason,
                needs_you: true,
            } = &report.state
            {
                let what = format!("database {}: {reason}", report.name);
                return Err(UpError::new(what, ""));
            }
        }
        let primary = reports
            .iter()
            .find(|report| report.role == MemberRole::Primary);
        Ok(primary
            .filter(|report| report.serves())
            .map(|report| report.name.to_string()))
    })
    .await
}

async fn wait_for_replicas(running: &Running) -> Result<String, UpError> {
    wait("replication", || {
        let reports = running.known.member_reports();
        for report in &reports {
            if let MemberState::Down {
                reason,
                needs_you: true,
            } = &report.state
            {
                return Err(UpError::new(
                    format!("database {}: {reason}", report.name),
                    "",
                ));
            }
        }
        let done = reports.iter().all(database::MemberReport::serves);
        Ok(done.then(|| format!("{} of {} members serve", reports.len(), reports.len())))
    })
    .await
}

async fn wait_for_roles(running: &Running, role: &str) -> Result<(), UpError> {
    wait(role, || {
        let mut all = true;
        for known in running
            .known
            .roles()
            .iter()
            .filter(|known| known.role == role)
        {
            let report = known.report.borrow();
            if report.state == RoleState::CrashLooping {
                let log = running.state.log(known.server.as_str(), role);
                let what = format!(
                    "the {role} on {} does not start: {}",
                    known.server, report.reason
                );
                return Err(UpError::new(format!("{what}\n{}", last_lines(&log)), ""));
            }
            // It has said no to what it was told first: it would say so again.
            if report.state == RoleState::Starting && !report.reason.is_empty() {
                let what = format!(
                    "the {role} on {} cannot do what the site file says: {}",
                    known.server, report.reason
                );
                return Err(UpError::new(what, "mend that, and start again"));
            }
            all &= report.state == RoleState::Ready;
        }
        Ok(all.then_some(()))
    })
    .await
}

async fn wait_for_instances(running: &Running, started: Instant) -> Result<usize, UpError> {
    let apps = running
        .target
        .servers
        .values()
        .filter_map(|server| server.app.as_ref());
    let patience = apps.map(|app| app.start_timeout).max().unwrap_or_default();
    wait("the app", || {
        let servers = running.instances.iter().map(|instances| &instances.server);
        let mut ready = 0;
        let mut all = 0;
        for server in servers {
            for report in running.known.instance_reports(server) {
                all += 1;
                ready += usize::from(report.state == InstanceState::Ready);
                let late =
                    started.elapsed() > patience + LEEWAY && report.state != InstanceState::Ready;
                if report.state == InstanceState::CrashLooping || late {
                    return Err(app_failed(running, server, &report, late));
                }
            }
        }
        Ok((ready == all).then_some(all))
    })
    .await
}

fn app_failed(
    running: &Running,
    server: &ServerName,
    report: &app::instance::InstanceReport,
    late: bool,
) -> UpError {
    let number = report.name.rsplit('/').next().unwrap_or("1");
    let log = running.state.log(server.as_str(), &format!("app-{number}"));
    let health = running
        .target
        .servers
        .get(server)
        .and_then(|server| server.app.as_ref())
        .map(|app| app.health_path.clone())
        .unwrap_or_default();
    let (verb, next) = match late {
        true => (
            "does not become healthy",
            format!(
                "the app must listen where SOCKET (or HOST and PORT) says and answer {health} with \
                 2xx; all it printed is in {}",
                log.display()
            ),
        ),
        false => (
            "does not stay up",
            format!(
                "mend `command` of [app]; all it printed is in {}",
                log.display()
            ),
        ),
    };
    // It may have been started again meanwhile, and wait for its health anew.
    let why = if report.last_end.is_empty() {
        &report.reason
    } else {
        &report.last_end
    };
    let what = format!("instance {} {verb}: {why}", report.name);
    UpError::new(format!("{what}\n{}", last_lines(&log)), next)
}

fn ready(running: &Running, teller: &Teller, local: Option<Local>) -> Ready {
    let balancer = running
        .target
        .servers
        .values()
        .find_map(|server| server.balancer.as_ref());
    let shown = balancer.map(|balancer| {
        let domain = balancer
            .domains
            .iter()
            .find(|name| name.ends_with(".localhost"));
        let domain = domain.or(balancer.domains.first().filter(|_| running.alone));
        let host = domain.cloned().unwrap_or_else(|| "localhost".to_owned());
        let https = balancer
            .https()
            .map(|https| format!("https://{host}:{}", https.port()));
        let http = balancer
            .http()
            .map(|http| format!("http://{host}:{}", http.port()));
        // Without HTTP: where its first listener is.
        let first = balancer.listeners.first();
        let first = first.map(|listener| listener.bind.to_string());
        (http.or(first), https)
    });
    let (http, https) = shown.unwrap_or_default();
    let http = http.unwrap_or_default();
    let servers = &running.target.servers;
    let metrics = servers
        .iter()
        .map(|(name, server)| (name.to_string(), format!("http://{}/metrics", server.admin)));
    let admin = servers
        .values()
        .next()
        .map(|server| server.admin.to_string())
        .unwrap_or_default();
    Ready {
        site: running.target.site.clone(),
        http,
        https,
        dashboard: format!("http://{admin}/?token={}", running.token.expose()),
        metrics: metrics.collect(),
        authority: local.map(|local| local.authority.display().to_string()),
        state: running.state.root.display().to_string(),
        pid: std::process::id(),
        took_ms: ms_since(teller.started),
    }
}

/// Waits until a visitor would get a page.
async fn first_page(running: &Running) -> Result<(), UpError> {
    let balancer = running
        .target
        .servers
        .values()
        .find_map(|server| server.balancer.clone());
    // What stands behind a balancer alone is not ours to wait for.
    let Some(balancer) = balancer.filter(|_| !running.alone) else {
        return Ok(());
    };
    let Some(http) = balancer.http() else {
        return Ok(());
    };
    let host = balancer.domains.first().cloned().unwrap_or_default();
    let since = Instant::now();
    loop {
        let answer = statuses::ask_page(http, &host).await;
        match answer {
            Ok(status) if status < 500 => return Ok(()),
            answer if since.elapsed() > START => {
                let how = answer.map_or_else(|e| e.to_string(), |status| status.to_string());
                let what = format!("the first page was not served: {how}");
                return Err(UpError::new(
                    what,
                    "`mainstay logs` shows what each process says",
                ));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}
