//! What a SIM may reach, as another core is told of it.

use crate::{Ports, Protocol};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What may pass in a session, by the rules for its SIM. Never narrower than they are: who judges by it alone lets at
/// least through what we do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SessionPolicy {
    /// Each between the UE and a part of the network.
    pub flows: Vec<PermittedFlow>,
}

/// One kind of flow that may pass, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PermittedFlow {
    /// Transport protocol.
    pub protocol: Protocol,
    /// Where the app is.
    pub remote: IpNet,
    /// The app's ports.
    pub remote_ports: Ports,
    /// The UE's ports.
    pub ue_ports: Ports,
}
