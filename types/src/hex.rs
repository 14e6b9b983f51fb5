//! Octets as hexadecimal text.

/// Two lower-case digits per octet.
pub fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(octets.len() * 2);
    for o in octets {
        // Writing into a String does not fail.
        let _ = write!(text, "{o:02x}");
    }
    text
}

/// The octets of a text of hexadecimal digits, upper or lower case; `None` where it is anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect()
}
