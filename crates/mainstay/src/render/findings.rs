//! Pure: what `check` says, as text for people and as JSON for programs: problems with the line they
//! stand in, findings with what they cost and the lines to add.

use serde_json::{Value, json};
use site::topology::Role;
use site::{Code, Finding, Kind, Problem, Severity, Site};

/// Whether escape sequences may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Colour,
}

/// More than these are not read by anybody; `--json` has them all.
const MOST_PROBLEMS: usize = 50;

/// Columns of a source line that are shown around the problem.
const EXCERPT: usize = 100;

/// Columns of running text.
const WIDTH: usize = 92;

/// All problems of a file, each with its source line and what to write.
pub(crate) fn problems(problems: &[Problem], style: Style) -> String {
    let mut out = String::new();
    for problem in problems.iter().take(MOST_PROBLEMS) {
        out.push_str(&one_problem(problem, style));
        out.push('\n');
    }
    if let Some(more) = problems
        .len()
        .checked_sub(MOST_PROBLEMS)
        .filter(|more| *more > 0)
    {
        push(&mut out, &format!("… and {more} more\n"));
    }
    let count = counted(problems.len(), "problem");
    let file = problems
        .first()
        .map(|problem| problem.file.as_str())
        .unwrap_or_default();
    push(&mut out, &format!("{file} has {count}."));
    out
}

fn one_problem(problem: &Problem, style: Style) -> String {
    let Problem {
        file,
        line,
        column,
        what,
        ..
    } = problem;
    let mut out = String::new();
    let place = style.dim(&format!("{file}:{line}:{column}:"));
    push(&mut out, &format!("{place} {}", style.bold(what)));
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let (excerpt, caret) = excerpt(problem);
    // What is missing from the whole file stands nowhere.
    let nowhere = problem.code == Code::Missing && problem.span.is_empty();
    if !nowhere && !excerpt.trim().is_empty() {
        push(&mut out, &style.dim(&format!("{gutter} |")));
        push(
            &mut out,
            &format!("{} {excerpt}", style.dim(&format!("{number} |"))),
        );
        push(
            &mut out,
            &format!(
                "{} {}",
                style.dim(&format!("{gutter} |")),
                style.red(&caret)
            ),
        );
    }
    let mut label = "write:";
    for line in problem.write_instead.lines() {
        push(
            &mut out,
            &format!("{gutter} {} {}", style.green(label), line),
        );
        label = "      ";
    }
    out
}

/// The part of the source line around the problem, and carets below it.
fn excerpt(problem: &Problem) -> (String, String) {
    let line: Vec<char> = problem.source_line.chars().collect();
    let start = (problem.column as usize).saturating_sub(1).min(line.len());
    let length = problem.source_line.len().min(problem.span.len());
    // Characters of the span that are on its first line; at least one caret.
    let bytes_before: usize = line.iter().take(start).map(|c| c.len_utf8()).sum();
    let end_byte = bytes_before + length;
    let end = line
        .iter()
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            Some(*bytes)
        })
        .take_while(|bytes| *bytes <= end_byte)
        .count()
        .max(start + 1);
    let from = start.saturating_sub(EXCERPT / 2);
    // A tab would move the carets; other control characters would move the whole terminal.
    let shown = |c: &char| if c.is_control() { ' ' } else { *c };
    let mut text: Vec<char> = line.iter().skip(from).take(EXCERPT).map(shown).collect();
    if let (Some(first), true) = (text.first_mut(), from > 0) {
        *first = '…';
    }
    if let (Some(last), true) = (text.last_mut(), from + EXCERPT < line.len()) {
        *last = '…';
    }
    let text: String = text.into_iter().collect();
    let carets = (end - start)
        .min(EXCERPT.saturating_sub(start - from))
        .max(1);
    (
        text.trim_end().to_owned(),
        " ".repeat(start - from) + &"^".repeat(carets),
    )
}

/// The whole answer for a valid file.
pub(crate) fn findings(site: &Site, findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    push(
        &mut out,
        &format!("{} is valid: {}.", site.file, overview(site)),
    );
    if findings.is_empty() {
        push(&mut out, "The audit found nothing to mend.");
        out.push_str(&not_yet(site, style));
        return out;
    }
    for kind in [Kind::SinglePoint, Kind::Security, Kind::Monitoring] {
        let of_kind: Vec<&Finding> = findings.iter().filter(|f| f.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        out.push('\n');
        push(&mut out, &style.bold(heading(kind)));
        for finding in of_kind {
            out.push('\n');
            out.push_str(&one_finding(finding, &site.file, style));
        }
    }
    out.push('\n');
    push(
        &mut out,
        &format!("{}.", counted(findings.len(), "finding")),
    );
    out.push_str(&not_yet(site, style));
    out
}

/// What the file asks for in vain.
fn not_yet(site: &Site, style: Style) -> String {
    let missing = site::not_yet(site);
    if missing.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style.bold("Not in this version yet"));
    for sentence in missing {
        push(&mut out, &format!("  - {sentence}"));
    }
    out
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::SinglePoint => "Single points of failure",
        Kind::Security => "Security",
        Kind::Monitoring => "Monitoring",
    }
}

fn one_finding(finding: &Finding, file: &str, style: Style) -> String {
    let mut out = String::new();
    let severity = format!("{:<6}", finding.severity.as_str());
    let severity = match finding.severity {
        Severity::High => style.red(&severity),
        Severity::Medium => style.yellow(&severity),
        Severity::Low => style.dim(&severity),
    };
    let place = match finding.at {
        Some(at) => format!("({file}:{}, {})", at.line, finding.code),
        None => format!("({})", finding.code),
    };
    let place = style.dim(&place);
    push(
        &mut out,
        &format!(
            "  {severity} {} {place}",
            style.bold(&sentence(&finding.what))
        ),
    );
    for line in wrapped(&sentence(&finding.consequence)) {
        push(&mut out, &format!("         {line}"));
    }
    push(&mut out, "         Write:");
    for line in &finding.add {
        push(&mut out, &format!("           {}", style.green(line)));
    }
    out
}

/// "foobar, 4 servers: 1 balancer, 2 web, 2 app, 1 database (1 primary, 1 replica)".
fn overview(site: &Site) -> String {
    let roles = [
        Role::Balancer,
        Role::Web,
        Role::App,
        Role::Database,
        Role::Coordinator,
    ];
    let counts = roles.into_iter().filter_map(|role| {
        let count = site.servers_with(role).count();
        let copies = match (role, &site.database) {
            (Role::Database, Some(database)) => {
                format!(
                    " (1 primary, {})",
                    counted(database.replicas.into(), "replica")
                )
            }
            _ => String::new(),
        };
        (count > 0).then(|| format!("{count} {role}{copies}"))
    });
    let counts: Vec<String> = counts.collect();
    format!(
        "{}, {}: {}",
        site.name,
        counted(site.servers.len(), "server"),
        counts.join(", ")
    )
}

/// `check --json` for a file that cannot be used.
pub(crate) fn invalid_as_json(file: &str, problems: &[Problem]) -> Value {
    let problems: Vec<Value> = problems
        .iter()
        .map(|problem| {
            json!({
                "code": problem.code.as_str(),
                "line": problem.line,
                "column": problem.column,
                "what": problem.what,
                "write": problem.write_instead,
            })
        })
        .collect();
    json!({ "file": file, "valid": false, "problems": problems, "findings": [] })
}

/// `check --json` for a valid file.
pub(crate) fn valid_as_json(file: &str, site: &Site, findings: &[Finding]) -> Value {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.code,
                "kind": finding.kind.as_str(),
                "severity": finding.severity.as_str(),
                "line": finding.at.map(|at| at.line),
                "column": finding.at.map(|at| at.column),
                "what": finding.what,
                "consequence": finding.consequence,
                "add": finding.add,
            })
        })
        .collect();
    json!({
        "file": file, "valid": true, "problems": [], "findings": findings,
        "not_yet": site::not_yet(site),
    })
}

/// Lines end without blanks.
fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end_matches(' '));
    out.push('\n');
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => String::new(),
    }
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH - 9 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// SGR codes of ECMA-48.
impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, style: Style) -> String {
        match site::load(text, "site.toml") {
            Ok(site) => findings(&site, &site::audit(&site), style),
            Err(list) => problems(&list, style),
        }
    }

    #[test]
    fn carets_stand_below_the_problem_whatever_the_characters() {
        let text = "[site]\nname = \"ä\"\ndomains\t= [\"ü\"]\n";
        let shown = shown(text, Style::Plain);
        let lines: Vec<&str> = shown.lines().collect();
        let mut carets = 0;
        for pair in lines.windows(2) {
            if let Some(at) = pair[1].chars().position(|c| c == '^') {
                assert_eq!(pair[0].chars().nth(at), Some('"'), "{shown}");
                carets += 1;
            }
        }
        assert_eq!(carets, 2, "{shown}");
    }

    #[test]
    fn long_lines_are_cut_around_the_problem() {
        let text = format!("[site]\nname = \"{}\"\n", "X".repeat(100_000));
        let source = shown(&text, Style::Plain);
        let source = source.lines().find(|line| line.starts_with("2 |")).unwrap();
        assert!(source.chars().count() < 120, "{}", source.len());
    }

    #[test]
    fn the_file_cannot_write_to_the_terminal() {
        let text = "[site]\nname = \"\\u001b[31mred\"\ndomains = [\"a\\u0007\"]\n";
        assert!(!shown(text, Style::Plain).contains(['\x1b', '\x07']));
    }

    #[test]
    fn colour_only_adds_escapes() {
        let text = "[site]\nname = \"foobar\"\nroles = 1\n";
        let coloured = shown(text, Style::Colour);
        let mut stripped = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            stripped.push_str(before);
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        stripped.push_str(rest);
        assert_eq!(stripped, shown(text, Style::Plain));
    }

    #[test]
    fn very_many_problems_are_counted() {
        let text: String = (0..80).map(|n| format!("[unknown{n}]\n")).collect();
        assert!(shown(&text, Style::Plain).contains("more\n"));
    }
}
