//! Threads that are each alone in a network namespace: the gateway's, the radio's, the app's.

use anyhow::{Context, Result};
use gateway::{
    netlink::{Netlink, index_of},
    netns,
};
use std::{fs, os::fd::OwnedFd, sync::mpsc, thread};

type Job = Box<dyn FnOnce() + Send>;

/// One namespace with its thread; it ends with this value.
pub(super) struct Place {
    jobs: mpsc::Sender<Job>,
    /// To lay cables to it.
    pub(super) namespace: OwnedFd,
}

impl Place {
    pub(super) fn new(name: &str) -> Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let (tell, told) = mpsc::channel();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let entered = netns::leave_alone().and_then(|()| netns::current());
            let ok = entered.is_ok();
            if tell.send(entered).is_ok() && ok {
                todo.iter().for_each(|job| job());
            }
        })?;
        let namespace = told.recv().context("the namespace's thread ended")??;
        Ok(Self { jobs, namespace })
    }

    /// Does `job` there and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.begin(job)?.recv().context("a namespace's thread ended")?
    }

    /// Does `job` there; its result comes later.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<mpsc::Receiver<Result<T>>> {
        let (tell, told) = mpsc::channel();
        let job: Job = Box::new(move || _ = tell.send(job()));
        self.jobs.send(job).ok().context("a namespace's thread ended")?;
        Ok(told)
    }
}

/// Takes the interface up, with these addresses and routes.
pub(super) fn attach(name: &str, addresses: &[&str], routes: &[&str]) -> Result<()> {
    let mut netlink = Netlink::open()?;
    let index = index_of(name)?;
    netlink.set_up(index)?;
    for address in addresses {
        netlink.add_address(address.parse()?, index)?;
    }
    for route in routes {
        netlink.add_route(route.parse()?, index)?;
    }
    Ok(())
}

/// Sets a switch of this namespace's IPv4.
pub(super) fn switch_on(key: &str) -> Result<()> {
    fs::write(format!("/proc/sys/net/ipv4/{key}"), "1")
        .with_context(|| format!("{key} cannot be switched on"))
}
