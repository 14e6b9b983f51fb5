//! Interfaces, addresses and routes of the namespace that we are in, over netlink.

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder, packet_route::link::LinkAttribute};
use std::net::{IpAddr, Ipv4Addr};

/// A netlink connection; must be made inside a tokio runtime of the namespace's own thread.
pub struct Net(Handle);

impl Net {
    /// Opens the connection in this thread's namespace.
    pub fn open() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection().context("netlink")?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// Index of interface `name`.
    pub async fn index(&self, name: &str) -> Result<u32> {
        use futures_util::TryStreamExt;
        let mut links = self.0.link().get().match_name(name.to_owned()).execute();
        match links.try_next().await.with_context(|| format!("interface {name}"))? {
            Some(l) => Ok(l.header.index),
            None => bail!("there is no interface {name}"),
        }
    }

    /// Brings `name` up.
    pub async fn up(&self, name: &str) -> Result<()> {
        let i = self.index(name).await?;
        self.0.link().set(LinkUnspec::new_with_index(i).up().build()).execute().await.context("link up")
    }

    /// Gives `name` an address.
    pub async fn address(&self, name: &str, a: IpNet) -> Result<()> {
        let i = self.index(name).await?;
        self.0
            .address()
            .add(i, a.addr(), a.prefix_len())
            .execute()
            .await
            .with_context(|| format!("address {a} on {name}"))
    }

    /// Sets the MTU of `name`, octets.
    pub async fn mtu(&self, name: &str, mtu: u32) -> Result<()> {
        let i = self.index(name).await?;
        self.0.link().set(LinkUnspec::new_with_index(i).mtu(mtu).build()).execute().await.context("mtu")
    }

    /// Adds a route to `to` through `via`, or straight out of interface `dev`.
    pub async fn route(&self, to: IpNet, via: Option<Ipv4Addr>, dev: Option<&str>) -> Result<()> {
        let IpAddr::V4(dst) = to.network() else { bail!("only IPv4 routes here: {to}") };
        let mut r = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(dst, to.prefix_len());
        if let Some(g) = via {
            r = r.gateway(g);
        }
        if let Some(d) = dev {
            r = r.output_interface(self.index(d).await?);
        }
        self.0.route().add(r.build()).execute().await.with_context(|| format!("route to {to}"))
    }

    /// Makes a pair of virtual Ethernet interfaces: `here` stays, `there` goes to the namespace of process `pid`.
    pub async fn cable(&self, here: &str, there: &str, pid: u32) -> Result<()> {
        self.0.link().add(LinkVeth::new(here, there).build()).execute().await.context("veth")?;
        self.give(there, pid).await
    }

    /// Moves interface `name` into the namespace of process `pid`. Its file descriptors stay usable here.
    pub async fn give(&self, name: &str, pid: u32) -> Result<()> {
        let i = self.index(name).await?;
        self.0
            .link()
            .set(LinkUnspec::new_with_index(i).setns_by_pid(pid).build())
            .execute()
            .await
            .with_context(|| format!("moving {name} to the namespace of process {pid}"))
    }

    /// Removes interface `name`.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let i = self.index(name).await?;
        self.0.link().del(i).execute().await.with_context(|| format!("removing {name}"))
    }

    /// Names of all interfaces.
    pub async fn names(&self) -> Result<Vec<String>> {
        use futures_util::TryStreamExt;
        let mut links = self.0.link().get().execute();
        let mut names = Vec::new();
        while let Some(l) = links.try_next().await? {
            names.extend(l.attributes.into_iter().filter_map(|a| match a {
                LinkAttribute::IfName(n) => Some(n),
                _ => None,
            }));
        }
        Ok(names)
    }
}

/// Lets this namespace forward IPv4 between its interfaces.
pub fn forward_ipv4() -> Result<()> {
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("net.ipv4.ip_forward")
}
