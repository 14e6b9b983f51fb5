//! Why somebody is not let in: a word for the audit, and words for the person.

use crate::problem::{Problem, Said, say};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The browser brings nothing that it began with, or that was too long ago.
    NotBegun,
    /// The state is not the one that this browser began with.
    OtherBrowser,
    /// The state came back before.
    Used,
    /// The provider says no; its error code.
    Denied(String),
    /// The provider did not answer, or not in a way that can be read.
    Unreachable(String),
    /// The provider did not answer a moment ago and is not asked again yet.
    LeftAlone,
    /// Too many are being asked for at once.
    Busy,
    /// The provider does not take the code, or does not know us; its error code.
    CodeRefused(String),
    /// There is no ID token, or it cannot be read.
    Malformed,
    /// The ID token is signed by a method that is not taken, or not at all.
    Algorithm,
    /// No key of the provider's is the one that is named.
    KeyUnknown,
    /// The signature is not of that key.
    Signature,
    /// The ID token is of another issuer.
    Issuer,
    /// The ID token is for somebody else.
    Audience,
    /// It ran out.
    Expired,
    /// It does not count yet.
    NotYetValid,
    /// It was not made for this sign-in.
    Nonce,
    /// He did not prove himself as it is asked for.
    Assurance,
    /// No group of his gives anything here.
    NoGroup,
    /// The SIM is nobody's who may use it.
    NoPerson,
    /// The SIM is somebody else's.
    OtherPerson,
}

impl Refusal {
    /// True where it says nothing about who tries: a silent provider must not make anybody wait.
    pub(crate) fn is_the_providers(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::LeftAlone | Self::Busy)
    }

    /// True where somebody was asked who they are and did not prove it, or is somebody else: not a browser that lost its
    /// way, and not a provider that does not work as it should.
    pub(crate) fn is_of_the_person(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Assurance | Self::OtherPerson)
    }

    /// False where the audit has the row already that says the same.
    pub(crate) fn is_told(&self) -> bool {
        !matches!(self, Self::LeftAlone | Self::Busy)
    }

    /// A word for counters.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NotBegun => "not-begun",
            Self::OtherBrowser => "other-browser",
            Self::Used => "used",
            Self::Denied(_) => "denied",
            Self::Unreachable(_) | Self::LeftAlone | Self::Busy => "unreachable",
            Self::CodeRefused(_) => "code-refused",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::KeyUnknown => "key-unknown",
            Self::Signature => "signature",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired | Self::NotYetValid => "expired",
            Self::Nonce => "nonce",
            Self::Assurance => "assurance",
            Self::NoGroup | Self::NoPerson => "no-person",
            Self::OtherPerson => "other-person",
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Unreachable(_) | Self::LeftAlone | Self::Busy => 503,
            Self::NotBegun | Self::OtherBrowser | Self::Used => 400,
            Self::Assurance | Self::NoGroup | Self::NoPerson | Self::OtherPerson | Self::Denied(_) => 403,
            _ => 401,
        }
    }

    /// What was wrong. The English text is what the audit says.
    pub(crate) fn why(&self) -> Said {
        match self {
            Self::NotBegun => say!(
                "this browser did not begin this sign-in, or more than ten minutes ago",
                "このブラウザーで開始したサインインではないか、開始から 10 分以上経過しています"
            ),
            Self::OtherBrowser => say!(
                "the state is not the one that this browser began with",
                "このブラウザーで開始したサインインの state と一致しません"
            ),
            Self::Used => say!("this sign-in came back before", "このサインインは既に使用されています"),
            Self::Denied(code) => {
                say!("the provider refused it ({code})", "プロバイダーが拒否しました ({code})")
            }
            Self::Unreachable(_) | Self::LeftAlone => say!(
                "the identity provider does not answer as it should",
                "ID プロバイダーから正しい応答がありません"
            ),
            Self::Busy => say!(
                "too many sign-ins wait for the identity provider",
                "ID プロバイダーの応答を待つサインインが多すぎます"
            ),
            Self::CodeRefused(code) => say!(
                "the provider did not take the code ({code})",
                "プロバイダーが認可コードを受け付けませんでした ({code})"
            ),
            Self::Malformed => say!(
                "the provider sent no ID token that can be read",
                "プロバイダーから読み取れる ID トークンが届きませんでした"
            ),
            Self::Algorithm => say!(
                "the ID token is not signed by a method that is taken",
                "ID トークンの署名方式は使用できません"
            ),
            Self::KeyUnknown => {
                say!("the ID token names a key that is unknown", "ID トークンの鍵が不明です")
            }
            Self::Signature => {
                say!("the ID token's signature is not right", "ID トークンの署名が正しくありません")
            }
            Self::Issuer => say!("the ID token is of another issuer", "ID トークンの発行者が異なります"),
            Self::Audience => {
                say!("the ID token is for another audience", "ID トークンの宛先 (aud) が異なります")
            }
            Self::Expired => say!("the ID token has run out", "ID トークンの有効期限が切れています"),
            Self::NotYetValid => {
                say!("the ID token does not count yet", "ID トークンはまだ有効になっていません")
            }
            Self::Nonce => say!(
                "the ID token was not made for this sign-in (nonce)",
                "ID トークンがこのサインインのものではありません (nonce)"
            ),
            Self::Assurance => say!(
                "the provider does not say that you proved yourself as it is asked for here (acr, amr)",
                "ここで求められる強度の認証 (acr, amr) が確認できません"
            ),
            Self::NoPerson => say!(
                "this SIM is registered to nobody who may use it",
                "この SIM を利用できる利用者が登録されていません"
            ),
            Self::OtherPerson => {
                say!("this SIM is registered to somebody else", "この SIM は別の利用者に登録されています")
            }
            Self::NoGroup => say!(
                "none of your groups has a role here",
                "あなたの所属グループにはここでのロールが割り当てられていません"
            ),
        }
    }

    fn fix(&self) -> Said {
        match self {
            Self::Unreachable(_) | Self::LeftAlone | Self::Busy => say!(
                "try again in a moment; local operators sign in with name and password meanwhile",
                "しばらくしてから再試行してください。その間もローカルのオペレーターは名前とパスワードでサインインできます"
            ),
            Self::NoGroup => say!(
                "ask whoever looks after Sekisho to give one of your groups a role",
                "所属グループへのロールの割り当てを Sekisho の管理者に依頼してください"
            ),
            Self::NoPerson | Self::OtherPerson => say!(
                "use your own SIM, or ask your IT department",
                "自分の SIM を使用するか、IT 部門に相談してください"
            ),
            Self::Assurance => say!(
                "sign in at the provider with a second factor",
                "プロバイダーで二要素認証を使ってサインインしてください"
            ),
            Self::Expired | Self::NotYetValid => say!(
                "begin anew; where it happens again, this machine's clock or the provider's is wrong",
                "最初からやり直してください。繰り返す場合は、このサーバーかプロバイダーの時計がずれています"
            ),
            _ => say!(
                "begin anew; where it happens again, tell whoever looks after Sekisho",
                "最初からやり直してください。繰り返す場合は Sekisho の管理者に連絡してください"
            ),
        }
    }

    /// What the person is told.
    pub(crate) fn problem(&self, provider: &str) -> Problem {
        Problem::new(
            self.status(),
            "provider-sign-in",
            say!("Sign-in by {provider} did not work", "{provider} でサインインできませんでした"),
        )
        .detail(self.why())
        .fix(self.fix())
    }
}
