//! The names of the columns, and what stands in them without what typing and spreadsheets leave there.

use zeroize::Zeroizing;

/// A column of the file, or a member of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Imsi,
    K,
    Opc,
    Op,
    Algorithm,
    Topc,
    Top,
    Iterations,
    Iccid,
    Label,
    State,
    Groups,
    Dnns,
    StaticIps,
    Slices,
    AmbrUl,
    AmbrDl,
    Device,
    Asset,
    Person,
    Site,
    SqnMode,
    SqnIndBits,
    SqnDelta,
    ExportedSeq,
}

impl Column {
    /// All of them with their names, in the order of the documented header.
    pub(crate) const ALL: [(Self, &'static str); 25] = [
        (Self::Imsi, "imsi"),
        (Self::K, "k"),
        (Self::Opc, "opc"),
        (Self::Op, "op"),
        (Self::Algorithm, "algorithm"),
        (Self::Topc, "topc"),
        (Self::Top, "top"),
        (Self::Iterations, "iterations"),
        (Self::Iccid, "iccid"),
        (Self::Label, "label"),
        (Self::State, "state"),
        (Self::Groups, "groups"),
        (Self::Dnns, "dnns"),
        (Self::StaticIps, "static_ips"),
        (Self::Slices, "slices"),
        (Self::AmbrUl, "ambr_ul_bps"),
        (Self::AmbrDl, "ambr_dl_bps"),
        (Self::Device, "device"),
        (Self::Asset, "asset"),
        (Self::Person, "person"),
        (Self::Site, "site"),
        (Self::SqnMode, "sqn_mode"),
        (Self::SqnIndBits, "sqn_ind_bits"),
        (Self::SqnDelta, "sqn_delta"),
        (Self::ExportedSeq, "exported_seq"),
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(c, _)| *c == self).map_or("", |(_, n)| n)
    }

    /// The column of this name; the case of letters, and spaces around it, do not matter.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(c, _)| *c)
    }

    /// The name that is nearest to one that is none.
    pub(crate) fn nearest(name: &str) -> &'static str {
        let name: String = name.trim().to_lowercase().chars().take(32).collect();
        Self::ALL.iter().map(|(_, n)| *n).min_by_key(|n| distance(&name, n)).unwrap_or("imsi")
    }
}

impl Column {
    /// True where spaces and hyphens between the digits mean nothing.
    fn is_digits(self) -> bool {
        use Column::{AmbrDl, AmbrUl, Device, ExportedSeq, Iccid, Imsi, Iterations, SqnDelta, SqnIndBits};
        self.is_key()
            || matches!(
                self,
                Imsi | Iccid | Device | AmbrUl | AmbrDl | SqnIndBits | SqnDelta | ExportedSeq | Iterations
            )
    }

    /// True where a key stands.
    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::K | Self::Opc | Self::Op | Self::Topc | Self::Top)
    }
}

/// A cell as it was meant: full-width letters, digits and signs as ASCII, and in columns of digits no spaces and hyphens.
/// A label stays as it was written, but for spaces around it and the quote by which a spreadsheet was kept from running it.
pub(super) fn tidy(column: Column, text: &str) -> Zeroizing<String> {
    let text = text.trim();
    if column == Column::Label {
        let plain = text.strip_prefix('\'').filter(|t| t.starts_with(['=', '+', '-', '@']));
        return Zeroizing::new(plain.unwrap_or(text).to_owned());
    }
    let mut tidy = Zeroizing::new(String::with_capacity(text.len()));
    tidy.extend(text.chars().map(crate::check::half));
    // A lone hyphen takes away what is there.
    if column.is_digits() && *tidy != "-" {
        tidy.retain(|c| !crate::check::is_gap(c));
    }
    tidy
}

/// How many letters are to be changed, added or taken away to make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, up), up_left) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            next.push((up_left + usize::from(x != *y)).min(up + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
