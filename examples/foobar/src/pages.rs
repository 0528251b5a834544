//! The pages.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use crate::App;

type Page = Result<Response, Failure>;

/// An error becomes a page that says so, and a line in the log that says why.
#[derive(Debug)]
pub(crate) struct Failure(anyhow::Error);

impl From<anyhow::Error> for Failure {
    fn from(e: anyhow::Error) -> Self {
        Self(e)
    }
}

impl IntoResponse for Failure {
    #[expect(
        clippy::print_stderr,
        reason = "an application's log is its standard error"
    )]
    fn into_response(self) -> Response {
        eprintln!("error: {:#}", self.0);
        let text = "<h1>That did not work</h1><p>Please try again in a moment.</p>";
        (StatusCode::SERVICE_UNAVAILABLE, Html(layout("Sorry", text))).into_response()
    }
}

pub(crate) async fn guest_book(State(app): State<Arc<App>>) -> Page {
    let (messages, by) = app.database.messages().await?;
    let mut list = String::new();
    for message in &messages {
        list.push_str(&format!(
            "<li><blockquote>{}</blockquote><footer><b>{}</b> · {} · taken by {}</footer></li>",
            escape(&message.text),
            escape(&message.author),
            escape(&message.at),
            escape(&message.server),
        ));
    }
    let body = format!(
        "<section class=hero><img src=/mark.svg alt=\"\" width=72 height=72>\
         <h1>Foobar</h1><p>A guest book on several servers.</p></section>\
         <form method=post action=/messages class=card>\
         <label>Your name<input name=author maxlength=80 required autocomplete=name></label>\
         <label>Your message<textarea name=text maxlength=500 rows=3 required></textarea></label>\
         <button>Leave a message</button></form>\
         <ol class=messages>{list}</ol>\
         <p class=by>Read from <b>{}</b>, put together by <b>{}</b>. \
         <a href=/about-this-response>About this response</a></p>",
        escape(&by.member),
        escape(&app.instance),
    );
    Ok(Html(layout("Foobar", &body)).into_response())
}

#[derive(Deserialize)]
pub(crate) struct NewMessage {
    author: String,
    text: String,
}

pub(crate) async fn leave_message(
    State(app): State<Arc<App>>,
    Form(message): Form<NewMessage>,
) -> Page {
    let (author, text) = (message.author.trim(), message.text.trim());
    let fits = |text: &str, most: usize| !text.is_empty() && text.chars().count() <= most;
    if !fits(author, 80) || !fits(text, 500) {
        let text = "<h1>Not quite</h1><p>A name of up to 80 and a message of up to 500 characters, \
                    please.</p><p><a href=/>Back</a></p>";
        return Ok((StatusCode::BAD_REQUEST, Html(layout("Not quite", text))).into_response());
    }
    app.database.leave(author, text, &app.server).await?;
    Ok(Redirect::to("/").into_response())
}

/// Who answered each part of this response; as JSON for those who ask for it.
pub(crate) async fn about(State(app): State<Arc<App>>, headers: HeaderMap) -> Page {
    let (visits, writer, reader) = app.database.visit(&app.instance).await?;
    let field = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("-").to_owned()
    };
    let (client, scheme, id) = (
        field("x-forwarded-for"),
        field("x-forwarded-proto"),
        field("x-request-id"),
    );
    if field("accept").contains("application/json") {
        let answer = json!({
            "server": app.server, "instance": app.instance, "release": app.release,
            "visits": visits, "written_by": writer, "read_by": reader,
            "client": client, "scheme": scheme, "request_id": id,
        });
        return Ok(axum::Json(answer).into_response());
    }
    let how = |read_only: bool| {
        if read_only {
            "a replica"
        } else {
            "the primary"
        }
    };
    let rows = [
        (
            "App server",
            app.server.clone(),
            "ran the application".to_owned(),
        ),
        (
            "Instance",
            app.instance.clone(),
            match visits {
                1 => "asked for the first time".to_owned(),
                visits => format!("asked {visits} times so far"),
            },
        ),
        (
            "Release",
            app.release.clone(),
            "the version of the code".to_owned(),
        ),
        (
            "Wrote the count",
            writer.member,
            how(writer.read_only).to_owned(),
        ),
        (
            "Read it back",
            reader.member,
            how(reader.read_only).to_owned(),
        ),
        ("You", client, format!("over {scheme}")),
        ("Request", id, "found in the access log".to_owned()),
    ];
    let mut table = String::new();
    for (what, who, remark) in rows {
        table.push_str(&format!(
            "<tr><th>{what}<td><code>{}</code><td>{}",
            escape(&who),
            escape(&remark)
        ));
    }
    let body = format!(
        "<h1>About this response</h1><p>Reload the page: the balancer takes the app servers in turn, \
         each takes its instances in turn.</p><table class=card>{table}</table><p><a href=/>Back</a></p>"
    );
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    Ok((no_store, Html(layout("About this response", &body))).into_response())
}

/// Healthy: it answers and its database does.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Page {
    app.database.is_there().await?;
    Ok("ok\n".into_response())
}

pub(crate) async fn not_found() -> Response {
    let text = "<h1>Nothing here</h1><p><a href=/>To the guest book</a></p>";
    (StatusCode::NOT_FOUND, Html(layout("Nothing here", text))).into_response()
}

fn layout(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=stylesheet href=/style.css>\
         <link rel=icon href=/mark.svg type=image/svg+xml><main>{body}</main></html>"
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
