//! An invented site and its traffic.

use monitor::status::{
    EndpointStatus, MemberStatus, ProcessStatus, ServerStatus, SiteStatus, State, Traffic,
};
use telemetry::Severity;
use telemetry::metrics::LATENCY_SECONDS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    Well,
    /// An app server down, a replica late.
    Trouble,
    /// Twenty servers.
    Many,
}

/// Seconds ago, severity, server, kind, what.
pub(crate) const EVENTS: [(u64, Severity, &str, &str, &str); 9] = {
    use Severity::{Error, Info, Warning};
    [
        (
            1380,
            Info,
            "db-1",
            "primary",
            "it is the primary and takes writes (generation 3)",
        ),
        (
            1379,
            Info,
            "db-1",
            "replica-following",
            "this replica follows db-1.1",
        ),
        (
            1371,
            Info,
            "lb-1",
            "endpoint-up",
            "endpoint app-1 is up: 200 in 1.2 ms",
        ),
        (
            1371,
            Info,
            "lb-1",
            "endpoint-up",
            "endpoint app-2 is up: 200 in 1.4 ms",
        ),
        (
            1370,
            Info,
            "",
            "site-serving",
            "the site serves at http://127.0.0.1:8080",
        ),
        (
            611,
            Warning,
            "app-2",
            "instance-exited",
            "instance app-2/2 ended: killed by signal 9",
        ),
        (
            610,
            Info,
            "app-2",
            "instance-ready",
            "instance app-2/2 is ready again",
        ),
        (
            302,
            Error,
            "lb-1",
            "endpoint-down",
            "endpoint app-1 is down: connection refused",
        ),
        (
            298,
            Info,
            "lb-1",
            "endpoint-up",
            "endpoint app-1 is up: 200 in 2.0 ms",
        ),
    ]
};

pub(crate) struct World {
    scene: Scene,
    began_ms: u64,
    seconds: u64,
    traffic: Traffic,
    requests: Vec<u64>,
    lag_ms: u64,
    trouble_since: Option<u64>,
    chance: u64,
}

impl World {
    pub(crate) fn new(scene: Scene, began_ms: u64) -> Self {
        let apps = if scene == Scene::Many { 14 } else { 2 };
        Self {
            scene,
            began_ms,
            seconds: 0,
            traffic: Traffic {
                latency: vec![0; LATENCY_SECONDS.len()],
                ..Traffic::default()
            },
            requests: vec![0; apps],
            lag_ms: 4,
            trouble_since: None,
            chance: 42,
        }
    }

    /// A share of one, from a fixed sequence (xorshift): every run looks the same.
    fn chance(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn at_ms(&self) -> u64 {
        self.began_ms + self.seconds * 1000
    }

    /// Lets a second pass.
    pub(crate) fn second(&mut self, scene: Scene) {
        self.seconds += 1;
        let trouble = scene == Scene::Trouble;
        if trouble && self.trouble_since.is_none() {
            self.trouble_since = Some(self.at_ms());
        }
        let t = self.seconds as f64;
        let many = if self.scene == Scene::Many { 9.0 } else { 1.0 };
        let level = many * (230.0 + 70.0 * (t / 170.0).sin() + 25.0 * (t / 23.0).sin());
        let requests = (level * (0.93 + 0.14 * self.chance())) as u64;
        let blip = (595..600).contains(&(self.seconds % 900));
        let errors = match (trouble, blip) {
            (true, _) => requests / 60,
            (_, true) => requests / 40,
            _ => u64::from(self.chance() < 0.02),
        };
        self.traffic.requests += requests;
        self.traffic.by_class[1] += requests - errors;
        self.traffic.by_class[4] += errors;
        self.traffic.bytes_out += requests * 14_300;
        self.traffic.connections += requests / 7;
        self.traffic.sql_to_primary += requests * 2 / 5;
        self.traffic.sql_to_replica += if trouble { 0 } else { requests * 9 / 4 };
        let slow = 1.0 + 1.2 * f64::from(u8::from(trouble)) + 0.25 * (t / 61.0).sin();
        for _ in 0..requests {
            let took = 0.0018 * slow * (-self.chance().ln()).powf(1.7);
            for (bucket, bound) in self.traffic.latency.iter_mut().zip(LATENCY_SECONDS) {
                *bucket += u64::from(took <= bound);
            }
            if took > 10.0 {
                self.traffic.latency[LATENCY_SECONDS.len() - 1] += 1;
            }
        }
        let up = self.requests.len() as u64 - u64::from(trouble);
        for endpoint in self.requests.iter_mut().skip(usize::from(trouble)) {
            *endpoint += requests / up;
        }
        self.lag_ms = match trouble {
            true => self.lag_ms + 850,
            false => (3.0 + 9.0 * self.chance()) as u64,
        };
    }

    pub(crate) fn status(&mut self) -> SiteStatus {
        let trouble = self.trouble_since.is_some();
        let mut problems = Vec::new();
        if trouble {
            problems.push("endpoint app-1 is down: connection refused".into());
            problems.push("web on app-1 is waiting: killed by signal 9 (KILL)".into());
        }
        SiteStatus {
            backup: None,
            site: "foobar".into(),
            at_ms: self.at_ms(),
            state: if trouble {
                State::Degraded
            } else {
                State::Serving
            },
            problems,
            urls: vec![
                "http://127.0.0.1:8080".into(),
                "https://127.0.0.1:8443".into(),
            ],
            dashboard: None,
            release: "3f9a1c27d04be5".into(),
            servers: self.servers(),
            endpoints: self.endpoints(),
            members: self.members(),
            generation: 3,
            paused: false,
            traffic: self.traffic.clone(),
        }
    }

    fn servers(&self) -> Vec<ServerStatus> {
        let mut servers = Vec::new();
        let server = |name: String, address: String, roles: &[&str], processes| ServerStatus {
            name,
            address,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            processes,
        };
        let (balancers, data) = if self.scene == Scene::Many {
            (2, 4)
        } else {
            (1, 1)
        };
        for n in 1..=balancers {
            let processes = vec![self.process("balancer", 4100 + n)];
            servers.push(server(
                format!("lb-{n}"),
                format!("127.0.7.1{n}"),
                &["balancer"],
                processes,
            ));
        }
        for n in 1..=self.requests.len() as u32 {
            let names = ["web", "app/1", "app/2", "sql-router"];
            let mut processes: Vec<ProcessStatus> = (0..)
                .zip(names)
                .map(|(i, name)| self.process(name, 4200 + 10 * n + i))
                .collect();
            if let (1, Some(since)) = (n, self.trouble_since) {
                let web = &mut processes[0];
                web.state = "waiting".into();
                web.pid = None;
                web.restarts = 3;
                web.since_ms = since;
                web.reason = "killed by signal 9 (KILL)".into();
            }
            if n == 2 {
                processes[2].restarts = 1;
                processes[2].since_ms = self.at_ms() - 610_000;
            }
            servers.push(server(
                format!("app-{n}"),
                format!("127.0.7.{}", 20 + n),
                &["web", "app"],
                processes,
            ));
        }
        for n in 1..=data {
            let processes = vec![
                self.process(&format!("database/db-{n}.1"), 4900 + 2 * n),
                self.process(&format!("database/db-{n}.2"), 4901 + 2 * n),
            ];
            let processes = processes
                .into_iter()
                .take(if data == 1 { 2 } else { 1 })
                .collect();
            servers.push(server(
                format!("db-{n}"),
                format!("127.0.7.{}", 50 + n),
                &["database"],
                processes,
            ));
        }
        servers
    }

    fn process(&self, name: &str, pid: u32) -> ProcessStatus {
        ProcessStatus {
            name: name.into(),
            pid: Some(pid),
            state: "ready".into(),
            restarts: 0,
            since_ms: self.began_ms - 480_000,
            reason: String::new(),
        }
    }

    fn endpoints(&mut self) -> Vec<EndpointStatus> {
        let balancers = if self.scene == Scene::Many { 2 } else { 1 };
        let mut endpoints = Vec::new();
        for balancer in 1..=balancers {
            for n in 0..self.requests.len() {
                let down = self.trouble_since.filter(|_| n == 0);
                endpoints.push(EndpointStatus {
                    balancer: format!("lb-{balancer}"),
                    backend: "web".to_owned(),
                    standing: "up".to_owned(),
                    weight: 1,
                    wished_weight: None,
                    backup: false,
                    name: format!("app-{}", n + 1),
                    address: format!("127.0.7.{}:8000", 21 + n),
                    up: down.is_none(),
                    since_ms: down.unwrap_or(self.began_ms - 471_000),
                    reason: if down.is_some() {
                        "connection refused"
                    } else {
                        ""
                    }
                    .into(),
                    requests: self.requests[n] / balancers,
                    failures: if n == 0 { 7 } else { 0 },
                    open: if down.is_some() {
                        0
                    } else {
                        (self.chance() * 5.0) as u64
                    },
                });
            }
        }
        endpoints
    }

    fn members(&self) -> Vec<MemberStatus> {
        let names: &[(&str, &str)] = match self.scene {
            Scene::Many => &[
                ("db-1.1", "db-1"),
                ("db-2.1", "db-2"),
                ("db-3.1", "db-3"),
                ("db-4.1", "db-4"),
            ],
            _ => &[("db-1.1", "db-1"), ("db-1.2", "db-1")],
        };
        let gtid = format!("0-1-{}", 88_000 + self.traffic.sql_to_primary / 3);
        let members = names
            .iter()
            .enumerate()
            .map(|(n, (name, server))| MemberStatus {
                name: (*name).into(),
                server: (*server).into(),
                address: "127.0.7.51:3306".into(),
                role: if n == 0 { "primary" } else { "replica" }.into(),
                state: "running".into(),
                read_only: n > 0,
                lag_ms: (n > 0).then_some(self.lag_ms),
                gtid: gtid.clone(),
                reason: if n == 0 { "" } else { "follows db-1.1" }.into(),
            });
        members.collect()
    }
}
