//! Licence expressions as Cargo manifests write them: SPDX with `AND`, `OR`, brackets and `WITH`, and the
//! older `A/B`, which means `OR`.

/// True where the expression can be met with the licences in `allowed`. `X WITH Y` is met by `X`, because
/// an exception only gives more.
pub fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0, allowed };
    let met = parser.or();
    met && parser.at == words.len() && !words.is_empty()
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    allowed: &'a [String],
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let here = self.words.get(self.at) == Some(&word);
        self.at += usize::from(here);
        here
    }

    fn or(&mut self) -> bool {
        let mut met = self.and();
        while self.take("OR") {
            met |= self.and();
        }
        met
    }

    fn and(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.or();
            return self.take(")") && met;
        }
        let Some(id) = self.words.get(self.at) else { return false };
        self.at += 1;
        if self.take("WITH") {
            self.at += 1;
        }
        self.allowed.iter().any(|a| a == id)
    }
}

#[cfg(test)]
mod tests {
    use super::is_met;

    #[test]
    fn expressions_are_read_as_cargo_writes_them() {
        let allowed = ["MIT".to_owned(), "Apache-2.0".to_owned(), "Unicode-3.0".to_owned()];
        let met = |e| is_met(e, &allowed);
        assert!(met("MIT"));
        assert!(met("GPL-3.0 OR MIT"));
        assert!(met("MIT/GPL-3.0"));
        assert!(met("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(met("Apache-2.0 WITH LLVM-exception"));
        assert!(!met("GPL-3.0"));
        assert!(!met("MIT AND GPL-3.0"));
        assert!(!met("MIT AND (GPL-3.0 OR AGPL-3.0)"));
        assert!(!met(""));
        assert!(!met("MIT MIT"));
        assert!(!met("(MIT"));
    }
}
