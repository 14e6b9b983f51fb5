//! The page's name, for UEs whose data network has no resolver that knows it: this one name with our addresses, everything
//! else is refused, and nobody is asked.

use super::PageConfig;
use anyhow::{Context, Result};
use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};
use tokio::task::spawn_local;
use types::ServerName;
use wire::dns;

/// Octets of a question; a longer one is none of a resolver's.
const LONGEST: usize = 512;

/// What is answered.
#[derive(Debug)]
pub(super) struct Answers {
    name: Option<ServerName>,
    addresses: Vec<IpAddr>,
}

impl Answers {
    pub fn of(config: &PageConfig) -> Self {
        Self { name: config.resolves.clone(), addresses: config.addresses.clone() }
    }

    /// The answer to a message; `None` for what gets none.
    fn to(&self, message: &[u8]) -> Option<Vec<u8>> {
        dns::reply(message, self.name.as_ref()?, &self.addresses)
    }
}

/// Opens the sockets, where a name is answered.
pub(super) fn listen(config: &PageConfig) -> Result<Vec<UdpSocket>> {
    let addresses = config.addresses.iter().filter(|_| config.resolves.is_some());
    let one = |a: &IpAddr| {
        let at = SocketAddr::new(*a, dns::PORT);
        let socket = UdpSocket::bind(at).with_context(|| format!("listening at udp {at}"))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    addresses.map(one).collect()
}

/// Answers, one question after the other. Who asks more than we answer is not answered: UDP promises nothing.
pub(super) fn serve(sockets: Vec<UdpSocket>, answers: &Arc<Answers>) -> Result<()> {
    for socket in sockets {
        let (socket, answers) = (tokio::net::UdpSocket::from_std(socket)?, Arc::clone(answers));
        spawn_local(async move {
            let mut octets = [0; LONGEST];
            loop {
                let Ok((n, from)) = socket.recv_from(&mut octets).await else {
                    // About an answer that somebody did not take; were it the socket, it would be so at once again.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if let Some(answer) = octets.get(..n).and_then(|m| answers.to(m)) {
                    drop(socket.try_send_to(&answer, from));
                }
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pages_name_is_answered_over_a_socket_and_nothing_else() {
        let answers = Arc::new(Answers {
            name: Some("check.corp.example".parse().unwrap()),
            addresses: vec!["10.255.255.1".parse().unwrap()],
        });
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.set_nonblocking(true).unwrap();
        let at = ours.local_addr().unwrap();
        let ask = |name: &str| {
            let mut q = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            name.split('.').for_each(|l| {
                q.push(l.len() as u8);
                q.extend(l.as_bytes());
            });
            q.extend([0, 0, 1, 0, 1]);
            q
        };
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let run = async {
            serve(vec![ours], &answers).unwrap();
            // What is not answered does not keep it from the next.
            for nothing in [&b""[..], b"x", &[0xff; 512]] {
                client.send_to(nothing, at).await.unwrap();
            }
            for (name, code, addresses) in [("check.corp.example", 0, 1), ("evil.example", 5, 0)] {
                client.send_to(&ask(name), at).await.unwrap();
                let mut octets = [0; 512];
                let read = tokio::time::timeout(Duration::from_secs(5), client.recv(&mut octets));
                let n = read.await.expect("an answer").unwrap();
                assert_eq!((octets[3] & 0xf, octets[7]), (code, addresses), "{name}");
                if code == 0 {
                    let a = dns::answer(&octets[..n]).unwrap();
                    assert_eq!((a.addresses, a.ttl), (answers.addresses.clone(), 60));
                }
            }
        };
        tokio::task::LocalSet::new().run_until(run).await;
    }
}
