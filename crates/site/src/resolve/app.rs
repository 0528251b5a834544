//! Pure: `[app]`: what is run, how often, and how one learns that it is ready.

use std::time::Duration;

use crate::at::At;
use crate::hint::quoted;
use crate::problem::Code;
use crate::resolve::environment;
use crate::resolve::setting::{Within, directory, duration, or, span, url_path};
use crate::source::Problems;
use crate::spelling::Words;
use crate::topology::{App, Listen, ListenKind};
use crate::words::{self, NoCommand};
use crate::written::{AppSection, Written};

/// Two, so that one answers while the other is replaced or starts again after a crash.
const INSTANCES: u16 = 2;
/// The first of the ports that frameworks' process managers count up from; clear of Mainstay's own.
const FIRST_PORT: u16 = 9000;
/// Long enough for a large Rails or Spring application, short enough to be waited for.
const START: Duration = Duration::from_secs(60);
/// What `docker stop` gives.
const STOP: Duration = Duration::from_secs(10);

const HOUR: Duration = Duration::from_secs(3600);

/// None when there is no `[app]`.
pub(super) fn resolve(written: &Written, problems: &mut Problems<'_>) -> Option<App> {
    let At {
        value: section,
        span: header,
    } = written.app.as_ref()?;
    let instances = section.instances.as_ref();
    let least = Duration::from_millis(100);
    let app = App {
        path: directory(
            "path",
            section.path.as_ref(),
            "app",
            Within::Anywhere,
            problems,
        ),
        command: command("command", section.command.as_ref(), problems),
        migrate: command("migrate", section.migrate.as_ref(), problems),
        instances: or(instances, INSTANCES),
        listen: listen(section, problems),
        health: url_path("health", section.health.as_ref(), "/healthz", problems),
        env: environment::resolve(section.env.as_ref(), problems),
        start_timeout: duration(
            "start-timeout",
            section.start_timeout.as_ref(),
            START,
            least..=HOUR,
            problems,
        ),
        stop_timeout: duration(
            "stop-timeout",
            section.stop_timeout.as_ref(),
            STOP,
            least..=HOUR,
            problems,
        ),
        at: problems.source.place(header.start),
        instances_at: problems.source.place(span(instances, header).start),
    };
    Some(app)
}

fn listen(section: &AppSection, problems: &mut Problems<'_>) -> Listen {
    let kind = or(section.listen.as_ref(), ListenKind::Socket);
    match (kind, &section.port) {
        (ListenKind::Port, port) => Listen::Port {
            first: or(port.as_ref(), FIRST_PORT),
        },
        (ListenKind::Socket, None) => Listen::Socket,
        (ListenKind::Socket, Some(port)) => {
            let what = "`port` has no meaning while the instances listen on unix sockets";
            let write = format!("listen = \"port\" beside port = {}, or no port", port.value);
            problems.add(Code::Conflict, &port.span, what, write);
            Listen::Socket
        }
    }
}

/// The words of a command, empty when there is none.
fn command(key: &str, written: Option<&At<Words>>, problems: &mut Problems<'_>) -> Vec<String> {
    let Some(At { value, span }) = written else {
        return Vec::new();
    };
    let words = match value {
        Words::List(words) => words.iter().map(|word| word.value.clone()).collect(),
        Words::Line(line) => match words::split(line) {
            Ok(words) => words,
            Err(no) => {
                let (what, write) = no_command(key, line, &no);
                problems.add(Code::BadValue, span, what, write);
                return Vec::new();
            }
        },
    };
    check_words(key, &words, span, problems);
    words
}

fn check_words(key: &str, words: &[String], at: &crate::at::Span, problems: &mut Problems<'_>) {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let (what, write) = if program.is_empty() && key == "migrate" {
        (
            format!("`{key}` is empty"),
            "no `migrate` at all when there is nothing to run".to_owned(),
        )
    } else if program.is_empty() {
        (
            format!("`{key}` names no program"),
            format!("{key} = [\"bin/foobar\"]"),
        )
    } else if words.iter().any(|word| word.contains('\0')) {
        (
            format!("`{key}` has a NUL character in it"),
            "the words without it".to_owned(),
        )
    } else if program.split('/').any(|part| part == "..") {
        let write = "a program inside the application, or one found by its name".to_owned();
        (
            format!("`{program}` leads out of the application's directory"),
            write,
        )
    } else if words.len() == 1 && program.contains(' ') {
        let parts: Vec<String> = program.split_whitespace().map(quoted).collect();
        let what = format!("`{program}` would be one program with blanks in its name");
        (what, format!("{key} = [{}]", parts.join(", ")))
    } else if is_assignment(program) {
        let (name, value) = program.split_once('=').unwrap_or((program, ""));
        let what = format!("`{program}` sets a variable, which only a shell understands here");
        (what, format!("[app.env]\n{name} = {}", quoted(value)))
    } else {
        return;
    };
    problems.add(Code::BadValue, at, what, write);
}

/// `RAILS_ENV=production` in front of a command.
fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn no_command(key: &str, line: &str, no: &NoCommand) -> (String, String) {
    match no {
        NoCommand::Empty => check_words_empty(key),
        NoCommand::OpenQuote(quote) => (
            format!("`{line}` opens a {quote} that is never closed"),
            format!("a {quote} at its end"),
        ),
        NoCommand::ShellOnly(c) => {
            let what = format!("`{c}` means something only to a shell, and none is started");
            let write = format!("{key} = [\"sh\", \"-c\", {}], or a script", quoted(line));
            (what, write)
        }
    }
}

fn check_words_empty(key: &str) -> (String, String) {
    (
        format!("`{key}` is empty"),
        format!("{key} = [\"bin/foobar\"]"),
    )
}
