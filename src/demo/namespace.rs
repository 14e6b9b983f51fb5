//! What the demo needs of the machine, and in what words it says what is missing.

use anyhow::{Result, bail};
use std::io;

/// `Ok` where nothing is missing; else what is, and what to do.
pub fn check() -> Result<()> {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            bail!("/dev/net/tun is missing: load the tun module (as root: modprobe tun)")
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => bail!(
            "/dev/net/tun cannot be opened by this user: as root run `chmod 0666 /dev/net/tun` (its usual mode), \
             or run the demo as root"
        ),
        Err(e) => bail!("/dev/net/tun: {e}"),
    }
    if !gateway::netns::allowed() {
        bail!(
            "this machine does not let this user make network namespaces: run the demo as root, or as root run \
             `sysctl -w user.max_user_namespaces=10000` (and on Ubuntu also \
             `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`)"
        );
    }
    Ok(())
}
