//! What is asked of the radio, and what it answers.

use ipnet::IpNet;
use lab::relay::Tally;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use types::{Dnn, Imsi, Plmn, Snssai, Tac};

/// Where the AMF is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AmfAt {
    /// Its N2 address.
    pub address: Ipv4Addr,
    /// By the kernel's SCTP; else by the userspace stack over UDP.
    pub kernel_sctp: bool,
}

/// What is asked of the radio.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RanAsk {
    /// Bring the interface to the core up.
    Up {
        /// Address and prefix length.
        address: IpNet,
    },
    /// Be a gNB and connect.
    Gnb {
        /// Its name.
        name: String,
        /// PLMN that it broadcasts.
        plmn: Plmn,
        /// Its tracking area.
        tac: Tac,
        /// Its slice.
        slice: Snssai,
        /// Its own address, for N2 and N3.
        address: Ipv4Addr,
        /// The AMF.
        amf: AmfAt,
    },
    /// Have a UE with this SIM, switched off. The keys are made for the demo and thrown away with it.
    Ue {
        /// Its name.
        name: String,
        /// Its IMSI.
        imsi: Imsi,
        /// K, hexadecimal.
        k: String,
        /// OPc, hexadecimal.
        opc: String,
        /// The data network that it wants.
        dnn: Dnn,
    },
    /// Register, set up a session, and give its interface to the namespace of process `host`.
    Attach {
        /// Which UE.
        ue: String,
        /// Process of its host.
        host: u32,
    },
    /// Register and set up a session that has no interface: its packets come from [`RanAsk::Flood`].
    AttachBare {
        /// Which UE.
        ue: String,
    },
    /// The same, and the answer comes within this time, also if the network is silent.
    TryBare {
        /// Which UE.
        ue: String,
        /// Milliseconds.
        within_ms: u64,
    },
    /// Set up one more session of a registered UE, without an interface.
    MoreBare {
        /// Which UE.
        ue: String,
        /// Its number, from 2.
        id: u8,
        /// The data network.
        dnn: Dnn,
    },
    /// Have a UE hear nothing any more.
    Deaf {
        /// Which UE.
        ue: String,
    },
    /// Give N2 up and connect again: what a radio does sooner or later when its core died, at once.
    Reconnect,
    /// What the cards have seen.
    Cards,
    /// Send UDP datagrams from all bare sessions in turn, without end and whatever the network says, each with the
    /// instant of its sending. Sessions that come later join.
    Flood {
        /// Where to.
        to: std::net::SocketAddrV4,
        /// Packets a second, all sessions together.
        per_second: u32,
    },
    /// Send octets at random from our own address.
    Noise {
        /// Where to.
        to: std::net::SocketAddrV4,
        /// How many datagrams.
        datagrams: u32,
        /// How a third of them begins.
        beginning: Vec<u8>,
    },
    /// Send messages at random by our association with the AMF; a third of them begins as an NGAP message does.
    NgapNoise {
        /// How many.
        messages: u32,
    },
    /// From here on a relay between us and the AMF damages messages, both ways.
    Damage {
        /// How many of a thousand; 0 for none.
        per_mille: u16,
        /// What its chance begins with.
        seed: u64,
    },
    /// What the relay has done since.
    Damaged,
    /// Ask the AMF to let a UE go idle.
    LetGo {
        /// Which UE.
        ue: String,
    },
    /// Switch it off and on.
    PowerCycle {
        /// Which UE.
        ue: String,
    },
}

/// What the radio answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum RanAnswer {
    /// Done.
    Done,
    /// The UE is registered and its session is up.
    Attached {
        /// Its address.
        ip: Ipv4Addr,
        /// MTU that it was told, octets.
        mtu: u16,
        /// Its interface; empty for a bare one.
        dev: String,
        /// From switching on to the open path, microseconds.
        us: u64,
    },
    /// The network refused it.
    Refused {
        /// 5GMM cause.
        cause: u8,
        /// The refusal was integrity protected.
        protected: bool,
        /// Microseconds until it came.
        us: u64,
    },
    /// The session was refused.
    NoSession {
        /// 5GSM cause, where there was one.
        cause: Option<u8>,
    },
    /// Nothing came in time.
    Silence,
    /// What the relay did to how many messages.
    Damaged(Tally),
    /// Challenges that the cards opened, and the SIMs that saw one SQN in two different challenges.
    Cards {
        /// Challenges with a right MAC.
        challenges: u64,
        /// Whose SQN was reused.
        reused: Vec<Imsi>,
    },
}
