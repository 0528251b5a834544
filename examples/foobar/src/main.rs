//! The example site: a guest book. It knows nothing of Mainstay but what any application is told by its
//! environment: `SOCKET` (or `HOST` and `PORT`), `DATABASE_URL`, and who it is.
//!
//! `foobar` serves; `foobar migrate` makes the tables and is run once per release.
#![forbid(unsafe_code)]

mod database;
mod pages;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
use tokio::net::{TcpListener, UnixListener};

use crate::database::Database;

/// What every page needs.
#[derive(Debug)]
struct App {
    database: Database,
    server: String,
    instance: String,
    release: String,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL is not set")?;
    let database = Database::open(&url)?;
    match std::env::args().nth(1).as_deref() {
        Some("migrate") => return database.migrate().await,
        Some(other) => anyhow::bail!("`{other}` is no command; `migrate` is the only one"),
        None => {}
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| "-".to_owned());
    let app = Arc::new(App {
        database,
        server: variable("MAINSTAY_SERVER"),
        instance: variable("MAINSTAY_INSTANCE"),
        release: variable("MAINSTAY_RELEASE"),
    });
    let routes = Router::new()
        .route("/", get(pages::guest_book))
        .route("/messages", post(pages::leave_message))
        .route("/about-this-response", get(pages::about))
        .route("/healthz", get(pages::health))
        .fallback(pages::not_found)
        .with_state(Arc::clone(&app));
    if let Ok(socket) = std::env::var("SOCKET") {
        let listener = UnixListener::bind(&socket).with_context(|| socket.clone())?;
        axum::serve(listener, routes)
            .with_graceful_shutdown(asked_to_stop())
            .await?;
    } else {
        let (host, port) = (variable("HOST"), variable("PORT"));
        let listener = TcpListener::bind(format!("{host}:{port}")).await;
        let listener = listener.with_context(|| format!("cannot listen on {host}:{port}"))?;
        axum::serve(listener, routes)
            .with_graceful_shutdown(asked_to_stop())
            .await?;
    }
    Ok(())
}

/// SIGTERM: open requests are finished, then the process ends.
async fn asked_to_stop() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}
