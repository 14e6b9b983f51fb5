//! lab

pub mod site;
