//! pgw-policy
