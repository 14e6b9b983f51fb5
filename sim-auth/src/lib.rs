//! sim-auth
