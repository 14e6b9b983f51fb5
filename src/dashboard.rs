//! The Grafana dashboard (`docs/grafana/sekisho.json`): whether its queries ask for what `/metrics` has.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The dashboard, as it is imported into Grafana.
pub const DASHBOARD: &str = include_str!("../docs/grafana/sekisho.json");

/// Labels that Prometheus itself gives.
const OF_PROMETHEUS: [&str; 2] = ["instance", "job"];

/// Metrics that are there only once something has happened or is configured.
const SOMETIMES: [&str; 2] = ["sekisho_alerts", "sekisho_gateway_dropped_total"];

/// Names and labels that `/metrics` has.
struct Known(BTreeMap<String, BTreeSet<String>>);

impl Known {
    fn read(metrics: &str) -> Self {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in metrics.lines().filter(|l| !l.starts_with('#')) {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
            let labels = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map_or("", |(l, _)| l);
            all.entry(name.to_owned()).or_default().extend(label_names(labels));
        }
        Self(all)
    }
}

/// `a="x",b=~"y"` → a, b.
fn label_names(selector: &str) -> Vec<String> {
    // What stands between quotes is no name.
    let outside: String = selector.split('"').step_by(2).collect::<Vec<_>>().join("\u{0}");
    let names = outside.split([',', '\u{0}']).map(|p| p.trim_end_matches(['=', '~', '!']).trim().to_owned());
    names.filter(|n| !n.is_empty()).collect()
}

/// The queries of a dashboard.
pub fn queries(dashboard: &str) -> Vec<String> {
    fn walk(v: &Value, found: &mut Vec<String>) {
        match v {
            Value::Object(o) => {
                found.extend(o.get("expr").and_then(Value::as_str).map(ToOwned::to_owned));
                o.values().for_each(|v| walk(v, found));
            }
            Value::Array(a) => a.iter().for_each(|v| walk(v, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_str(dashboard).unwrap_or_default(), &mut found);
    found
}

/// What the dashboard asks for and `metrics` (the text of `/metrics`) has not.
pub fn missing(dashboard: &str, metrics: &str) -> Vec<String> {
    let known = Known::read(metrics);
    let mut found = Vec::new();
    for query in queries(dashboard) {
        let mut labels_here = BTreeSet::new();
        let mut absent = false;
        for (at, _) in query.match_indices("sekisho_") {
            let rest = &query[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, behind) = rest.split_at(end);
            let Some(labels) = known.0.get(name) else {
                absent = true;
                if !SOMETIMES.contains(&name) {
                    found.push(format!("{name}: there is no such metric (in {query})"));
                }
                continue;
            };
            labels_here.extend(labels.iter().cloned());
            let selector = behind.strip_prefix('{').and_then(|r| r.split_once('}')).map_or("", |(s, _)| s);
            for label in label_names(selector) {
                if !labels.contains(&label) && !OF_PROMETHEUS.contains(&label.as_str()) {
                    found.push(format!("{name} has no label {label} (in {query})"));
                }
            }
        }
        let by =
            query.split("by (").skip(1).filter_map(|r| r.split_once(')')).flat_map(|(l, _)| l.split(','));
        for label in by.map(str::trim).filter(|l| !absent && !labels_here.contains(*l)) {
            found.push(format!("nothing has the label {label} (in {query})"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# HELP sekisho_ues UEs\n# TYPE sekisho_ues gauge\nsekisho_ues 2\n\
                           sekisho_gateway_packets_total{shard=\"0\",direction=\"up,x\"} 7\n";

    fn of(query: &str) -> Vec<String> {
        missing(&serde_json::json!({ "panels": [{ "targets": [{ "expr": query }] }] }).to_string(), METRICS)
    }

    #[test]
    fn a_query_that_finds_nothing_is_named() {
        assert_eq!(of("sekisho_ues{instance=~\"$instance\"}"), Vec::<String>::new());
        assert_eq!(
            of("sum by (direction) (rate(sekisho_gateway_packets_total{shard=\"0\"}[1m]))"),
            Vec::<String>::new()
        );
        assert_eq!(of("sekisho_ue").len(), 1);
        assert!(of("sekisho_ues + sekisho_gnb")[0].starts_with("sekisho_gnb:"));
        assert!(of("sekisho_ues{state=\"x\"}")[0].contains("no label state"));
        assert!(of("sum by (reason) (sekisho_gateway_packets_total)")[0].contains("label reason"));
        assert_eq!(of("sum(sekisho_alerts{state=\"open\"})"), Vec::<String>::new(), "there are none yet");
    }

    #[test]
    fn the_dashboard_has_queries_and_all_of_them_are_about_us() {
        let all = queries(DASHBOARD);
        assert!(all.len() >= 15, "{}", all.len());
        assert!(all.iter().all(|q| q.contains("sekisho_")));
    }
}
