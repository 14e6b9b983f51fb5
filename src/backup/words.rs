//! Why a backup is refused, in words.

use crate::lang::Lang;
use std::fmt;

/// Why a file is not restored. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is no backup.
    Foreign,
    /// Of a form that this version does not know.
    Version,
    /// Sealed to another recovery key.
    OtherKey,
    /// Its end is missing.
    CutShort,
    /// Octets are not those that were written.
    Altered,
    /// Sealed well, but its parts do not fit together.
    Inconsistent(String),
    /// The text of the recovery key is mistyped.
    KeyText,
    /// The target is not an empty directory.
    NotEmpty(String),
    /// A journal that was given does not belong to this backup, or cannot be read.
    Journal(String),
}

impl Refusal {
    /// For people.
    pub fn words(&self, lang: Lang) -> String {
        match self {
            Self::Foreign => lang.of("this file is no backup of Sekisho", "このファイルは Sekisho のバックアップではありません").into(),
            Self::Version => lang
                .of(
                    "this backup was made by a newer version of Sekisho; restore it with that version",
                    "このバックアップはより新しいバージョンで作成されています。そのバージョンで復元してください",
                )
                .into(),
            Self::OtherKey => lang
                .of(
                    "this backup is sealed to another recovery key, or the head of the file is damaged",
                    "このバックアップは別の回復キーで封印されているか、ファイルの先頭が壊れています",
                )
                .into(),
            Self::CutShort => lang.of("the backup is cut short: its end is missing", "バックアップの末尾が欠けています").into(),
            Self::Altered => lang
                .of(
                    "the backup is damaged or was altered; take another copy of it",
                    "バックアップが破損しているか改ざんされています。別のコピーを使ってください",
                )
                .into(),
            Self::Inconsistent(what) => match lang {
                Lang::En => format!("the backup does not fit together: {what}"),
                Lang::Ja => format!("バックアップの内容が整合しません: {what}"),
            },
            Self::KeyText => lang
                .of(
                    "this is no recovery key, or it is mistyped: fifteen groups of letters and digits, as `init` showed them",
                    "回復キーが正しくありません。init が表示した 15 組の英数字を入力してください",
                )
                .into(),
            Self::NotEmpty(dir) => match lang {
                Lang::En => format!("{dir} is not an empty directory; restore into a new one"),
                Lang::Ja => format!("{dir} は空のディレクトリではありません。新しいディレクトリを指定してください"),
            },
            Self::Journal(why) => match lang {
                Lang::En => format!("the journal that was given cannot be used: {why}"),
                Lang::Ja => format!("指定されたジャーナルは使用できません: {why}"),
            },
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(Lang::En))
    }
}

impl std::error::Error for Refusal {}
