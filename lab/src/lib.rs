//! lab

pub mod gnb;
pub mod mme;
pub mod relay;
pub mod site;
pub mod smf;
pub mod ue;
