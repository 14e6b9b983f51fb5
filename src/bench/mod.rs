//! `sekisho bench`: figures as ratios within one run, because machines differ and this one is shared.

pub mod air;
pub mod aka;
pub mod attach;
pub mod ban;
mod company;
pub mod console;
pub mod damage;
pub mod disk;
pub mod failures;
pub mod import;
pub mod kills;
pub mod noise;
pub mod path;
pub mod policy;
pub mod replay;
pub mod restore;
pub mod secrets;

/// Median, lowest and highest of repeated measurements.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Spread {
    /// Median.
    pub median: f64,
    /// Lowest.
    pub min: f64,
    /// Highest.
    pub max: f64,
}

impl Spread {
    /// Of these values; zeros where there is none.
    pub fn of(mut v: Vec<f64>) -> Self {
        v.sort_by(f64::total_cmp);
        Self { median: at(&v, 0.5), min: at(&v, 0.0), max: at(&v, 1.0) }
    }
}

/// The value at quantile `q` of sorted values.
pub fn at(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * q).round() as usize).copied().unwrap_or_default()
}
