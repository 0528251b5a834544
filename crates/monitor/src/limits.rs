//! Pure: every bound and every wait of the monitor, with its origin.

use std::time::Duration;

/// How much the monitor keeps, how long it waits, when people are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A replica further behind is late. The site file's default for `max-lag` in `[database]`.
    pub max_lag: Duration,
    /// How often the alert rules look when nothing changes.
    pub look_every: Duration,
    /// Pages open at once; each holds a connection and gets every status.
    pub listeners: usize,
    /// The least time between two statuses to one page: four a second look continuous.
    pub live_at_most: Duration,
    /// The longest: a page that hears nothing for three of these says that it is cut off.
    pub live_at_least: Duration,
    pub holds: Holds,
    pub webhook: Webhook,
}

/// How long each condition must hold before people are called, and be away before it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holds {
    pub site_down: Hold,
    pub no_primary: Hold,
    pub endpoint_down: Hold,
    pub replica_broken: Hold,
    pub replica_rebuilding: Hold,
    pub replica_lags: Hold,
    pub crash_looping: Hold,
    /// Also for one that failed its trial restore.
    pub backup_failed: Hold,
    /// Also for logs that are not archived.
    pub backup_old: Hold,
    pub backup_not_verified: Hold,
}

/// One condition's patience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// It fires when it has held this long in total, without a gap of `over_after`.
    pub fire_after: Duration,
    /// It is over when it was away this long without a break.
    pub over_after: Duration,
}

/// How a notice reaches a receiver that is slow or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Webhook {
    /// Notices that wait for one receiver: some minutes of a very bad day on twenty servers.
    pub queue: usize,
    /// For one attempt, from the name's resolution to the answer.
    pub timeout: Duration,
    /// The wait after the first failure; it doubles.
    pub first_wait: Duration,
    pub longest_wait: Duration,
    /// Attempts for one notice, the first included. With the waits below about six minutes: longer
    /// than the restart of a receiver, short enough that what follows is still news.
    pub attempts: u32,
    /// For the last notices when the site is stopped.
    pub last_words: Duration,
}

const fn hold(fire_after_s: u64, over_after_s: u64) -> Hold {
    Hold {
        fire_after: Duration::from_secs(fire_after_s),
        over_after: Duration::from_secs(over_after_s),
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_lag: Duration::from_secs(5),
            look_every: Duration::from_secs(1),
            listeners: 32,
            live_at_most: Duration::from_millis(250),
            live_at_least: Duration::from_secs(5),
            holds: Holds::default(),
            webhook: Webhook::default(),
        }
    }
}

impl Default for Holds {
    /// A process that was killed is back in a second or two; nobody is called for that.
    fn default() -> Self {
        Self {
            site_down: hold(3, 5),
            no_primary: hold(5, 5),
            endpoint_down: hold(5, 15),
            // Crash recovery of a database server takes some seconds.
            replica_broken: hold(15, 15),
            // A copy of some ten gigabytes; a larger database is worth a look all the same.
            replica_rebuilding: hold(600, 0),
            replica_lags: hold(15, 15),
            // Four short runs are behind it when the supervisor says so; and as `process::restart`
            // has it, 30 s without an exit are a healthy run.
            crash_looping: hold(0, 30),
            // It was tried, and the next try is a minute away.
            backup_failed: hold(0, 0),
            // A new site's first backup of some ten gigabytes.
            backup_old: hold(600, 0),
            // A trial restore of some hundred.
            backup_not_verified: hold(3600, 0),
        }
    }
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            queue: 64,
            timeout: Duration::from_secs(5),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            attempts: 12,
            last_words: Duration::from_secs(2),
        }
    }
}
