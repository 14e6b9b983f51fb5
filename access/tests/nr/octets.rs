//! An NGAP message as its parts, so that each can be spoilt: the envelope, and each element with its identifier, criticality
//! and value (TS 38.413 §9.4; the lengths are those of aligned PER).

/// One information element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub id: u16,
    /// 0 reject, 1 ignore, 2 notify.
    pub criticality: u8,
    pub value: Vec<u8>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Direction, procedure code, criticality of the procedure.
    pub envelope: [u8; 3],
    pub elements: Vec<Element>,
}

/// A length and how many octets say it.
fn length(bytes: &[u8], at: usize) -> (usize, usize) {
    match bytes[at] {
        n if n < 0x80 => (usize::from(n), 1),
        n => ((usize::from(n & 0x3f) << 8) | usize::from(bytes[at + 1]), 2),
    }
}

fn put_length(out: &mut Vec<u8>, n: usize) {
    match n {
        0..0x80 => out.push(n as u8),
        _ => out.extend((0x8000 | n as u16).to_be_bytes()),
    }
}

impl Parts {
    /// Of a message that is whole.
    pub fn of(bytes: &[u8]) -> Self {
        let (_, n) = length(bytes, 3);
        let count_at = 3 + n + 1;
        let count = u16::from_be_bytes([bytes[count_at], bytes[count_at + 1]]);
        let mut at = count_at + 2;
        let mut elements = Vec::new();
        for _ in 0..count {
            let (len, n) = length(bytes, at + 3);
            let from = at + 3 + n;
            elements.push(Element {
                id: u16::from_be_bytes([bytes[at], bytes[at + 1]]),
                criticality: bytes[at + 2] >> 6,
                value: bytes[from..from + len].to_vec(),
            });
            at = from + len;
        }
        Self { envelope: [bytes[0], bytes[1], bytes[2]], elements }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut body = vec![0];
        body.extend((self.elements.len() as u16).to_be_bytes());
        for e in &self.elements {
            body.extend(e.id.to_be_bytes());
            body.push(e.criticality << 6);
            put_length(&mut body, e.value.len());
            body.extend(&e.value);
        }
        let mut out = self.envelope.to_vec();
        put_length(&mut out, body.len());
        out.extend(body);
        out
    }

    /// The same, with this done to it.
    pub fn with(&self, change: impl FnOnce(&mut Vec<Element>)) -> Vec<u8> {
        let mut parts = self.clone();
        change(&mut parts.elements);
        parts.bytes()
    }
}
