//! What runs inside a host: it reads what to do from standard input and says what happened on standard output.

use crate::site::{apps, net, pipe};
use anyhow::Result;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
};

/// One thing to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Ask {
    /// Bring an interface up, with an address where one is given.
    Up {
        /// Interface.
        dev: String,
        /// Address and prefix length.
        address: Option<IpNet>,
        /// MTU, octets.
        mtu: Option<u32>,
    },
    /// Add one more address.
    Address {
        /// Interface.
        dev: String,
        /// Address and prefix length.
        address: IpNet,
    },
    /// Add a route.
    Route {
        /// Destination.
        to: IpNet,
        /// Next hop.
        via: Option<Ipv4Addr>,
        /// Interface.
        dev: Option<String>,
    },
    /// Serve HTTP: every path answers with `bytes` octets.
    ServeHttp {
        /// Where.
        at: SocketAddr,
        /// Size of a page, octets.
        bytes: u64,
    },
    /// Be a PLC: serve Modbus/TCP holding registers that count up.
    ServeModbus {
        /// Where.
        at: SocketAddr,
    },
    /// Count UDP datagrams and when they came.
    CountUdp {
        /// Where.
        at: SocketAddr,
    },
    /// What [`Ask::CountUdp`] counted; those after `since_ns` of CLOCK_MONOTONIC apart.
    Counted {
        /// Nanoseconds of CLOCK_MONOTONIC, which all processes of one machine share.
        since_ns: u64,
    },
    /// What [`Ask::CountUdp`] counted from one source.
    CountedFrom {
        /// The source.
        source: IpAddr,
        /// Nanoseconds of CLOCK_MONOTONIC.
        since_ns: u64,
    },
    /// What [`Ask::CountUdp`] counted, source by source.
    Sources,
    /// Fetch a page by HTTP and read all of it.
    Fetch {
        /// Server.
        from: SocketAddr,
        /// Give up after this many milliseconds.
        within_ms: u64,
    },
    /// Open a TCP connection and close it again.
    Connect {
        /// Server.
        to: SocketAddr,
        /// Give up after this many milliseconds.
        within_ms: u64,
    },
    /// Read holding registers by Modbus/TCP.
    ReadModbus {
        /// PLC.
        from: SocketAddr,
        /// First register.
        first: u16,
        /// How many.
        count: u16,
        /// Give up after this many milliseconds.
        within_ms: u64,
    },
    /// Send UDP datagrams without end, `per_second` of them, until [`Ask::Quiet`].
    SendUdp {
        /// Where to.
        to: SocketAddr,
        /// Rate.
        per_second: u32,
        /// Payload, octets.
        bytes: usize,
    },
    /// End what [`Ask::SendUdp`] began; the answer counts what was sent.
    Quiet,
    /// Send one UDP datagram from an address that is not ours (needs the rights of the namespace's root).
    Spoof {
        /// Forged source.
        from: Ipv4Addr,
        /// Destination.
        to: SocketAddr,
    },
    /// Send one ICMP echo request and wait for its answer.
    Ping {
        /// Whom.
        to: Ipv4Addr,
        /// Give up after this many milliseconds.
        within_ms: u64,
    },
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Done,
    /// A page was read.
    Fetched {
        /// HTTP status.
        status: u16,
        /// Octets of its body.
        bytes: u64,
        /// Microseconds from connect to the last octet.
        us: u64,
    },
    /// A connection was opened.
    Connected {
        /// Microseconds it took.
        us: u64,
    },
    /// Registers were read.
    Registers {
        /// Their values.
        values: Vec<u16>,
    },
    /// Datagrams counted or sent.
    Datagrams {
        /// All of them.
        all: u64,
        /// Those after the instant that was asked for.
        after: u64,
        /// When the last one came, nanoseconds of CLOCK_MONOTONIC; 0 for none.
        last_ns: u64,
    },
    /// Datagrams counted, source by source.
    Sources(Vec<Source>),
    /// An echo came back.
    Echo {
        /// Round trip, microseconds.
        us: u64,
    },
    /// Nothing came within the time.
    Silence,
    /// It was refused: by a reset, or by an ICMP message.
    Refused {
        /// The system's word for it.
        how: String,
    },
    /// It was tried and went wrong in a way that is none of the above.
    Failed {
        /// Why.
        why: String,
    },
}

/// The datagrams of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its address.
    pub source: IpAddr,
    /// How many came.
    pub all: u64,
    /// When the last one came, nanoseconds of CLOCK_MONOTONIC.
    pub last_ns: u64,
    /// The latest instant of sending that one of them names in its first eight octets; 0 for none.
    pub sent_ns: u64,
}

/// Runs a host until its standard input ends. Call it before any second thread exists.
pub fn run() -> Result<()> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&rt, async {
        let net = Rc::new(net::Net::open()?);
        net.up("lo").await?;
        let desk = Arc::new(apps::Desk::default());
        pipe::answer(move |ask| {
            let (net, desk) = (net.clone(), desk.clone());
            async move { obey(&net, &desk, ask).await }
        })
        .await
    })
}

async fn obey(net: &net::Net, desk: &Arc<apps::Desk>, ask: Ask) -> Result<Outcome> {
    match ask {
        Ask::Up { dev, address, mtu } => {
            if let Some(m) = mtu {
                net.mtu(&dev, m).await?;
            }
            if let Some(a) = address {
                net.address(&dev, a).await?;
            }
            net.up(&dev).await?;
        }
        Ask::Address { dev, address } => net.address(&dev, address).await?,
        Ask::Route { to, via, dev } => net.route(to, via, dev.as_deref()).await?,
        Ask::ServeHttp { at, bytes } => apps::serve_http(at, bytes).await?,
        Ask::ServeModbus { at } => apps::serve_modbus(at).await?,
        Ask::CountUdp { at } => apps::count_udp(desk, at).await?,
        Ask::Counted { since_ns } => return Ok(desk.counted(since_ns)),
        Ask::CountedFrom { source, since_ns } => return Ok(desk.counted_from(source, since_ns)),
        Ask::Sources => return Ok(desk.sources()),
        Ask::Fetch { from, within_ms } => return Ok(apps::within(within_ms, apps::fetch(from)).await),
        Ask::Connect { to, within_ms } => return Ok(apps::within(within_ms, apps::connect(to)).await),
        Ask::ReadModbus { from, first, count, within_ms } => {
            return Ok(apps::within(within_ms, apps::read_modbus(from, first, count)).await);
        }
        Ask::SendUdp { to, per_second, bytes } => apps::send_udp(desk, to, per_second, bytes).await?,
        Ask::Quiet => return Ok(desk.quiet()),
        Ask::Spoof { from, to } => apps::spoof(from, to)?,
        Ask::Ping { to, within_ms } => return Ok(apps::within(within_ms, apps::ping(to)).await),
    }
    Ok(Outcome::Done)
}
