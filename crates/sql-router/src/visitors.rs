//! Serves the web servers of this host: how far the database is, and what reads have to see on behalf
//! of visitors (`process::seen` has the lines).
//!
//! A web server asks for a position when the app has answered, and its visitor carries it. When he comes
//! back, to any server, that position becomes the floor of all reads there: which of the app's
//! connections speaks for him cannot be known, so each sees at least what he has seen.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mysql::client::{Address, Connection};
use mysql::gtid::mariadb::Position;
use process::seen::{self, Question};
use process::snapshot::Shared;
use site::name::MemberName;
use telemetry::Secret;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::limits::{ASKING, CONNECT};
use crate::snapshot::Snapshot;

/// What reads for visitors have to see at least; only grows.
#[derive(Debug, Default)]
pub(crate) struct Floor {
    version: AtomicU64,
    position: Mutex<Position>,
}

impl Floor {
    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contains(&self, seen: &Position) -> bool {
        self.position().contains(seen)
    }

    fn raise(&self, to: &Position) {
        let mut position = self.position();
        if !position.contains(to) {
            position.join(to);
            self.version.fetch_add(1, Release);
        }
    }

    /// The floor, if it has been raised since `known`, which is moved on.
    pub(crate) fn newer(&self, known: &mut u64) -> Option<Position> {
        let version = self.version.load(Acquire);
        (version != *known).then(|| {
            *known = version;
            self.position().clone()
        })
    }
}

/// The socket, as long as it is wanted.
#[derive(Debug, Default)]
pub(crate) struct Visitors {
    open: Option<(PathBuf, JoinHandle<()>)>,
}

impl Visitors {
    /// Listens where the snapshot says, or not at all.
    pub(crate) fn follow(&mut self, snapshot: &Shared<Snapshot>, floor: &Arc<Floor>) {
        let wanted = snapshot.load().visitors.clone();
        if self.open.as_ref().map(|(path, _)| path) == wanted.as_ref() {
            return;
        }
        if let Some((_, task)) = self.open.take() {
            task.abort();
        }
        let Some(path) = wanted else { return };
        match listen(&path) {
            Ok(listener) => {
                let serving = serve(listener, snapshot.clone(), Arc::clone(floor));
                self.open = Some((path, tokio::spawn(serving)));
            }
            Err(e) => tracing::error!("{}: {e}; visitors are not followed", path.display()),
        }
    }
}

/// In the place of the one before: its socket is left behind.
fn listen(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => UnixListener::bind(path),
    }
}

async fn serve(listener: UnixListener, snapshot: Shared<Snapshot>, floor: Arc<Floor>) {
    let (ask, asked) = mpsc::channel(ASKING);
    // Ends when nobody can ask any more.
    tokio::spawn(asker(snapshot, asked));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(answer(stream, ask.clone(), Arc::clone(&floor)));
            }
            Err(e) => {
                tracing::warn!("a web server could not connect: {e}");
                tokio::time::sleep(crate::limits::HOLD_POLL).await;
            }
        }
    }
}

type Ask = oneshot::Sender<Option<Position>>;

/// One web server's thread, question by question.
async fn answer(stream: UnixStream, ask: mpsc::Sender<Ask>, floor: Arc<Floor>) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(line)) = seen::line(&mut stream).await {
        let Some(question) = Question::parse(&line) else {
            tracing::warn!("a web server asks what is no question");
            return;
        };
        let text = match question {
            Question::Position => ask_for(&ask).await.map(|position| position.to_string()),
            Question::Seen(seen) => {
                see(&floor, &seen, &ask).await;
                Some("ok".to_owned())
            }
        };
        let text = text.unwrap_or_default() + "\n";
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The primary's position, of now.
async fn ask_for(ask: &mpsc::Sender<Ask>) -> Option<Position> {
    let (back, answer) = oneshot::channel();
    ask.send(back).await.ok()?;
    answer.await.ok().flatten()
}

/// Raises the floor to what a visitor has seen. What is below it already needs no question.
async fn see(floor: &Floor, seen: &str, ask: &mpsc::Sender<Ask>) {
    let Ok(seen) = seen.parse::<Position>() else {
        return;
    };
    if !floor.contains(&seen)
        && let Some(there) = ask_for(ask).await
    {
        raise(floor, &seen, &there);
    }
}

/// As far as it is still there: a failover may have lost the end of it, and then no replica will ever have
/// that.
fn raise(floor: &Floor, seen: &Position, there: &Position) {
    floor.raise(&seen.within(there));
}

/// Asks the primary; all who came before it is asked get one answer.
async fn asker(snapshot: Shared<Snapshot>, mut asked: mpsc::Receiver<Ask>) {
    let mut kept = None;
    while let Some(first) = asked.recv().await {
        let mut all = vec![first];
        while let Ok(more) = asked.try_recv() {
            all.push(more);
        }
        let asking = position(&snapshot, &mut kept);
        let position = match tokio::time::timeout(CONNECT, asking).await {
            Ok(Ok(position)) => Some(position),
            Ok(Err(why)) => {
                kept = None;
                tracing::warn!("the primary's position is not known: {why}");
                None
            }
            Err(_) => {
                kept = None;
                None
            }
        };
        for one in all {
            // Who has gone does not want it any more.
            drop(one.send(position.clone()));
        }
    }
}

/// A connection to the primary of a generation.
#[derive(Debug)]
struct Kept {
    member: MemberName,
    generation: u64,
    connection: Connection,
}

async fn position(
    snapshot: &Shared<Snapshot>,
    kept: &mut Option<Kept>,
) -> Result<Position, String> {
    let snapshot = snapshot.load();
    let servers = &snapshot.servers;
    let primary = servers.primary.as_ref().ok_or("there is none")?;
    let good = |kept: &Kept| kept.member == *primary && kept.generation == servers.generation;
    let kept = match kept.take().filter(good) {
        Some(good) => kept.insert(good),
        None => kept.insert(connect(&snapshot, primary).await?),
    };
    let rows = kept.connection.query("SELECT @@gtid_binlog_pos").await;
    let rows = rows.map_err(|e| e.to_string())?;
    let text = rows.single().ok_or("no answer")?;
    text.parse().map_err(|_| format!("{text:?} is no position"))
}

async fn connect(snapshot: &Snapshot, primary: &MemberName) -> Result<Kept, String> {
    let mut members = snapshot.target.members.iter();
    let member = members.find(|member| member.name == *primary);
    let address = member.ok_or("it is not in the site file")?.address;
    let file = &snapshot.service_password_file;
    let password = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let password = Secret::new(password.trim_end());
    let user = &snapshot.service_user;
    let connection = Connection::connect(&Address::Tcp(address), user, &password, None).await;
    Ok(Kept {
        member: primary.clone(),
        generation: snapshot.servers.generation,
        connection: connection.map_err(|e| e.to_string())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_grows_and_tells_when() {
        let (floor, mut known) = (Floor::default(), 0);
        let at = |text: &str| text.parse::<Position>().unwrap();
        assert_eq!(floor.newer(&mut known), None);
        raise(&floor, &at("0-1-5"), &at("0-1-9"));
        assert_eq!(floor.newer(&mut known), Some(at("0-1-5")));
        assert_eq!(floor.newer(&mut known), None);
        // What is lost cannot be waited for.
        raise(&floor, &at("0-1-20,3-1-7"), &at("0-2-9"));
        assert_eq!(floor.newer(&mut known), Some(at("0-2-9")));
        raise(&floor, &at("0-1-6"), &at("0-2-9"));
        assert_eq!(floor.newer(&mut known), None);
    }

    #[tokio::test]
    async fn what_is_below_the_floor_is_not_asked_for() {
        let floor = Floor::default();
        let (ask, mut asked) = mpsc::channel(1);
        let answer = async {
            let back: Ask = asked.recv().await.unwrap();
            back.send("0-1-9".parse().ok()).unwrap();
        };
        tokio::join!(see(&floor, "0-1-5", &ask), answer);
        // Nobody answers now: it would wait for ever.
        see(&floor, "0-1-4", &ask).await;
        see(&floor, "no position", &ask).await;
        assert!(asked.try_recv().is_err());
    }
}
