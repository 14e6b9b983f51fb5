//! What is measured beside: a thread that reads each AIR's length, makes a vector with the SIM's keys, and sends as many
//! octets back as an AIA has. It knows no peers, no states and no store.

use super::{
    HSS, PLMN, REALM,
    asker::{request, session, take},
    cards::Cards,
    template::Template,
};
use anyhow::{Context, Result, bail};
use lab::peer::of_3gpp;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use sim_auth::{aka, eps_vector_of};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};
use types::{Plmn, Rand, Sqn};
use wire::diameter::{
    AuthenticationInformationAnswer, CapabilitiesExchangeAnswer, EutranVector, Identity, Message,
    NO_STATE_MAINTAINED, Pdu, Vectors, application, result,
};

/// What stands for the parts of an answer.
const NUMBER: &str = "4294967295";
const RAND: [u8; 16] = [0xa1; 16];
const XRES: [u8; 8] = [0xa2; 8];
const AUTN: [u8; 16] = [0xa3; 16];
const KASME: [u8; 32] = [0xa4; 32];

struct Echo {
    stream: TcpStream,
    cards: Arc<Cards>,
    air: Template<2>,
    aia: Template<5>,
    plmn: Plmn,
    rng: ChaCha20Rng,
    seq: u64,
}

/// Answers one connection until that ends. Where it listens.
pub(super) fn start(cards: Arc<Cards>) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let (air, aia, plmn) = (request()?, answer()?, PLMN.parse()?);
    thread::spawn(move || -> Result<()> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Echo { stream, cards, air, aia, plmn, rng: ChaCha20Rng::seed_from_u64(1), seq: 0 }.run()
    });
    Ok(at)
}

/// An AIA with one vector, as ours is.
fn answer() -> Result<Template<5>> {
    let name = |n: &str| Identity::new(n).context("a name");
    let vector = EutranVector { item: None, rand: RAND, xres: XRES.to_vec(), autn: AUTN, kasme: KASME };
    let aia = Message::from(AuthenticationInformationAnswer {
        session_id: session(NUMBER),
        application: Some(of_3gpp(application::S6A)),
        result_code: Some(result::SUCCESS),
        experimental: None,
        auth_session_state: Some(NO_STATE_MAINTAINED),
        origin_host: name(HSS)?,
        origin_realm: name(REALM)?,
        features: Vec::new(),
        error_message: None,
        failed_avp: None,
        vectors: Some(Vectors { eutran: vec![vector] }),
    });
    let mut air = Vec::new();
    request()?.write(0, 0, [NUMBER.as_bytes(), b"001010000000000"], &mut air)?;
    let octets = Pdu::parse(&air).context("an AIR")?.answer(aia).encode();
    Template::new(octets, [NUMBER.as_bytes(), &RAND, &XRES, &AUTN, &KASME])
}

impl Echo {
    fn run(&mut self) -> Result<()> {
        let (mut received, mut out) = (Vec::new(), Vec::new());
        let mut some = [0; 64 * 1024];
        loop {
            let n = self.stream.read(&mut some)?;
            if n == 0 {
                return Ok(());
            }
            received.extend_from_slice(some.get(..n).unwrap_or_default());
            let mut at = 0;
            while let Some(octets) = take(&received, &mut at)? {
                self.echo(&octets, &mut out)?;
            }
            received.drain(..at);
            self.stream.write_all(&out)?;
            out.clear();
        }
    }

    fn echo(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let (Some(number), Some(user)) = (self.air.read(octets, 0), self.air.read(octets, 1)) else {
            return self.introduced(octets, out);
        };
        let n: u32 = std::str::from_utf8(user.get(5..).unwrap_or_default())?.parse()?;
        let mut rand = [0; 16];
        self.rng.fill_bytes(&mut rand);
        self.seq += 1;
        let sqn = Sqn::new(self.seq << 5).context("an SQN")?;
        let card = self.cards.card(n)?.milenage();
        let v = eps_vector_of(&card, Rand(rand), sqn, aka::AMF, self.plmn);
        let hop_by_hop = u32::from_be_bytes(octets.get(12..16).context("a header")?.try_into()?);
        let parts = [number, &v.rand.0, v.xres.expose(), &v.autn.0, v.kasme.expose()];
        self.aia.write(hop_by_hop, hop_by_hop, parts, out)
    }

    fn introduced(&self, octets: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let pdu = Pdu::parse(octets).context("a message")?;
        let Message::CapabilitiesExchangeRequest(cer) = &pdu.message else { bail!("no AIR: {pdu:?}") };
        let cea = CapabilitiesExchangeAnswer {
            result_code: result::SUCCESS,
            origin_host: Identity::new(HSS).context("a name")?,
            origin_realm: cer.origin_realm.clone(),
            addresses: cer.addresses.clone(),
            vendor_id: 0,
            product: b"echo".to_vec(),
            origin_state: None,
            error_message: None,
            failed_avp: None,
            vendors: Vec::new(),
            auth: Vec::new(),
            inband_security: Vec::new(),
            acct: Vec::new(),
            vendor_applications: vec![of_3gpp(application::S6A)],
            firmware: None,
        };
        out.extend(pdu.answer(Message::from(cea)).encode());
        Ok(())
    }
}
