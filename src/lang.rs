//! The language of what people read: Japanese or English (decision D11). Logs are English.

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Lang {
    /// English.
    En,
    /// 日本語.
    Ja,
}

impl Lang {
    /// The language of `--lang`, else of LC_ALL, LC_MESSAGES or LANG, else English.
    pub fn choose(flag: Option<Self>) -> Self {
        let of_env = || {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(|k| std::env::var(k).ok());
            let first = set.into_iter().find(|v| !v.is_empty())?;
            first.starts_with("ja").then_some(Self::Ja)
        };
        flag.or_else(of_env).unwrap_or(Self::En)
    }

    /// The tag for Accept-Language.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    /// One of two texts.
    pub fn of<'a>(self, en: &'a str, ja: &'a str) -> &'a str {
        match self {
            Self::En => en,
            Self::Ja => ja,
        }
    }
}
