//! Enums of words: each value has one, the same in API, SQL and CLI.

/// An enum of words: `as_str`, `Display`, `FromStr` and serde by the same word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$d:meta])* $id:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$d])* #[serde(rename = $word)] $id,)*
        }

        impl $name {
            /// Every word.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Its word in API, SQL and CLI.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                Self::ALL.iter().find(|v| v.as_str() == s).copied().ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("{} is one of {}", $what, all.join(", "))
                })
            }
        }
    };
}
