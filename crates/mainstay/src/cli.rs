//! Pure: the verbs and their flags, nothing else. The flags of a verb stand in the verb's file.

use clap::{Parser, Subcommand};

use crate::verbs::{
    check, db, down, endpoint, explain, import, init, logs, reload, run, schema, sql, status,
    trust, up, upgrade,
};

/// A website on several servers, from one file.
#[derive(Parser, Debug)]
#[command(name = "mainstay", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Write a commented site file to begin with
    Init(init::Args),
    /// Make a site file of another balancer's configuration, and list what could not be carried over
    Import(import::Args),
    /// Say what is wrong with a site file, and what its design lacks
    Check(check::Args),
    /// Run the whole site on this machine
    Up(up::Args),
    /// Stop a site that runs
    Down(down::Args),
    /// Take a changed site file into force without losing a request
    Reload(reload::Args),
    /// Put this binary in the place of the one that serves, without losing a request
    Upgrade(upgrade::Args),
    /// Show every server, process, endpoint and database member
    Status(status::Args),
    /// Show endpoints; drain one, bring it back, change its share
    Endpoint(endpoint::Args),
    /// Say which route, backend and endpoint a request would take, and why
    Explain(explain::Args),
    /// Say which SQL statements were run, and where one would go
    Sql(sql::Args),
    /// Operate the database: status, switchover, maintenance, shell, accounts, backups
    Db(db::Args),
    /// Show what the site's processes print
    Logs(logs::Args),
    /// Say how to make browsers trust the site's local authority
    Trust(trust::Args),
    /// Print the JSON Schema of the site file
    Schema(schema::Args),
    /// Be one process of a site (started by `up`, not by people)
    #[command(hide = true)]
    Run(run::Args),
}
