//! lab

pub mod gnb;
pub mod mme;
pub mod peer;
pub mod relay;
pub mod site;
pub mod smf;
pub mod ue;
