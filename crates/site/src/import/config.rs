//! Pure: lines → sections, each proxy with what it has from its `defaults`.
//!
//! Source: HAProxy configuration manual, sections 2 ("Configuration file format"), 2.4 (conditional
//! blocks) and 4 ("Proxies"): a proxy has the settings of the last `defaults` before it, or of the one
//! that it names with `from`.

use super::Refusal;
use super::ledger::Ledger;
use super::lexer::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Frontend,
    Backend,
    /// Both in one.
    Listen,
}

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) own: Vec<Line>,
    pub(super) inherited: Vec<Line>,
}

#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) global: Vec<Line>,
    pub(super) proxies: Vec<Proxy>,
}

/// Sections that are no proxies, and what stands for them here.
const OTHERS: [(&str, &str, &str); 15] = [
    (
        "userlist",
        "Mainstay asks for no passwords",
        "let the application or a proxy for logins do it",
    ),
    (
        "peers",
        "each balancer counts for itself",
        "a rate limit that is right for one balancer",
    ),
    (
        "mailers",
        "Mainstay sends no mail",
        "[alerts] webhook = [\"https://…\"]",
    ),
    (
        "resolvers",
        "endpoints are IP addresses; nothing is looked up",
        "the addresses, one endpoint each",
    ),
    (
        "program",
        "Mainstay starts no programs beside it",
        "a service of the system",
    ),
    (
        "http-errors",
        "pages for errors are files",
        "`error-pages` of [balancer]: a directory with 503.html and the like",
    ),
    (
        "cache",
        "Mainstay keeps no answers",
        "caching in the application, or in front",
    ),
    (
        "ring",
        "the log goes to standard output",
        "the system's journal, which reads it",
    ),
    (
        "log-forward",
        "Mainstay forwards no logs",
        "a log collector of its own",
    ),
    (
        "log-profile",
        "the access log has one format",
        "`access-log` of [balancer]",
    ),
    (
        "fcgi-app",
        "Mainstay speaks no FastCGI to endpoints",
        "an HTTP server before the application",
    ),
    (
        "crt-store",
        "certificates are named one by one",
        "`certificates` of [balancer]: chain and key",
    ),
    (
        "acme",
        "certificates are not fetched by the balancer alone",
        "`certificates` of [balancer], renewed by a client of ACME",
    ),
    (
        "traces",
        "for developers of HAProxy",
        "the access log, which says a reason for every answer",
    ),
    (
        "healthcheck",
        "a backend has its check in its own section",
        "`health` of the backend",
    ),
];

impl Config {
    pub(super) fn read(lines: &[Line], ledger: &mut Ledger) -> Result<Self, Refusal> {
        let mut config = Self::default();
        // Name (empty for none) → everything in it, with what it has from another one.
        let mut defaults: Vec<(String, Vec<Line>)> = Vec::new();
        let mut open = Open::Nothing;
        let mut depth = 0_usize;
        for line in lines {
            if let Some(word) = line.word(0).strip_prefix('.') {
                match word {
                    "if" => depth += 1,
                    "endif" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                ledger.lost(
                    line.number,
                    "which lines hold is decided when HAProxy starts; what stands between `.if` and `.endif` is left out",
                    "the file as it is for this machine",
                );
                continue;
            }
            if depth > 0 {
                ledger.skip(line.number);
                continue;
            }
            if let Some(begun) = config.begin(line, &mut defaults, ledger) {
                open = begun;
                continue;
            }
            match open {
                Open::Nothing => {
                    return Err(Refusal {
                        line: line.number,
                        what: format!("`{}` stands in no section", line.word(0)),
                        next: "a section before it: global, defaults, frontend, backend or listen"
                            .to_owned(),
                    });
                }
                Open::Global => config.global.push(line.clone()),
                Open::Defaults => {
                    if let Some((_, lines)) = defaults.last_mut() {
                        lines.push(line.clone());
                    }
                }
                Open::Proxy => {
                    if let Some(proxy) = config.proxies.last_mut() {
                        proxy.own.push(line.clone());
                    }
                }
                Open::Other => ledger.skip(line.number),
            }
        }
        Ok(config)
    }

    fn begin(
        &mut self,
        line: &Line,
        defaults: &mut Vec<(String, Vec<Line>)>,
        ledger: &mut Ledger,
    ) -> Option<Open> {
        let kind = match line.word(0) {
            "global" => {
                ledger.carried(line.number);
                return Some(Open::Global);
            }
            "defaults" => {
                ledger.carried(line.number);
                let (name, from) = match (line.word(1), line.word(2)) {
                    ("from", other) => ("", other),
                    (name, "from") => (name, line.word(3)),
                    (name, _) => (name, ""),
                };
                let inherited = match from {
                    "" => Vec::new(),
                    from => named(defaults, from).unwrap_or_default(),
                };
                defaults.push((name.to_owned(), inherited));
                return Some(Open::Defaults);
            }
            "frontend" => Kind::Frontend,
            "backend" => Kind::Backend,
            "listen" => Kind::Listen,
            other => {
                let (_, why, instead) = OTHERS.iter().find(|(name, _, _)| *name == other)?;
                ledger.lost(line.number, *why, *instead);
                return Some(Open::Other);
            }
        };
        ledger.carried(line.number);
        let from = line
            .words
            .iter()
            .position(|word| word == "from")
            .map(|at| line.word(at + 1));
        let inherited = match from {
            Some(name) => named(defaults, name).unwrap_or_default(),
            None => defaults
                .last()
                .map(|(_, lines)| lines.clone())
                .unwrap_or_default(),
        };
        let mut own = Vec::new();
        // Before HAProxy 1.8 an address could stand behind the name.
        if matches!(kind, Kind::Frontend | Kind::Listen) && line.word(2).contains(':') {
            own.push(Line {
                number: line.number,
                words: ["bind".to_owned()]
                    .into_iter()
                    .chain(line.from(2).iter().cloned())
                    .collect(),
                variable: line.variable,
            });
        }
        self.proxies.push(Proxy {
            kind,
            name: line.word(1).to_owned(),
            line: line.number,
            own,
            inherited,
        });
        Some(Open::Proxy)
    }
}

#[derive(Debug, Clone, Copy)]
enum Open {
    Nothing,
    Global,
    Defaults,
    Proxy,
    Other,
}

fn named(defaults: &[(String, Vec<Line>)], name: &str) -> Option<Vec<Line>> {
    let mut found = defaults.iter().rev().filter(|(other, _)| other == name);
    found.next().map(|(_, lines)| lines.clone())
}

impl Proxy {
    /// The last one counts; its own before those of `defaults`.
    pub(super) fn last(&self, words: &[&str]) -> Option<&Line> {
        let of = |lines: &'_ [Line]| lines.iter().rposition(|line| line.begins(words));
        match of(&self.own) {
            Some(at) => self.own.get(at),
            None => of(&self.inherited).and_then(|at| self.inherited.get(at)),
        }
    }

    /// All of them, those of `defaults` first.
    pub(super) fn all<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = &'a Line> + 'a {
        let both = self.inherited.iter().chain(&self.own);
        both.filter(move |line| line.begins(words))
    }

    /// `option NAME`, unless `no option NAME` comes later.
    pub(super) fn option(&self, name: &str) -> Option<&Line> {
        let yes = ["option", name];
        let no = ["no", "option", name];
        let of = |lines: &'_ [Line]| {
            lines
                .iter()
                .rposition(|line| line.begins(&yes) || line.begins(&no))
        };
        let line = match of(&self.own) {
            Some(at) => self.own.get(at),
            None => of(&self.inherited).and_then(|at| self.inherited.get(at)),
        };
        line.filter(|line| line.begins(&yes))
    }

    /// Without `mode`, HAProxy relays bytes.
    pub(super) fn is_http(&self) -> bool {
        self.last(&["mode"])
            .is_some_and(|line| line.word(1) == "http")
    }

    pub(super) fn listens(&self) -> bool {
        self.kind != Kind::Backend
    }

    pub(super) fn answers(&self) -> bool {
        self.kind != Kind::Frontend
    }
}
