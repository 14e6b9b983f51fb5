//! Connections of UEs: how many, how long, how much.

use super::line::Line;
use anyhow::Result;
use gateway::link::page::{PageAnswer, PageAsk};
use std::{
    cell::RefCell,
    collections::HashMap,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener as Listener,
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;
use wire::http::{self, Head};

/// Connections at a time, and of one SIM.
const CONNECTIONS: usize = 512;
const OF_ONE: usize = 16;
/// From the first octet to the last, but for the answer of `control`.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections each UE has.
#[derive(Default)]
struct Guests {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A connection that is counted, until it is dropped.
struct Guest(Rc<RefCell<Guests>>, IpAddr);

/// Whom an address counts for: a UE has 64 bits of IPv6 addresses.
fn whom(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(a) => Ipv6Addr::from(u128::from(a) & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

impl Guest {
    fn enter(guests: &Rc<RefCell<Guests>>, address: IpAddr) -> Option<Self> {
        let whom = whom(address);
        let mut g = guests.borrow_mut();
        if g.all >= CONNECTIONS || g.of.get(&whom).is_some_and(|n| *n >= OF_ONE) {
            return None;
        }
        g.all += 1;
        *g.of.entry(whom).or_default() += 1;
        Some(Self(Rc::clone(guests), whom))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut g = self.0.borrow_mut();
        g.all -= 1;
        if let Some(n) = g.of.get_mut(&self.1) {
            *n -= 1;
            if *n == 0 {
                g.of.remove(&self.1);
            }
        }
    }
}

/// Where a connection's requests go.
#[derive(Clone)]
enum Way {
    /// To the same path by TLS.
    Elsewhere(Rc<str>),
    /// To `control`.
    Line(Line),
}

/// Serves until the line to the gateway ends, or a socket does.
pub(super) async fn run(
    plain: Vec<TcpListener>,
    secure: Vec<TcpListener>,
    tls: Arc<rustls::ServerConfig>,
    url: String,
) -> Result<()> {
    let (line, url) = (Line::open()?, Rc::from(url.as_str()));
    let tls = TlsAcceptor::from(tls);
    let guests = Rc::new(RefCell::new(Guests::default()));
    let mut all = Vec::new();
    for listener in plain {
        let way = Way::Elsewhere(Rc::clone(&url));
        all.push(spawn_local(accept(Listener::from_std(listener)?, None, way, Rc::clone(&guests))));
    }
    for listener in secure {
        let way = Way::Line(line.clone());
        let tls = Some(tls.clone());
        all.push(spawn_local(accept(Listener::from_std(listener)?, tls, way, Rc::clone(&guests))));
    }
    for task in all {
        task.await?;
    }
    Ok(())
}

async fn accept(listener: Listener, tls: Option<TlsAcceptor>, way: Way, guests: Rc<RefCell<Guests>>) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // No descriptor is left: some come back.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(guest) = Guest::enter(&guests, peer.ip()) else { continue };
        let (tls, way) = (tls.clone(), way.clone());
        spawn_local(async move {
            match tls {
                None => converse(stream, peer.ip(), way).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
                        converse(stream, peer.ip(), way).await;
                    }
                }
            }
            drop(guest);
        });
    }
}

/// One request and its answer.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, from: IpAddr, way: Way) {
    let Ok(Some(read)) = tokio::time::timeout(PATIENCE, request(&mut stream)).await else { return };
    let answer = match read {
        Err(status) => plain(status),
        Ok(head) => match way {
            Way::Elsewhere(url) => PageAnswer {
                status: 308,
                headers: vec![("location".to_owned(), format!("{url}{}", head.target))],
                body: Vec::new(),
            },
            Way::Line(line) => {
                let Head { target, language, cookie } = head;
                let ask = PageAsk { from, target, language, cookie };
                line.ask(ask).await.unwrap_or_else(|| plain(503))
            }
        },
    };
    let out = written(&answer);
    let write = async {
        stream.write_all(&out).await?;
        stream.shutdown().await?;
        // What it still sends is read, so that no reset overtakes the answer.
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    drop(tokio::time::timeout(PATIENCE, write).await);
}

/// The request, or the status that says what is wrong with it; `None` where the connection ended before.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Result<Head, u16>> {
    let mut octets = Vec::with_capacity(2048);
    loop {
        let mut piece = [0; 2048];
        let n = stream.read(&mut piece).await.ok().filter(|n| *n > 0)?;
        octets.extend_from_slice(piece.get(..n)?);
        match http::read(&octets) {
            Ok(Some(head)) => return Some(Ok(head)),
            Ok(None) => {}
            Err(e) => return Some(Err(e.status())),
        }
    }
}

fn plain(status: u16) -> PageAnswer {
    let body = match status {
        503 => {
            "Sekisho does not answer. Try again in a moment.\nSekisho が応答しません。しばらくしてから再試行してください。\n"
        }
        _ => "This request is not understood.\nリクエストを処理できません。\n",
    };
    let headers = vec![("content-type".to_owned(), "text/plain; charset=utf-8".to_owned())];
    PageAnswer { status, headers, body: body.into() }
}

/// The answer as octets. A header that could end its line is left out.
fn written(a: &PageAnswer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} \r\n", a.status);
    let whole = |t: &str| t.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b) || b >= 0x80);
    for (name, value) in a.headers.iter().filter(|(n, v)| whole(n) && whole(v) && n != "content-length") {
        _ = write!(head, "{name}: {value}\r\n");
    }
    _ = write!(head, "content-length: {}\r\nconnection: close\r\n", a.body.len());
    _ = write!(head, "strict-transport-security: max-age=31536000\r\n\r\n");
    [head.as_bytes(), &a.body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ue_has_so_many_connections_and_others_have_theirs() {
        let guests = Rc::new(RefCell::new(Guests::default()));
        let of = |a: &str| Guest::enter(&guests, a.parse().unwrap());
        let mine: Vec<_> = (0..OF_ONE).map(|n| of(&format!("fd00::{n}")).unwrap()).collect();
        assert!(of("fd00::ffff").is_none() && of("fd00:0:0:1::1").is_some() && of("10.20.0.5").is_some());
        drop(mine);
        assert!(guests.borrow().of.is_empty() && guests.borrow().all == 0);
        let all: Vec<_> = (0..CONNECTIONS as u32)
            .map(|n| Guest::enter(&guests, std::net::Ipv4Addr::from(n).into()).unwrap())
            .collect();
        assert!(of("10.20.0.5").is_none());
        drop(all);
    }

    #[test]
    fn an_answer_has_its_length_and_no_line_of_anybody_else() {
        let bad = ("x".to_owned(), "a\r\nset-cookie: b".to_owned());
        let good = ("location".to_owned(), "/?app=x".to_owned());
        let a = PageAnswer { status: 303, headers: vec![bad, good], body: b"12345".to_vec() };
        let text = String::from_utf8(written(&a)).unwrap();
        assert!(text.starts_with("HTTP/1.1 303 \r\nlocation: /?app=x\r\ncontent-length: 5\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n12345") && !text.contains("cookie"), "{text}");
    }
}
