//! The paths of the page. Every one asks for the token, also those that lead nowhere.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, LOCATION, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::Sse;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use telemetry::Secret;
use tokio::sync::Semaphore;

use super::live;
use super::page::{ASSETS, NO_TOKEN, NO_TOKEN_POLICY, guard};
use super::token::{self, Shown};
use crate::alert::state::Alert;
use crate::limits::Limits;
use crate::series::Point;
use crate::status::SiteStatus;
use crate::watcher::Seen;

/// Events sent when nobody says how many.
const EVENTS: usize = 100;
/// Set by browsers on every request, see https://www.w3.org/TR/fetch-metadata/.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the paths share.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    cookie: Arc<str>,
    token: Secret,
    pub(super) seen: Seen,
    pub(super) limits: Limits,
    /// One permit for each page that may be open.
    listeners: Arc<Semaphore>,
}

impl Page {
    pub(crate) fn new(site: &str, token: Secret, seen: Seen, limits: &Limits) -> Self {
        Self {
            cookie: token::cookie_name(site).into(),
            token,
            seen,
            listeners: Arc::new(Semaphore::new(limits.listeners)),
            limits: limits.clone(),
        }
    }
}

pub(crate) fn routes(page: Page) -> Router {
    let mut routes = Router::new()
        .route("/live", get(listen))
        .route("/status.json", get(status))
        .route("/history.json", get(history))
        .route("/alerts.json", get(alerts))
        .route("/events.json", get(events))
        .fallback(nowhere);
    for asset in ASSETS {
        routes = routes.route(asset.path, get(move || async move { asset }));
    }
    routes
        .layer(from_fn_with_state(page.clone(), ask))
        .with_state(page)
}

/// Lets through who has the token.
async fn ask(State(page): State<Page>, request: Request, next: Next) -> Response {
    let shown = token::shown(request.uri(), request.headers(), &page.cookie, &page.token);
    let mut response = match shown {
        Shown::Valid => next.run(request).await,
        Shown::InLink => keep(&page, &request),
        Shown::Wrong | Shown::Nothing => refuse(request.headers()),
    };
    guard(response.headers_mut());
    response
}

/// Puts the token into a cookie and sends the browser on to the address without it.
fn keep(page: &Page, request: &Request) -> Response {
    let bare = token::bare(request.uri());
    let cookie = format!(
        "{}={}; Path=/; HttpOnly; SameSite=Strict",
        page.cookie,
        page.token.expose()
    );
    let from = request
        .headers()
        .get(FETCH_SITE)
        .map(|site| site.as_bytes());
    if from == Some(b"cross-site") {
        // A link in a mail: a redirect would still count as the mail's, and the browser would not
        // send a cookie that is strict. A page that goes on by itself is ours.
        let onward = format!(
            "<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={}\">",
            escape(&bare)
        );
        return ([(SET_COOKIE, cookie)], Html(onward)).into_response();
    }
    (
        StatusCode::SEE_OTHER,
        [(SET_COOKIE, cookie), (LOCATION, bare)],
    )
        .into_response()
}

fn refuse(headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let challenge = [(WWW_AUTHENTICATE, "Bearer realm=\"mainstay\"")];
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        let policy = [(CONTENT_SECURITY_POLICY, NO_TOKEN_POLICY)];
        (StatusCode::UNAUTHORIZED, challenge, policy, Html(NO_TOKEN)).into_response()
    } else {
        let text = "the token is missing or wrong; `mainstay status` prints the link that has it\n";
        (StatusCode::UNAUTHORIZED, challenge, text).into_response()
    }
}

/// For an attribute's value.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

async fn nowhere() -> impl IntoResponse {
    (
        StatusCode::NOT_FOUND,
        "there is nothing here; the live page is at /\n",
    )
}

async fn status(State(page): State<Page>) -> Json<SiteStatus> {
    Json(page.seen.status.borrow().clone())
}

/// The last quarter of an hour, oldest first.
#[derive(Serialize)]
struct Series {
    points: Vec<Point>,
}

async fn history(State(page): State<Page>) -> Json<Series> {
    let points = page.seen.history.borrow().points().copied().collect();
    Json(Series { points })
}

async fn alerts(State(page): State<Page>) -> Json<Vec<Alert>> {
    Json(page.seen.alerts.borrow().clone())
}

#[derive(Deserialize)]
struct Count {
    count: Option<usize>,
}

async fn events(State(page): State<Page>, Query(query): Query<Count>) -> impl IntoResponse {
    Json(page.seen.log.recent(query.count.unwrap_or(EVENTS)))
}

async fn listen(State(page): State<Page>) -> Response {
    match Arc::clone(&page.listeners).try_acquire_owned() {
        Ok(permit) => Sse::new(live::stream(&page, permit)).into_response(),
        Err(_) => {
            let text = "too many pages are open\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "10")], text).into_response()
        }
    }
}
