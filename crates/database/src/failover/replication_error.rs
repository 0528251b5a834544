//! Pure: what an error that stopped replication means.
//!
//! Numbers: MariaDB Error Code Reference; those that mean "the rows here are not the primary's" are
//! the ones row events give when they do not fit.

use super::attempts::Attempts;
use super::view::{Replication, ServerError};

/// What to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The data differs from the primary's, or the primary no longer has what is needed: starting
    /// again gives the same error.
    Lost,
    /// A full disk, a killed connection, a shutdown: it may go on as soon as that is over.
    Surroundings,
    /// Not known: worth a few tries.
    Unclear,
}

/// The error of the thread that applies (`Last_SQL_Errno`).
pub fn sql_verdict(code: u16) -> Verdict {
    match code {
        // no such row; duplicate key
        1032 | 1062 => Verdict::Lost,
        // schema or table there already, or missing; column, key or type differs
        1007 | 1008 | 1049 | 1050 | 1051 | 1054 | 1060 | 1061 | 1091 | 1146 | 1535 | 1677 => {
            Verdict::Lost
        }
        // account there already, or missing; foreign keys
        1396 | 1133 | 1451 | 1452 => Verdict::Lost,
        // GTID out of order (gtid_strict_mode); duplicate GTID position
        1950 | 1942 => Verdict::Lost,
        // disk full, errors of files, storage engine, memory; table full
        3 | 1021 | 1026 | 1030 | 1037 | 1038 | 1041 | 1114 => Verdict::Surroundings,
        // lock wait timeout, deadlock, shutdown, interrupted, connection killed
        1205 | 1213 | 1053 | 1317 | 1927 => Verdict::Surroundings,
        _ => Verdict::Unclear,
    }
}

/// The error of the thread that receives (`Last_IO_Errno`).
pub fn io_verdict(code: u16) -> Verdict {
    match code {
        // The primary cannot send from there: purged, or the histories have diverged.
        1236 => Verdict::Lost,
        // Everything else is connecting, logging in, writing the relay log.
        _ => Verdict::Surroundings,
    }
}

/// Times a stop of unclear cause is tried again before it counts as a lost place.
const UNCLEAR_TRIES: u32 = 3;

/// Does starting again help no more?
pub fn is_lost(verdict: Verdict, starts: Attempts) -> bool {
    match verdict {
        Verdict::Lost => true,
        Verdict::Unclear => starts.count >= UNCLEAR_TRIES,
        Verdict::Surroundings => false,
    }
}

/// Why what was received cannot be applied, if it cannot.
pub fn broken(replication: &Replication, starts: Attempts) -> Option<&ServerError> {
    let error = replication.sql_error.as_ref()?;
    let lost = is_lost(sql_verdict(error.code), starts);
    (!replication.sql_running && lost).then_some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errors_are_told_apart() {
        assert_eq!(sql_verdict(1062), Verdict::Lost);
        assert_eq!(sql_verdict(1950), Verdict::Lost);
        assert_eq!(sql_verdict(1021), Verdict::Surroundings);
        assert_eq!(sql_verdict(1594), Verdict::Unclear);
        assert_eq!(io_verdict(1236), Verdict::Lost);
        assert_eq!(io_verdict(1045), Verdict::Surroundings);
    }
}
