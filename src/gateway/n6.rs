//! N6: a TUN interface with one queue per shard. Large TCP and UDP packets pass the kernel's border as one
//! (virtio header, TSO/USO) and are cut and joined in here.

use super::shard_thread::Io;
use anyhow::{Context, Result};
use pgw_policy::batch::{Batch, Origin, To};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use tun_rs::{DeviceBuilder, GROTable, SyncDevice, VIRTIO_NET_HDR_LEN};

/// Octets of one packet, at most; above any MTU that is set.
const SPACE: usize = 2048;
/// The largest MTU that one receive buffer has room for.
pub const MAX_MTU: u16 = 2000;
/// Packets that one large one may become.
const PIECES: usize = 128;
/// Packets received in one turn, about.
const A_TURN: usize = 256;
/// Packets written together.
const TOGETHER: usize = 128;
/// Octets of one large packet with its header.
const LARGE: usize = 65_535 + 2 * VIRTIO_NET_HDR_LEN;

/// One queue of the TUN interface.
pub struct N6 {
    device: SyncDevice,
    large: Vec<u8>,
    table: GROTable,
    out: Vec<Vec<u8>>,
    used: usize,
}

impl N6 {
    /// Makes the interface `name`, up, with `queues` queues; it lives as long as one of them.
    ///
    /// # Errors
    /// Without the right to make interfaces, or where the name is taken.
    pub fn open(name: &str, mtu: u16, queues: usize) -> Result<Vec<Self>> {
        let first = DeviceBuilder::new()
            .name(name)
            .mtu(mtu.min(MAX_MTU))
            .multi_queue(true)
            .offload(true)
            .packet_information(false)
            .build_sync()
            .with_context(|| format!("the TUN interface {name} cannot be made"))?;
        let mut devices = Vec::with_capacity(queues);
        for _ in 1..queues {
            devices.push(first.try_clone().with_context(|| format!("{name} takes no further queue"))?);
        }
        devices.insert(0, first);
        devices.into_iter().map(Self::on).collect()
    }

    fn on(device: SyncDevice) -> Result<Self> {
        device.set_nonblocking(true)?;
        Ok(Self {
            device,
            large: vec![0; LARGE],
            table: GROTable::new(),
            out: (0..TOGETHER).map(|_| Vec::with_capacity(LARGE)).collect(),
            used: 0,
        })
    }

    /// The interface's number.
    ///
    /// # Errors
    /// Where the interface is gone.
    pub fn index(&self) -> Result<u32> {
        Ok(self.device.if_index()?)
    }

    /// Puts into `batch` what is there.
    pub fn receive(&mut self, batch: &mut Batch, io: &Io) {
        let before = batch.len();
        while batch.len() - before < A_TURN {
            let mut sizes = [0; PIECES];
            let got = {
                let mut spaces: Vec<&mut [u8]> = batch.spaces(SPACE).take(PIECES).collect();
                if spaces.len() < PIECES {
                    break;
                }
                self.device.recv_multiple(&mut self.large, &mut spaces, &mut sizes, 0)
            };
            let got = match got {
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                // A packet that cannot be cut up is dropped; the next read is of the next one.
                Err(_) => {
                    Io::add(&io.send_failed, 1);
                    break;
                }
            };
            for (index, &len) in sizes.iter().take(got).enumerate() {
                batch.received(index, SPACE, Origin::N6 { handed: false }, len, 0);
            }
            batch.seal(got, SPACE);
        }
        Io::add(&io.n6_received, batch.len() - before);
    }

    /// Writes what is for N6.
    pub fn send(&mut self, batch: &Batch, io: &Io) {
        for output in batch.outputs() {
            if output.to == To::N6 {
                self.put(batch.bytes(output.piece), io);
            }
        }
        self.flush(io);
    }

    /// Takes a packet; it is written at the latest by [`N6::flush`].
    pub(crate) fn put(&mut self, packet: &[u8], io: &Io) {
        if self.used == self.out.len() {
            self.flush(io);
        }
        if let Some(room) = self.out.get_mut(self.used) {
            room.clear();
            room.resize(VIRTIO_NET_HDR_LEN, 0);
            room.extend_from_slice(packet);
            self.used += 1;
        }
    }

    /// Writes what was taken.
    pub(crate) fn flush(&mut self, io: &Io) {
        let Some(packets) = self.out.get_mut(..self.used).filter(|p| !p.is_empty()) else { return };
        let n = packets.len();
        match self.device.send_multiple(&mut self.table, packets, VIRTIO_NET_HDR_LEN) {
            Ok(_) => Io::add(&io.n6_sent, n),
            // One of them was refused (the interface is down, its queue is full); the others were written.
            Err(_) => {
                Io::add(&io.send_failed, 1);
                Io::add(&io.n6_sent, n - 1);
            }
        }
        self.used = 0;
    }
}

impl AsFd for N6 {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the device owns the descriptor and is borrowed for as long as the result.
        unsafe { BorrowedFd::borrow_raw(self.device.as_raw_fd()) }
    }
}
