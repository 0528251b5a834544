//! One file per verb. Each has `Args` and `run(&Args) -> anyhow::Result<u8>`, the exit status.

pub(crate) mod check;
pub(crate) mod db;
pub(crate) mod down;
pub(crate) mod endpoint;
pub(crate) mod explain;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod trust;
pub(crate) mod up;
pub(crate) mod upgrade;

use crate::cli::Verb;

pub(crate) fn dispatch(verb: Verb) -> anyhow::Result<u8> {
    match verb {
        Verb::Init(args) => init::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Up(args) => up::run(&args),
        Verb::Db(args) => db::run(&args),
        Verb::Down(args) => down::run(&args),
        Verb::Reload(args) => reload::run(&args),
        Verb::Endpoint(args) => endpoint::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Sql(args) => sql::run(&args),
        Verb::Upgrade(args) => upgrade::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Logs(args) => logs::run(&args),
        Verb::Trust(args) => trust::run(&args),
        Verb::Schema(args) => schema::run(&args),
        Verb::Run(args) => run::run(&args),
    }
}
