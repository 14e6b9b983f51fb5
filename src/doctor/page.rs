//! The page inside the closed network: what would keep people from it, or from the provider behind it.

use super::{
    certificate::{self, Certificate},
    judge::{DAY, EDIT, List, both},
    machine::Machine,
};
use crate::{config::Config, provider::Door};
use std::net::{IpAddr, SocketAddr};

/// What was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSeen {
    /// Its certificate.
    pub certificate: Result<Certificate, String>,
    /// The provider's host, and its addresses as this machine's resolver says, or why it says none.
    pub provider: Result<(String, Vec<SocketAddr>), String>,
    /// Kinds of SIMs, by their groups, to which the policy closes the way to the provider, where somebody asked it.
    pub closed: Vec<String>,
}

impl PageSeen {
    /// Looks at it, where there is one.
    pub(super) fn look(config: &Config) -> Option<Self> {
        let s = config.service.as_ref()?;
        let certificate = certificate::read(&s.certificate, Some(&s.private_key));
        let issuer = config.oidc.as_ref().map(|o| o.issuer.as_str()).unwrap_or_default();
        Some(Self { certificate, provider: resolved(issuer), closed: Vec::new() })
    }
}

fn resolved(issuer: &str) -> Result<(String, Vec<SocketAddr>), String> {
    let door = Door::of(issuer).ok_or_else(|| format!("{issuer} is not a URL"))?;
    let at = door.addresses().map_err(|e| format!("{}: {e}", door.host))?;
    Ok((door.host, at))
}

/// Judges it.
pub(super) fn judge(l: &mut List, c: &Config, m: &Machine) {
    let (Some(seen), Some(service)) = (&m.page, &c.service) else { return };
    let what = || both!("page inside the closed network", "閉域網内のページ");
    let before = l.len();
    let file = service.certificate.display();
    let show = format!("openssl x509 -in {file} -noout -dates");
    let renew = || both!("put a new one there and restart", "新しい証明書に置き換えて再起動してください");
    match &seen.certificate {
        Err(why) => {
            l.bad(
                "page-certificate",
                what(),
                both!("{why}", "{why}"),
                renew(),
                format!("openssl x509 -in {file} -noout -text"),
            );
        }
        Ok(cert) => {
            let now = m.utc_ms / 1000;
            let days = (cert.until - now).div_euclid(DAY);
            if now < cert.from || now >= cert.until {
                l.bad(
                    "page-certificate",
                    what(),
                    both!("its certificate does not hold at this time", "証明書が有効期間外です"),
                    renew(),
                    show,
                );
            } else if days < 30 {
                l.note(
                    "page-certificate-soon",
                    what(),
                    both!("its certificate runs out in {days} days", "証明書の期限まであと {days} 日です"),
                    renew(),
                    show,
                );
            }
        }
    }
    let addresses = service.address.map(IpAddr::V4).into_iter().chain(service.address6.map(IpAddr::V6));
    for (address, pool) in
        addresses.flat_map(|a| m.pools.iter().filter(move |p| p.contains(&a)).map(move |p| (a, p)))
    {
        l.bad(
            "page-address",
            what(),
            both!(
                "its address {address} lies in the pool {pool}",
                "アドレス {address} がアドレスプール {pool} に含まれています"
            ),
            both!("give it an address that no UE gets", "UE に払い出されないアドレスを設定してください"),
            EDIT,
        );
    }
    if let Err(why) = &seen.provider {
        l.note(
            "page-provider-name",
            what(),
            both!(
                "the provider's name is not found from here: {why}",
                "ここから ID プロバイダーの名前を解決できません: {why}"
            ),
            both!(
                "see that this machine's resolver knows it, and that of the data network",
                "このマシンとデータネットワークのリゾルバーで名前を解決できるか確認してください"
            ),
            format!("getent hosts {}", c.oidc.as_ref().map(|o| o.issuer.as_str()).unwrap_or_default()),
        );
    }
    if let (false, Ok((host, _))) = (seen.closed.is_empty(), &seen.provider) {
        let whose = seen.closed.join("; ");
        l.bad(
            "page-provider-closed",
            what(),
            both!(
                "SIMs do not reach {host} before they have proved anything (by groups: {whose})",
                "本人確認前の SIM から {host} に到達できません (グループ: {whose})"
            ),
            both!(
                "its addresses lie in an app of yours: write them as prefixes in [service.provider], or allow your app to them",
                "アドレスが既存のアプリに含まれています。[service.provider] の prefixes に記載するか、そのアプリを許可してください"
            ),
            EDIT,
        );
    }
    if l.len() == before {
        let url = &service.url;
        l.good(
            "page",
            what(),
            both!(
                "{url} stands, and the way to the provider is open",
                "{url} は利用可能で、ID プロバイダーへの経路も開いています"
            ),
        );
    }
}
