//! Prometheus text: a small formatter, and the API's own counters.
//!
//! A label never holds an IMSI: a label value of 6 or more digits and nothing else is left out, whatever made it.

use crate::control::{Metric, MetricKind};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Requests answered, by method, route and class of status.
#[derive(Default)]
pub(crate) struct Requests {
    answered: Mutex<BTreeMap<(String, String, u16), u64>>,
    /// Refused for want of a token (401) or of a right (403). Counted and not written one by one: whoever knocks
    /// without end must not fill the audit.
    refused: [AtomicU64; 2],
}

impl Requests {
    /// Counts one; `route` is the route's pattern, never the path.
    pub(crate) fn count(&self, method: &str, route: &str, status: u16) {
        match (status, &self.refused) {
            (401, [token, _]) => _ = token.fetch_add(1, Ordering::Relaxed),
            (403, [_, right]) => _ = right.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        let mut all = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry((method.to_owned(), route.to_owned(), status / 100 * 100)).or_default() += 1;
    }

    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let all = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = ["no-token", "missing-right"].iter().zip(&self.refused).map(|(why, n)| Metric {
            name: "sekisho_api_refused_total",
            help: "Requests refused for want of a token or of a right.",
            kind: MetricKind::Counter,
            labels: vec![("why", (*why).to_owned())],
            value: n.load(Ordering::Relaxed) as f64,
        });
        all.iter()
            .map(|((method, route, class), n)| Metric {
                name: "sekisho_api_requests_total",
                help: "Requests answered by the API.",
                kind: MetricKind::Counter,
                labels: vec![
                    ("method", method.clone()),
                    ("route", route.clone()),
                    ("class", class.to_string()),
                ],
                value: *n as f64,
            })
            .chain(refused)
            .collect()
    }
}

/// The text format, version 0.0.4: metrics of one name together, HELP and TYPE once.
pub(crate) fn text(metrics: &[Metric]) -> String {
    let mut by_name: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for m in metrics {
        by_name.entry(m.name).or_default().push(m);
    }
    let mut out = String::new();
    for (name, all) in by_name {
        let Some(first) = all.first() else { continue };
        let kind = match first.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        let _ = writeln!(out, "# HELP {name} {}", first.help);
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for m in all {
            let labels: Vec<String> = m
                .labels
                .iter()
                .filter(|(_, v)| !looks_like_an_identity(v))
                .map(|(k, v)| format!("{k}=\"{}\"", escaped(v)))
                .collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{labels} {}", m.value);
        }
    }
    out
}

fn looks_like_an_identity(v: &str) -> bool {
    let digits = v.strip_prefix("imsi-").unwrap_or(v);
    digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit())
}

fn escaped(v: &str) -> String {
    v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &'static str, label: &str, value: f64) -> Metric {
        let labels = vec![("who", label.to_owned())];
        Metric { name, help: "A number.", kind: MetricKind::Gauge, labels, value }
    }

    #[test]
    fn one_head_per_name_and_no_identity_in_a_label() {
        let all = [metric("a", "x\"y", 1.0), metric("b", "001010000000001", 2.0), metric("a", "z", 0.5)];
        assert_eq!(
            text(&all),
            "# HELP a A number.\n# TYPE a gauge\na{who=\"x\\\"y\"} 1\na{who=\"z\"} 0.5\n\
             # HELP b A number.\n# TYPE b gauge\nb 2\n"
        );
    }
}
