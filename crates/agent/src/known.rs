//! What is known of a running site: the latest report of everything, for the wiring and the status.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use app::instance::InstanceReport;
use database::MemberReport;
use site::name::ServerName;
use site::target::Target;
use tokio::sync::{Notify, watch};

use crate::backup_side::Watched;
use crate::role_process::{Asker, RoleReport};

/// Shared by the tasks of a site.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) members: Mutex<Vec<watch::Receiver<MemberReport>>>,
    pub(crate) instances: Mutex<BTreeMap<ServerName, Vec<watch::Receiver<InstanceReport>>>>,
    pub(crate) roles: Mutex<Vec<Role>>,
    pub(crate) release: Mutex<Option<(String, PathBuf)>>,
    /// The plan in force, which roles are told their parts of; none before the first.
    pub(crate) target: Mutex<Option<Arc<Target>>>,
    /// Something has changed.
    pub(crate) changed: Notify,
    pub(crate) observe: Notify,
    pub(crate) serving: Mutex<bool>,
    /// None: the site has no backups.
    pub(crate) backups: Mutex<Option<Watched>>,
}

/// A role process, for those who look at it.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) server: ServerName,
    pub(crate) role: &'static str,
    pub(crate) report: watch::Receiver<RoleReport>,
    pub(crate) asker: Asker,
    pub(crate) snapshot: watch::Sender<Option<serde_json::Value>>,
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves the lists whole: each change is one assignment.
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Known {
    pub(crate) fn member_reports(&self) -> Vec<MemberReport> {
        locked(&self.members)
            .iter()
            .map(|report| report.borrow().clone())
            .collect()
    }

    pub(crate) fn instance_reports(&self, server: &ServerName) -> Vec<InstanceReport> {
        let instances = locked(&self.instances);
        let of = instances.get(server).into_iter().flatten();
        of.map(|report| report.borrow().clone()).collect()
    }

    pub(crate) fn roles(&self) -> Vec<Role> {
        locked(&self.roles).clone()
    }
}
