//! SIM cards as a supplier delivers them: a file with a line for each, its keys in it.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use types::{Dnn, Imsi, Name};
use zeroize::Zeroizing;

/// What a card holds, and where its device wants to go.
pub struct Card {
    /// Its identity.
    pub imsi: Imsi,
    /// K, hexadecimal.
    pub k: Zeroizing<String>,
    /// OPc, hexadecimal.
    pub opc: Zeroizing<String>,
    /// The data network that its device asks for.
    pub dnn: Dnn,
}

/// The columns of the file, as `sekisho sim import` knows them.
const HEADER: &str = "imsi,iccid,k,opc,label,groups,dnns";

/// A file of `count` cards with keys of chance, their IMSIs one after the other.
///
/// # Errors
/// Where the IMSIs leave the digits that `first` has.
pub fn make(first: Imsi, count: u32, group: &Name, dnn: &Dnn) -> Result<Zeroizing<String>> {
    let first = first.to_string();
    let number: u64 = first.parse()?;
    let mut file = Zeroizing::new(format!("{HEADER}\n"));
    for n in 0..u64::from(count) {
        let imsi: Imsi = format!("{:0width$}", number + n, width = first.len())
            .parse()
            .with_context(|| format!("{count} IMSIs from {first} on are too many"))?;
        let key =
            || gateway::sys::random::<16>().map(Zeroizing::new).map(|k| Zeroizing::new(types::hex(&*k)));
        // 18 digits carry no check digit (ITU-T E.118 §4).
        let iccid = (number + n) % 100_000_000_000_000;
        let (k, opc) = (key()?, key()?);
        let (k, opc) = (k.as_str(), opc.as_str());
        writeln!(file, "{imsi},8981{iccid:014},{k},{opc},Laptop {},{group},{dnn}", n + 1)?;
    }
    Ok(file)
}

/// The cards of such a file, whatever the order of its columns.
///
/// # Errors
/// Names the line that has no card.
pub fn read(text: &str) -> Result<Vec<Card>> {
    let mut lines = text.lines().map(|l| l.split(',').map(str::trim).collect::<Vec<_>>());
    let header = lines.next().context("the file of cards is empty")?;
    let column = |name| {
        header
            .iter()
            .position(|h| *h == name)
            .with_context(|| format!("the file of cards has no column {name}"))
    };
    let (imsi, k, opc, dnn) = (column("imsi")?, column("k")?, column("opc")?, column("dnns")?);
    let mut cards = Vec::new();
    for (n, line) in lines.enumerate() {
        if line.len() != header.len() {
            bail!(
                "line {} of the file of cards has {} columns, its header {}",
                n + 2,
                line.len(),
                header.len()
            );
        }
        let cell = |at: usize| line.get(at).copied().unwrap_or_default();
        let card = || -> Result<Card> {
            // Several data networks are separated by semicolons; the first is the one that the device asks for.
            let first = cell(dnn).split([';', ' ', '|']).next().unwrap_or_default();
            Ok(Card {
                imsi: cell(imsi).parse()?,
                k: Zeroizing::new(cell(k).to_owned()),
                opc: Zeroizing::new(cell(opc).to_owned()),
                dnn: first.parse()?,
            })
        };
        cards.push(card().with_context(|| format!("line {} of the file of cards", n + 2))?);
    }
    Ok(cards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read_and_no_key_comes_twice() {
        let imsi: Imsi = "001010000000009".parse().unwrap();
        let file = make(imsi, 3, &"office".parse().unwrap(), &"corp".parse().unwrap()).unwrap();
        let cards = read(&file).unwrap();
        let imsis: Vec<String> = cards.iter().map(|c| c.imsi.to_string()).collect();
        assert_eq!(imsis, ["001010000000009", "001010000000010", "001010000000011"]);
        let keys: std::collections::BTreeSet<&str> =
            cards.iter().flat_map(|c| [c.k.as_str(), c.opc.as_str()]).collect();
        assert_eq!(keys.len(), 6);
        assert!(keys.iter().all(|k| k.len() == 32));
        assert!(cards.iter().all(|c| c.dnn.as_str() == "corp"));
    }

    #[test]
    fn a_line_that_has_no_card_is_named() {
        let why = |text: &str| format!("{:#}", read(text).err().unwrap());
        assert!(why("").contains("empty"));
        assert!(why("imsi,k,opc\n").contains("no column dnns"));
        assert!(why("imsi,k,opc,dnns\n001010000000001,00,00\n").contains("line 2"));
        assert!(why("imsi,k,opc,dnns\n00101000000000x,00,00,corp\n").contains("line 2"));
    }
}
