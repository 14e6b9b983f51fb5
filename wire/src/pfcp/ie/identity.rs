//! Whose session it is: the user, the data network, the slice, which of the UE's sessions.

use super::Ie;
use crate::pfcp::{
    PfcpError,
    reader::{ENTERPRISE, Reader},
};
use types::{Dnn, Imsi, Snssai};

/// User ID (§8.2.101): each identity behind a length octet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserId {
    /// IMSI.
    pub imsi: Option<Imsi>,
    /// IMEI or IMEISV, TBCD.
    pub imei: Option<Vec<u8>>,
    /// MSISDN, TBCD.
    pub msisdn: Option<Vec<u8>>,
    /// Network access identifier.
    pub nai: Option<Vec<u8>>,
}

impl Ie for UserId {
    const TYPE: u16 = 141;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let mut field = |bit: u8| -> Result<Option<Vec<u8>>, PfcpError> {
            if flags & bit == 0 {
                return Ok(None);
            }
            let n = r.u8()?;
            r.bytes(usize::from(n)).map(|b| Some(b.to_vec()))
        };
        let (imsi, imei, msisdn, nai) = (field(0x01)?, field(0x02)?, field(0x04)?, field(0x08)?);
        let imsi = match imsi {
            None => None,
            Some(b) => Some(imsi_from_tbcd(&b).ok_or_else(|| r.incorrect("IMSI of the User ID"))?),
        };
        Ok(Self { imsi, imei, msisdn, nai })
    }
    fn write(&self, out: &mut Vec<u8>) {
        let imsi = self.imsi.map(tbcd);
        let fields = [&imsi, &self.imei, &self.msisdn, &self.nai];
        out.push(fields.iter().enumerate().map(|(i, f)| u8::from(f.is_some()) << i).sum());
        for field in fields.into_iter().flatten() {
            out.push(field.len().min(255) as u8);
            out.extend(field.iter().take(255));
        }
    }
}

/// Digits, the first in the low half of the first octet, filled up with 1111 (TS 29.002 TBCD).
fn tbcd(imsi: Imsi) -> Vec<u8> {
    let digits: Vec<u8> = imsi.digits().collect();
    digits
        .chunks(2)
        .map(|pair| match *pair {
            [low, high] => high << 4 | low,
            [low, ..] => 0xf0 | low,
            [] => 0xff,
        })
        .collect()
}

fn imsi_from_tbcd(bytes: &[u8]) -> Option<Imsi> {
    let mut text = String::with_capacity(16);
    for (i, b) in bytes.iter().enumerate() {
        let last = i + 1 == bytes.len();
        text.push(char::from_digit(u32::from(b & 0x0f), 10)?);
        match b >> 4 {
            0x0f if last => {}
            high => text.push(char::from_digit(u32::from(high), 10)?),
        }
    }
    text.parse().ok()
}

/// APN/DNN (§8.2.117): labels, each behind its length (TS 23.003 §9.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApnDnn(pub Dnn);

impl Ie for ApnDnn {
    const TYPE: u16 = 159;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let mut name = String::new();
        while !r.is_empty() {
            let n = r.u8()?;
            let label = r.bytes(usize::from(n))?;
            let label = std::str::from_utf8(label).map_err(|_| r.incorrect("label of the DNN"))?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(label);
        }
        name.parse().map(Self).map_err(|_| r.incorrect("DNN"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        for label in self.0.as_str().split('.') {
            out.push(label.len() as u8);
            out.extend_from_slice(label.as_bytes());
        }
    }
}

/// S-NSSAI (§8.2.176): SST and SD; ff ff ff means no SD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SNssai(pub Snssai);

impl Ie for SNssai {
    const TYPE: u16 = 257;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let [sst, sd @ ..] = r.array::<4>()?;
        Ok(Self(Snssai { sst, sd: (sd != [0xff; 3]).then_some(sd) }))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.0.sst);
        out.extend_from_slice(&self.0.sd.unwrap_or([0xff; 3]));
    }
}

/// Which PDU session of the UE it is: a vendor-specific element of ours (§8.1.1), between our own
/// control plane and our own gateway. Others skip it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduSession(pub types::PduSessionId);

impl Ie for PduSession {
    const TYPE: u16 = 0x8001;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        r.u16()?;
        let id = r.u8()?;
        id.try_into().map(Self).map_err(|_| r.incorrect("PDU session identity"))
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&ENTERPRISE.to_be_bytes());
        out.push(self.0.into());
    }
}
