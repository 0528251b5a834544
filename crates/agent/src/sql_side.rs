//! What the SQL routers are asked for people: which statements they ran, where one would go.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use site::name::ServerName;
use sql_router::snapshot::{Question, RouteAnswer, RouteQuestion, Statistics};

use crate::known::{Known, Role};
use crate::role_process::RoleState;
use crate::up_error::UpError;

/// What each router has counted, by its server. `reset`: from now on anew.
pub(crate) async fn statistics(
    known: &Known,
    reset: bool,
) -> Result<BTreeMap<ServerName, Statistics>, UpError> {
    let mut all = BTreeMap::new();
    for router in routers(known)? {
        let counted = ask(&router, &Question::Statistics { reset }).await?;
        all.insert(router.server, counted);
    }
    Ok(all)
}

/// Where a statement would go, as the first router sees it: all are told the same.
pub(crate) async fn route(known: &Known, question: RouteQuestion) -> Result<RouteAnswer, UpError> {
    let routers = routers(known)?;
    let Some(first) = routers.first() else {
        return Err(none());
    };
    ask(first, &Question::Route(question)).await
}

/// Those that serve.
fn routers(known: &Known) -> Result<Vec<Role>, UpError> {
    let roles = known.roles().into_iter();
    let all: Vec<Role> = roles.filter(|role| role.role == "sql-router").collect();
    if all.is_empty() {
        return Err(none());
    }
    let ready = |role: &Role| role.report.borrow().state == RoleState::Ready;
    let serving: Vec<Role> = all.into_iter().filter(ready).collect();
    match serving.is_empty() {
        true => Err(UpError::new(
            "no SQL router serves now",
            "`mainstay status` shows why",
        )),
        false => Ok(serving),
    }
}

fn none() -> UpError {
    UpError::new(
        "this site has no SQL router",
        "servers with the roles `app` and `database` in the site file make one",
    )
}

async fn ask<T: DeserializeOwned>(router: &Role, question: &Question) -> Result<T, UpError> {
    let value = serde_json::to_value(question).map_err(|e| UpError::new(e.to_string(), ""))?;
    let answer = router.asker.question(value).await.unwrap_or_default();
    serde_json::from_str(&answer).map_err(|e| {
        tracing::debug!("{}: {e}", router.server);
        let what = format!("the SQL router on {} does not answer", router.server);
        UpError::new(what, "`mainstay status` shows its state; try again")
    })
}
