//! broken_replica
