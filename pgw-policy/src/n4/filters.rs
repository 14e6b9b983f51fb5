//! SDF filters of a request's PDRs (TS 29.244 §8.2.5).

use super::rules::{Draft, Refusal, ie};
use crate::session::{Filter, Pdr};
use wire::pfcp::{Cause, FailedRuleId, SdfFilter};

/// Most SDF filters of a PDR, as many as a traffic flow template has packet filters (TS 24.008 §10.5.6.12).
const MAX_FILTERS: usize = 15;
/// And of all PDRs of a session together: each packet of it may have to be held against all of them.
const MAX_FILTERS_IN_ALL: usize = 256;

impl Draft {
    /// The filters of a PDI take the place of those that were. One that is only a number is looked up when all are read.
    pub(super) fn read_filters(
        &mut self,
        id: u16,
        pdr: &mut Pdr,
        filters: &[SdfFilter],
    ) -> Result<(), Refusal> {
        if filters.len() > MAX_FILTERS {
            return Err(Refusal::rule(FailedRuleId::Pdr(id), Cause::NoResources, ie::SDF_FILTER));
        }
        self.named_filters.retain(|(of, _)| *of != id);
        let named = filters.iter().filter(|f| f.is_reference()).filter_map(|f| f.id);
        self.named_filters.extend(named.map(|number| (id, number)));
        pdr.filters = filters.iter().filter(|f| !f.is_reference()).map(Filter::from).collect();
        Ok(())
    }

    /// TS 29.244 §8.2.5: a filter that is only a number is the one that has this number in another PDR of the session, of
    /// the other direction as a rule. Without it the PDR would speak of more than was meant.
    pub(super) fn find_named_filters(&mut self) -> Result<(), Refusal> {
        for (id, number) in std::mem::take(&mut self.named_filters) {
            let mut all = self.rules.pdrs.values().flat_map(|p| p.filters.iter());
            let found = all.find(|f| f.id == Some(number)).cloned();
            let missing = Refusal::rule(FailedRuleId::Pdr(id), Cause::RuleFailure, ie::SDF_FILTER);
            let found = found.ok_or(missing)?;
            let pdr = self.rules.pdrs.get_mut(&id).ok_or(missing)?;
            pdr.filters = pdr.filters.iter().cloned().chain([found]).collect();
        }
        match self.rules.pdrs.values().map(|p| p.filters.len()).sum::<usize>() > MAX_FILTERS_IN_ALL {
            true => Err(Refusal::of(Cause::NoResources)),
            false => Ok(()),
        }
    }
}
