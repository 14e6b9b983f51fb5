//! What simulated Diameter peers have in common: how they begin, what they say to the base protocol, and their line.

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    sync::mpsc,
};
use wire::diameter::{
    Address, CapabilitiesExchangeRequest, DeviceWatchdogAnswer, DisconnectPeerAnswer, Identity, Message, Pdu,
    TGPP, VendorApplication, length, result,
};

/// A peer: octets in and out.
pub trait Peer {
    /// What it is to do.
    type Order;
    /// What it learns.
    type News;

    /// The first message.
    fn cer(&mut self) -> Vec<u8>;
    /// The message of an order; `None` for that to close.
    fn order(&mut self, order: &Self::Order) -> Option<Vec<u8>>;
    /// A message of the other side: what to say to it, and what is new.
    fn received(&mut self, octets: &[u8]) -> (Option<Vec<u8>>, Option<Self::News>);
    /// Something was said or heard.
    fn heard(&self, octets: &[u8]);
    /// That the connection is gone.
    fn down() -> Self::News;
}

/// Who it is.
#[derive(Debug, Clone)]
pub struct Name {
    /// Origin-Host.
    pub host: Identity,
    /// Origin-Realm, and that of the other side.
    pub realm: Identity,
    /// Origin-State-Id.
    pub state: u32,
}

impl Name {
    /// Its CER, for applications that 3GPP numbers.
    pub fn cer(&self, product: &str, applications: &[VendorApplication]) -> CapabilitiesExchangeRequest {
        CapabilitiesExchangeRequest {
            origin_host: self.host.clone(),
            origin_realm: self.realm.clone(),
            addresses: vec![Address::Ip([127, 0, 0, 2].into())],
            vendor_id: 0,
            product: product.as_bytes().to_vec(),
            origin_state: Some(self.state),
            vendors: vec![TGPP],
            auth: Vec::new(),
            inband_security: vec![0],
            acct: Vec::new(),
            vendor_applications: applications.to_vec(),
            firmware: None,
        }
    }

    /// What it says to a request of the base protocol.
    pub fn base_answer(&self, pdu: &Pdu) -> Option<Vec<u8>> {
        let (origin_host, origin_realm) = (self.host.clone(), self.realm.clone());
        let message = match &pdu.message {
            Message::DeviceWatchdogRequest(_) => Message::from(DeviceWatchdogAnswer {
                result_code: result::SUCCESS,
                origin_host,
                origin_realm,
                error_message: None,
                failed_avp: None,
                origin_state: Some(self.state),
            }),
            Message::DisconnectPeerRequest(_) => Message::from(DisconnectPeerAnswer {
                result_code: result::SUCCESS,
                origin_host,
                origin_realm,
                error_message: None,
                failed_avp: None,
            }),
            _ => return None,
        };
        Some(pdu.answer(message).encode())
    }
}

/// An application of 3GPP's.
pub fn of_3gpp(application: u32) -> VendorApplication {
    VendorApplication { vendor_id: TGPP, auth: Some(application), acct: None }
}

/// Runs it on a connection until that ends, or it is told to close.
pub async fn run<P: Peer, S: AsyncRead + AsyncWrite>(
    stream: S,
    mut peer: P,
    mut orders: mpsc::UnboundedReceiver<P::Order>,
    news: mpsc::UnboundedSender<P::News>,
) {
    let (mut reader, mut writer) = split(stream);
    let mut buffer = Vec::new();
    let mut say = vec![peer.cer()];
    loop {
        for octets in say.drain(..) {
            peer.heard(&octets);
            if writer.write_all(&octets).await.is_err() || writer.flush().await.is_err() {
                return drop(news.send(P::down()));
            }
        }
        tokio::select! {
            order = orders.recv() => match order.and_then(|o| peer.order(&o)) {
                Some(octets) => say.push(octets),
                None => break,
            },
            n = reader.read_buf(&mut buffer) => {
                if !matches!(n, Ok(1..)) {
                    break;
                }
                while let Some(n) = buffer.first_chunk().and_then(|f| length(*f).ok()).filter(|n| *n <= buffer.len()) {
                    let rest = buffer.split_off(n);
                    let octets = std::mem::replace(&mut buffer, rest);
                    peer.heard(&octets);
                    let (answer, new) = peer.received(&octets);
                    say.extend(answer);
                    new.into_iter().for_each(|n| drop(news.send(n)));
                }
            }
        }
    }
    drop(news.send(P::down()));
}
