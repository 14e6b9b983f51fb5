//! Why the ledger says no. Each text ends with what to do.

use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use thiserror::Error;
use types::{AddressRefusal, Dnn, Imsi, RoutePrefix, UeIp, Utc};

/// Why a pool was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PoolError {
    /// Bits right of the prefix length are set.
    #[error("pool {0} has bits set behind its prefix length; write {network}", network = .0.trunc())]
    HostBits(Ipv4Net),
    /// No address is left beside network, gateway and broadcast.
    #[error("pool {0} has no address to give beside network, gateway and broadcast; use /1 to /30")]
    Size(Ipv4Net),
    /// The gateway is not a host address of the pool.
    #[error("gateway {gateway} is not a host address of pool {prefix}; name one inside")]
    Gateway {
        /// The gateway that was asked for.
        gateway: Ipv4Addr,
        /// The pool.
        prefix: Ipv4Net,
    },
    /// Another data network has some of these addresses.
    #[error(
        "pool {prefix} shares addresses with {other_prefix} of data network {other}; give them separate pools"
    )]
    Overlap {
        /// The pool.
        prefix: Ipv4Net,
        /// The other data network.
        other: Dnn,
        /// Its pool.
        other_prefix: Ipv4Net,
    },
    /// A network behind a SIM has some of these addresses.
    #[error("pool {prefix} shares addresses with {route}, which lies behind SIM {imsi}; choose another pool")]
    Route {
        /// The pool.
        prefix: Ipv4Net,
        /// The route.
        route: RoutePrefix,
        /// Its SIM.
        imsi: Imsi,
    },
    /// A reservation would lie outside, or on the gateway.
    #[error(
        "{ip} is reserved for SIM {imsi} and could not be given from the new pool; remove the reservation first"
    )]
    Reserved {
        /// The reserved address.
        ip: UeIp,
        /// The SIM.
        imsi: Imsi,
    },
}

/// Why a reservation was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReservationError {
    /// No such data network.
    #[error("there is no data network {0}; add it or name one that exists")]
    UnknownDnn(Dnn),
    /// Outside the pool.
    #[error("{ip} is outside {prefix}, the pool of {dnn}; use an address inside")]
    OutsidePool {
        /// The address.
        ip: UeIp,
        /// The pool.
        prefix: Ipv4Net,
        /// The data network.
        dnn: Dnn,
    },
    /// The pool's network address.
    #[error("{0} is the network address of its pool; use a host address")]
    Network(UeIp),
    /// The pool's broadcast address.
    #[error("{0} is the broadcast address of its pool; use a host address")]
    Broadcast(UeIp),
    /// The pool's gateway address.
    #[error("{0} is the gateway address of its pool; use another one")]
    Gateway(UeIp),
    /// Reserved for another SIM.
    #[error("{ip} is reserved for SIM {imsi}; use another address or remove that reservation")]
    Reserved {
        /// The address.
        ip: UeIp,
        /// The other SIM.
        imsi: Imsi,
    },
    /// Leased by another SIM.
    #[error("SIM {imsi} has {ip}; use another address or release that lease first")]
    Leased {
        /// The address.
        ip: UeIp,
        /// The other SIM.
        imsi: Imsi,
    },
}

/// Why a SIM may not have a route.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RouteRefused {
    /// Sessions have these addresses.
    #[error("{prefix} shares addresses with {pool}, the pool of {dnn}; name the network behind the SIM")]
    Pool {
        /// The route.
        prefix: RoutePrefix,
        /// The pool.
        pool: IpNet,
        /// Its data network.
        dnn: Dnn,
    },
    /// Another route has these addresses, of another SIM or of the same.
    #[error(
        "{prefix} shares addresses with {other}, which lies behind SIM {imsi}; take that route away first"
    )]
    Taken {
        /// The route.
        prefix: RoutePrefix,
        /// The other one.
        other: RoutePrefix,
        /// Its SIM.
        imsi: Imsi,
    },
    /// One of the addresses is ours.
    #[error("{address} of {prefix} is an address of this system; name the network behind the SIM")]
    Own {
        /// The route.
        prefix: RoutePrefix,
        /// Our address.
        address: IpAddr,
    },
}

/// Why no address was given.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// No such data network.
    #[error("there is no data network {0}")]
    UnknownDnn(Dnn),
    /// Every address is leased, reserved or resting.
    #[error("the pool of {0} has no free address; widen it or release leases")]
    Exhausted(Dnn),
    /// The SIM's reserved address was another SIM's until just now.
    #[error("{ip} rests until {} ms after 1970", until.0)]
    Resting {
        /// The reserved address.
        ip: UeIp,
        /// When it may be given.
        until: Utc,
    },
    /// The SIM's reserved address is leased by another SIM, from before the reservation.
    #[error("SIM {imsi} still has {ip}; release that lease first")]
    Leased {
        /// The reserved address.
        ip: UeIp,
        /// The other SIM.
        imsi: Imsi,
    },
}

impl From<Refused> for AddressRefusal {
    fn from(r: Refused) -> Self {
        match r {
            Refused::UnknownDnn(_) => Self::UnknownDnn,
            Refused::Exhausted(_) => Self::PoolExhausted,
            Refused::Resting { .. } | Refused::Leased { .. } => Self::Unavailable,
        }
    }
}

/// Why stored leases were refused: they contradict each other, and guessing would blame the wrong SIM.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// Two SIMs own one address at one instant.
    #[error("{ip} belongs to SIM {one} and to SIM {other} at the same time")]
    TwoOwners {
        /// The address.
        ip: UeIp,
        /// A SIM.
        one: Imsi,
        /// Another one, or the same with two leases.
        other: Imsi,
    },
    /// A SIM has two open leases in one data network.
    #[error("SIM {imsi} has two open leases in {dnn}")]
    TwoLeases {
        /// The SIM.
        imsi: Imsi,
        /// The data network.
        dnn: Dnn,
    },
    /// A lease ends before it starts.
    #[error("a lease of {ip} by SIM {imsi} ends before it starts")]
    Backwards {
        /// The address.
        ip: UeIp,
        /// The SIM.
        imsi: Imsi,
    },
}
