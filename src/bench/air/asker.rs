//! The MME's side: one connection, so many requests under way, and each answer looked at.

use super::{
    MME, PLMN, REALM,
    cards::{Cards, Seen, digits},
    template::Template,
};
use anyhow::{Context, Result, bail, ensure};
use lab::peer::{Name, of_3gpp};
use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use types::Plmn;
use wire::diameter::{
    AuthenticationInformationRequest, Identity, Message, NO_STATE_MAINTAINED, Pdu, RequestedVectors,
    application, length, result,
};

/// What stands for a request's number in its Session-Id, and for the IMSI.
const NUMBER: &str = "4294967295";
const SOMEBODY: &str = "001019999999999";
/// How long an answer may be waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(super) struct Asker {
    stream: TcpStream,
    name: Name,
    air: Template<2>,
    plmn: Plmn,
    last: u32,
    under_way: HashMap<u32, u32>,
    received: Vec<u8>,
}

/// What a load came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// Answers, each right.
    pub answered: u64,
    /// The other side went away in the middle.
    pub cut: bool,
}

/// An AIR as Open5GS's MME writes it.
pub(super) fn request() -> Result<Template<2>> {
    let name = |n: &str| Identity::new(n).context("a name");
    let plmn: Plmn = PLMN.parse()?;
    let air = AuthenticationInformationRequest {
        session_id: session(NUMBER),
        application: Some(of_3gpp(application::S6A)),
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name(MME)?,
        origin_realm: name(REALM)?,
        destination_host: None,
        destination_realm: name(REALM)?,
        features: Vec::new(),
        route: Vec::new(),
        user_name: SOMEBODY.to_owned(),
        eutran: Some(RequestedVectors { number: Some(1), immediate: Some(1), resynchronization: None }),
        visited_plmn: plmn.to_octets(),
    };
    Template::new(Pdu::request(air, 0, 0).encode(), [NUMBER.as_bytes(), SOMEBODY.as_bytes()])
}

pub(super) fn session(number: &str) -> String {
    format!("{MME};1;{number};app_s6a")
}

impl Asker {
    /// Connects, and is let in.
    pub fn connect(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let name = |n: &str| Identity::new(n).context("a name");
        let name = Name { host: name(MME)?, realm: name(REALM)?, state: 1 };
        let mut this = Self {
            stream,
            name,
            air: request()?,
            plmn: PLMN.parse()?,
            last: 0,
            under_way: HashMap::new(),
            received: Vec::new(),
        };
        let cer = this.name.cer("bench", &[of_3gpp(application::S6A)]);
        this.stream.write_all(&Pdu::request(cer, 0, 0).encode())?;
        loop {
            ensure!(this.read()?, "the connection ended before the CEA");
            let mut at = 0;
            if let Some(octets) = take(&this.received, &mut at)? {
                this.received.drain(..at);
                let pdu = Pdu::parse(&octets).context("the CEA")?;
                let Message::CapabilitiesExchangeAnswer(cea) = &pdu.message else { bail!("no CEA: {pdu:?}") };
                ensure!(cea.result_code == result::SUCCESS, "not let in: {}", cea.result_code);
                return Ok(this);
            }
        }
    }

    /// Asks about these SIMs, `window` at a time, until all is answered or the other side is gone. As an MME does, it asks
    /// about a SIM again when it has the answer.
    ///
    /// # Errors
    /// An answer that is not right.
    pub fn ask(
        &mut self,
        sims: impl IntoIterator<Item = u32>,
        window: usize,
        cards: &Cards,
        seen: &mut Seen,
    ) -> Result<Asked> {
        let mut sims = sims.into_iter();
        let (mut out, mut answered, mut later) = (Vec::new(), 0, VecDeque::new());
        loop {
            while self.under_way.len() < window && later.len() < window {
                let free = later.iter().position(|n| !self.asks_about(*n));
                let Some(n) = free.and_then(|i| later.remove(i)).or_else(|| sims.next()) else { break };
                if self.asks_about(n) {
                    later.push_back(n);
                } else {
                    self.put(n, &mut out)?;
                }
            }
            if self.under_way.is_empty() {
                return Ok(Asked { answered, cut: false });
            }
            if !out.is_empty() && self.stream.write_all(&out).is_err() {
                return Ok(Asked { answered, cut: true });
            }
            out.clear();
            if !self.read()? {
                return Ok(Asked { answered, cut: true });
            }
            let mut at = 0;
            while let Some(octets) = take(&self.received, &mut at)? {
                answered += u64::from(self.answer(&octets, cards, seen, &mut out)?);
            }
            self.received.drain(..at);
        }
    }

    fn asks_about(&self, sim: u32) -> bool {
        self.under_way.values().any(|n| *n == sim)
    }

    fn put(&mut self, n: u32, out: &mut Vec<u8>) -> Result<()> {
        self.last += 1;
        self.under_way.insert(self.last, n);
        let number = format!("{:010}", self.last);
        self.air.write(self.last, self.last, [number.as_bytes(), digits(n).as_bytes()], out)
    }

    /// True for a vector that was asked for, and is right.
    fn answer(&mut self, octets: &[u8], cards: &Cards, seen: &mut Seen, out: &mut Vec<u8>) -> Result<bool> {
        let pdu = Pdu::parse(octets).context("an answer")?;
        let Message::AuthenticationInformationAnswer(aia) = &pdu.message else {
            // A watchdog, between two turns.
            out.extend(self.name.base_answer(&pdu).with_context(|| format!("not an answer: {pdu:?}"))?);
            return Ok(false);
        };
        let n = self.under_way.remove(&pdu.hop_by_hop).context("an answer to no question")?;
        ensure!(aia.is_success(), "{} is refused: {:?} {:?}", digits(n), aia.result_code, aia.experimental);
        let number = format!("{:010}", pdu.hop_by_hop);
        ensure!(aia.session_id == session(&number), "the answer of another session: {}", aia.session_id);
        let vectors = aia.vectors.as_ref().map(|v| v.eutran.as_slice()).unwrap_or_default();
        let [one] = vectors else { bail!("{} vectors", vectors.len()) };
        seen.note(cards, n, one, self.plmn)?;
        Ok(true)
    }

    /// False where the other side is gone.
    fn read(&mut self) -> Result<bool> {
        let mut some = [0; 64 * 1024];
        match self.stream.read(&mut some) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.received.extend_from_slice(some.get(..n).unwrap_or_default());
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(false),
            Err(e) => Err(e).context("waiting for an answer"),
        }
    }
}

/// The next whole message behind `at`, which moves behind it.
pub(super) fn take(received: &[u8], at: &mut usize) -> Result<Option<Vec<u8>>> {
    let rest = received.get(*at..).unwrap_or_default();
    let Some(head) = rest.first_chunk() else { return Ok(None) };
    let n = length(*head).map_err(|e| anyhow::anyhow!("what came is no Diameter: {e:?}"))?;
    let Some(message) = rest.get(..n).map(<[u8]>::to_vec) else { return Ok(None) };
    *at += n;
    Ok(Some(message))
}
