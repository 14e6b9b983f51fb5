//! What this machine has for SCTP: for `doctor` and for the log line at start.

use socket2::{Domain, Protocol, Socket, Type};

/// IP protocol number of SCTP.
pub(super) const IPPROTO_SCTP: i32 = 132;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The kernel speaks SCTP. Raw mode then does not work: the kernel would answer our peers with ABORT.
    pub kernel: bool,
    /// A raw socket for protocol 132 may be opened (CAP_NET_RAW in this network namespace).
    pub raw: bool,
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.kernel, self.raw) {
            (true, _) => "the kernel has SCTP, which is usable, and so is userspace SCTP over UDP; over raw IP it is not",
            (false, true) => "no SCTP in the kernel; userspace SCTP over raw IP or UDP is usable",
            (false, false) => "no SCTP in the kernel, no CAP_NET_RAW; userspace SCTP over UDP is usable",
        })
    }
}

/// Tries to open one socket of each kind. Asking for the kernel's may load its module, as any user of it would.
pub fn probe() -> Probe {
    let opens = |typ| Socket::new(Domain::IPV4, typ, Some(Protocol::from(IPPROTO_SCTP))).is_ok();
    Probe { kernel: opens(Type::STREAM), raw: opens(Type::RAW) }
}
