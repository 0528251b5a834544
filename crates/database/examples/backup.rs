//! For bench/backup: one backup of a server taken and restored by the same functions as a site's, timed.
//!
//! `backup SOCKET DATA_DIR PASSWORD_FILE DESTINATION KEY|- RESTORE_DIR` prints one JSON object. The server
//! has the account `mainstay` with that password.

#![allow(clippy::print_stdout, reason = "it is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use database::Programs;
use database::backup::destination::{Destination, Directory};
use database::backup::key::Key;
use database::backup::point_in_time::{Plan, Until};
use database::backup::restore::{self, Job};
use database::backup::take::{self, Bench, Order};
use database::engine::tool::Cancel;
use database::record::{FORMAT, MemberRecord, Standing};
use process::spawn::Spawner;
use site::name::MemberName;
use site::target::MemberTarget;
use telemetry::Secret;
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [socket, data_dir, password, destination, key, into] = args.as_slice() else {
        return Err("SOCKET DATA_DIR PASSWORD_FILE DESTINATION KEY|- RESTORE_DIR".into());
    };
    let key = match key.as_str() {
        "-" => None,
        _ => Some(Key::of("bench", &Key::generate())?),
    };
    let destination_dir = PathBuf::from(destination);
    let destination = Destination::Directory(Directory::new(destination_dir.clone()));
    let (_stop, told) = watch::channel(false);
    let mut bench = Bench {
        site: "bench".to_owned(),
        programs: Programs::from_path(std::env::var_os("PATH")),
        spawner: Spawner::start_with(None, false, "bench-backup".to_owned())?,
        log: destination_dir.with_extension("log"),
        runtime_dir: destination_dir.with_extension("run"),
        work_dir: destination_dir.with_extension("work"),
        admin: Secret::new(std::fs::read_to_string(password)?.trim()),
        cancel: Cancel::new(told),
    };
    let member = MemberName::new("db-1");
    let order = Order {
        member: member.clone(),
        source: MemberRecord {
            format: FORMAT,
            server_id: 1,
            machine: String::new(),
            socket: socket.into(),
            data_dir: data_dir.into(),
            obeyed: None,
            standing: Standing::default(),
        },
        base: None,
        history: 1,
    };
    let began = Instant::now();
    let manifest = take::take(&mut bench, &destination, key.as_ref(), order).await?;
    let took = began.elapsed();
    let job = Job {
        plan: Plan {
            chain: vec![manifest.id.clone()],
            from: manifest.position.parse()?,
            logs: Vec::new(),
            until: Until::Backup,
            history: 1,
        },
        chain: vec![manifest.clone()],
        logs: Vec::new(),
        destination,
        key,
        member: MemberTarget {
            name: member,
            listen: ([127, 0, 0, 1], 0).into(),
            server_id: 1,
            first_primary: true,
            schema: "bench".to_owned(),
            user: "bench".to_owned(),
            members: Vec::new(),
            buffer_pool: 128 << 20,
            settings: std::collections::BTreeMap::new(),
            max_lag: std::time::Duration::from_secs(5),
            acknowledged: false,
        },
        into: into.into(),
    };
    let restored = restore::restore(&mut bench, &job).await?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!(
        "{{\"backup_s\": {:.3}, \"restore_s\": {:.3}, \"plain_bytes\": {}, \"bytes\": {}, \
         \"peak\": \"{}\"}}",
        took.as_secs_f64(),
        restored.took.as_secs_f64(),
        manifest.data.plain_bytes,
        manifest.data.bytes,
        peak.unwrap_or_default().trim()
    );
    Ok(())
}
