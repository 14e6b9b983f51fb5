//! One challenge and its right answer: by 5G AKA (TS 33.501 §6.1.3.2) or by EAP-AKA' (§6.1.3.1, RFC 9048), as the
//! vector says.
//!
//! Of EAP-AKA' we are both the EAP server and who passes its packets on. The first packet is the challenge, because the
//! identity is known from NAS; the result goes with the Security Mode Command or the reject that follows. Not done:
//! results under protection (AT_RESULT_IND is not offered, and what was not offered is read over), pseudonyms, fast
//! re-authentication.

use sim_auth::{EapProof, Expected, FgVector, eap::KDF, fgs};
use types::{Auts, Key256, Plmn, Rand, Supi};
use wire::eap::{self, AkaPrime, Eap, EapBody, Subtype};
use wire::nas::fgs::{
    AuthenticationChallenge, AuthenticationRequest, AuthenticationResponse, EapMessage, FgmmMessage, NgKsi,
};

/// One challenge and its right answer. A probe has the vector that follows it.
pub(super) struct Challenge {
    vector: FgVector,
    supi: Supi,
    ksi: u8,
    request: Vec<u8>,
    pub(super) after: Option<Box<FgVector>>,
}

/// Proof that a UE answered a challenge: the only key to a security context.
pub(super) struct Authenticated {
    supi: Supi,
    kamf: Key256,
    ksi: u8,
}

/// What an Authentication Response says.
pub(super) enum Verdict {
    /// It is the card.
    Proved(Authenticated),
    /// The card is ahead; nothing of that is proved yet.
    Synch(Auts),
    /// The card says that the challenge is not of its keys.
    Refused,
    /// Anything else: it is not the card, or gives up.
    Wrong,
    /// Not an answer to this challenge (RFC 3748 §4.1): as if it had not come.
    Aside,
}

impl Challenge {
    /// The challenge of `vector`, with its Authentication Request.
    pub(super) fn new(vector: FgVector, supi: Supi, ksi: u8, request: Vec<u8>) -> Self {
        Self { vector, supi, ksi, request, after: None }
    }

    /// The Authentication Request, for retransmission.
    pub(super) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Who was challenged.
    pub(super) fn supi(&self) -> Supi {
        self.supi
    }

    /// RAND.
    pub(super) fn rand(&self) -> Rand {
        self.vector.rand
    }

    /// Its vector.
    pub(super) fn into_vector(self) -> FgVector {
        self.vector
    }

    /// Judges an answer; RES\*, RES and AT_MAC are compared in constant time.
    pub(super) fn judge(&self, m: &AuthenticationResponse) -> Verdict {
        match (&self.vector.expected, &m.res_star, &m.eap) {
            (Expected::ResStar(xres_star), Some(res), _) if res.matches(xres_star.expose()) => self.proved(),
            (Expected::Eap(proof), _, Some(EapMessage(packet))) => self.judge_eap(proof, packet),
            (Expected::ResStar(_) | Expected::Eap(_), ..) => Verdict::Wrong,
        }
    }

    fn proved(&self) -> Verdict {
        let kamf = fgs::kamf(&self.vector.kseaf, self.supi, &fgs::ABBA);
        Verdict::Proved(Authenticated { supi: self.supi, kamf, ksi: self.ksi })
    }

    fn judge_eap(&self, proof: &EapProof, packet: &[u8]) -> Verdict {
        let response = match Eap::decode(packet) {
            Ok(Eap { identifier, body: EapBody::Response(m) }) if identifier == self.ksi => m,
            Ok(_) => return Verdict::Aside,
            Err(_) => return Verdict::Wrong,
        };
        match (response.subtype, response.auts) {
            (Subtype::CHALLENGE, _) if is_right(proof, &response, packet) => self.proved(),
            (Subtype::SYNCHRONIZATION_FAILURE, Some(auts)) => Verdict::Synch(auts),
            (Subtype::AUTHENTICATION_REJECT, _) => Verdict::Refused,
            _ => Verdict::Wrong,
        }
    }
}

/// AKA'-Challenge with a right AT_RES under a right AT_MAC. One function was offered, so no other may be chosen (RFC 9048 §3.2), and
/// there was no identity exchange, so AT_CHECKCODE has nothing in it (§3.4.2).
fn is_right(proof: &EapProof, m: &AkaPrime, packet: &[u8]) -> bool {
    let (Some(mac), Some(res), Some(covered)) = (&m.mac, &m.res, eap::covered(packet)) else { return false };
    let as_offered = m.kdf.iter().all(|k| *k == KDF) && m.checkcode.as_ref().is_none_or(Vec::is_empty);
    proof.verifies(&covered, mac) && res.matches(proof.xres()) && as_offered
}

impl Authenticated {
    /// Who, KAMF, and the number of the key set.
    pub(super) fn into_parts(self) -> (Supi, Key256, u8) {
        (self.supi, self.kamf, self.ksi)
    }
}

/// Authentication Request with this vector for this key set. An EAP-Request has the key set's number as its identifier:
/// it is never that of the request before.
pub(super) fn authentication_request(vector: &FgVector, ksi: u8, serving: Plmn) -> Option<FgmmMessage> {
    let (rand, autn) = (vector.rand, vector.autn);
    let challenge = match &vector.expected {
        Expected::ResStar(_) => AuthenticationChallenge::FgAka { rand, autn },
        Expected::Eap(proof) => {
            let m = AkaPrime {
                rand: Some(rand),
                autn: Some(autn),
                kdf: vec![KDF],
                kdf_input: Some(serving.serving_network_name().into_bytes()),
                ..AkaPrime::of(Subtype::CHALLENGE)
            };
            let request = Eap { identifier: ksi, body: EapBody::Request(m) };
            let packet = request.encode_signed(|covered| proof.sign(covered)).ok()?;
            AuthenticationChallenge::Eap(EapMessage(packet))
        }
    };
    Some(FgmmMessage::AuthenticationRequest(AuthenticationRequest {
        ngksi: NgKsi::Native(ksi),
        abba: fgs::ABBA.to_vec(),
        challenge,
    }))
}

/// The identifier of the EAP-Request that goes with this vector, where it is one.
pub(super) fn eap_identifier(vector: &FgVector, ksi: u8) -> Option<u8> {
    matches!(vector.expected, Expected::Eap(_)).then_some(ksi)
}

/// EAP-Success or EAP-Failure to the request of this identifier.
pub(super) fn eap_result(identifier: Option<u8>, success: bool) -> Option<EapMessage> {
    Eap::result(identifier?, success).encode().ok().map(EapMessage)
}
