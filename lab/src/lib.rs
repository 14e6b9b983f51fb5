//! lab

pub mod gnb;
pub mod site;
pub mod ue;
