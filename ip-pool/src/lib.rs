//! ip-pool
