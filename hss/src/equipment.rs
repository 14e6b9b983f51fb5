//! Which device may a SIM live in: the company's list, the SIM's binding, and the device that was learnt.
//!
//! The device is what the UE says under integrity, and a modified one may say what it likes: a binding keeps honest
//! people from putting a SIM into another device and makes a thief lie; it proves nothing by itself.

use crate::admission::{Judged, refusal};
use crate::core::{Hss, Write};
use crate::io::Output;
use std::collections::{BTreeMap, BTreeSet};
use types::{
    Binding, BindingDecision, BindingMode, Bound, Colour, DevicePattern, EquipmentPattern, FgmmCause,
    Happening, Imsi, Pei, Refusal, RefusalReason, WhenMissing,
};

/// How many requests wait for one device to be durable.
const WAITING: usize = 8;

/// The company's own list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EquipmentBook {
    colours: BTreeMap<EquipmentPattern, Colour>,
    /// Those of `colours` that are ranges of models, the narrowest first.
    ranges: Vec<(EquipmentPattern, Colour)>,
    /// Banned by a revocation; no entry of the list takes that back.
    banned: BTreeSet<DevicePattern>,
}

impl EquipmentBook {
    /// Replaces the list.
    pub(crate) fn set(&mut self, list: Vec<(EquipmentPattern, Colour)>) {
        self.ranges = list.iter().copied().filter(|(p, _)| p.is_range()).collect();
        self.ranges.sort_by_key(|(p, _)| (p.width(), *p));
        self.colours = list.into_iter().collect();
    }

    /// Bans a device or model, or takes that back.
    pub(crate) fn ban(&mut self, device: DevicePattern, banned: bool) {
        if banned {
            self.banned.insert(device);
        } else {
            self.banned.remove(&device);
        }
    }

    /// The colour of a device, and the entry that says so, which is the narrowest about it: the device's own before its model's
    /// before a range of models, and each for its software version before the same for any.
    pub fn colour(&self, pei: Pei) -> Option<(Colour, EquipmentPattern)> {
        let by_itself = EquipmentPattern::of(pei).find_map(|p| self.colours.get(&p).map(|c| (*c, p)));
        let of_a_range = || self.ranges.iter().find(|(p, _)| p.covers(pei)).map(|(p, c)| (*c, *p));
        by_itself.or_else(of_a_range)
    }

    /// The entry by which a device is refused to everybody.
    pub fn black(&self, pei: Pei) -> Option<EquipmentPattern> {
        let device = DevicePattern::from(pei);
        let banned = [device, device.model()].into_iter().find(|p| self.banned.contains(p)).map(Into::into);
        banned.or_else(|| self.colour(pei).filter(|(c, _)| *c == Colour::Black).map(|(_, p)| p))
    }

    /// What list and binding say to a SIM in `device`.
    pub fn judge(&self, bound: &Bound, pei: Option<Pei>) -> BindingDecision {
        let Binding { mode, allowed, when_missing, .. } = &bound.binding;
        let Some(pei) = pei else {
            return match mode {
                BindingMode::None => BindingDecision::Fits,
                _ => BindingDecision::Missing(*when_missing),
            };
        };
        if let Some(by) = self.black(pei) {
            return BindingDecision::Black { by };
        }
        let device = DevicePattern::from(pei);
        match (mode, bound.learned) {
            (BindingMode::None, _) => BindingDecision::Fits,
            (BindingMode::Observe | BindingMode::Learn, None) => BindingDecision::First,
            (BindingMode::Observe | BindingMode::Learn, Some(l)) if l == device => BindingDecision::Fits,
            (BindingMode::Observe, Some(from)) => BindingDecision::Changed { from },
            (BindingMode::Learn, Some(l)) => BindingDecision::Mismatch { expected: vec![l] },
            (BindingMode::Model | BindingMode::Exact, _) if allowed.iter().any(|a| a.covers(device)) => {
                BindingDecision::Fits
            }
            (BindingMode::Model | BindingMode::Exact, _) => {
                BindingDecision::Mismatch { expected: allowed.clone() }
            }
            (BindingMode::Listed, _) => match self.colour(pei) {
                Some((Colour::White, _)) => BindingDecision::Fits,
                _ => BindingDecision::Mismatch { expected: Vec::new() },
            },
        }
    }
}

/// What `hss` holds of devices.
#[derive(Default)]
pub(crate) struct Devices {
    pub book: EquipmentBook,
    pub bounds: BTreeMap<Imsi, Bound>,
    /// First uses whose device is not durable yet.
    learning: BTreeMap<Imsi, Learning>,
    /// The grey device that a SIM was last told to be in.
    grey: BTreeMap<Imsi, DevicePattern>,
}

/// The first use of a SIM that learns its device.
struct Learning {
    write: u64,
    device: DevicePattern,
    /// Requests that wait for it, with the devices that they came from.
    waiting: Vec<(u64, Option<Pei>)>,
}

impl Devices {
    /// What list and binding say to this SIM in this device.
    pub fn judge(&self, imsi: Imsi, pei: Option<Pei>) -> BindingDecision {
        match self.bounds.get(&imsi) {
            Some(bound) => self.book.judge(bound, pei),
            None => self.book.judge(&Bound::default(), pei),
        }
    }

    /// Takes a binding. What was learnt here is at least as new as what the store said.
    pub fn bind(&mut self, imsi: Imsi, bound: Bound) {
        let here = self.bounds.remove(&imsi).and_then(|b| b.learned);
        self.bounds.insert(imsi, Bound { learned: here.or(bound.learned), ..bound });
    }

    /// Takes all bindings; SIMs that are not named have the default one.
    pub fn bind_all(&mut self, all: Vec<(Imsi, Bound)>) {
        let named: BTreeSet<Imsi> = all.iter().map(|(i, _)| *i).collect();
        for (imsi, bound) in &mut self.bounds {
            if !named.contains(imsi) {
                bound.binding = Binding::default();
            }
        }
        all.into_iter().for_each(|(imsi, bound)| self.bind(imsi, bound));
    }

    /// The device that was learnt is forgotten.
    pub fn forget(&mut self, imsi: Imsi) {
        if let Some(b) = self.bounds.get_mut(&imsi) {
            b.learned = None;
        }
    }

    /// The SIM is gone. The requests that waited for it.
    pub fn remove(&mut self, imsi: Imsi) -> Vec<u64> {
        self.bounds.remove(&imsi);
        self.grey.remove(&imsi);
        self.learning.remove(&imsi).into_iter().flat_map(|l| l.waiting).map(|(txn, _)| txn).collect()
    }

    fn learn(&mut self, imsi: Imsi, device: DevicePattern) {
        self.bounds.entry(imsi).or_default().learned = Some(device);
    }
}

fn no_device(mode: BindingMode, expected: Vec<DevicePattern>) -> (Refusal, Happening) {
    let happening = Happening::DeviceMismatch { mode, expected, seen: None };
    (refusal(FgmmCause::IllegalMe, RefusalReason::NoDevice), happening)
}

impl Hss {
    /// What list and binding say to this SIM in this device, without any effect: for what lives already.
    pub fn judge_device(&self, imsi: Imsi, pei: Option<Pei>) -> BindingDecision {
        self.devices.judge(imsi, pei)
    }

    /// What another network element is told of a device, in the hands of this SIM where one is named. Nothing is learnt:
    /// that it is asked about proves no use.
    pub fn check_equipment(&mut self, imsi: Option<Imsi>, pei: Pei) -> Colour {
        let device = DevicePattern::from(pei);
        let banned = |by: EquipmentPattern| (Colour::Black, Some(Happening::EquipmentBlack { device, by }));
        let judged = imsi.map(|i| (self.devices.judge(i, Some(pei)), self.binding(i).mode));
        let (colour, what) = match judged {
            Some((BindingDecision::Black { by }, _)) => banned(by),
            Some((BindingDecision::Mismatch { expected }, mode)) => {
                let what = Happening::DeviceMismatch { mode, expected, seen: Some(device) };
                (Colour::Black, Some(what))
            }
            _ => match (self.devices.book.black(pei), self.devices.book.colour(pei)) {
                (Some(by), _) => banned(by),
                (None, Some((Colour::Grey, by))) => {
                    (Colour::Grey, Some(Happening::EquipmentGrey { device, by }))
                }
                (None, _) => (Colour::White, None),
            },
        };
        if let (Some(imsi), Some(what)) = (imsi, what) {
            self.notice(imsi, what);
        }
        colour
    }

    /// The binding that holds for this SIM.
    pub fn binding(&self, imsi: Imsi) -> Binding {
        self.devices.bounds.get(&imsi).map(|b| b.binding.clone()).unwrap_or_default()
    }

    /// A SIM that may live wants to be served in this device.
    pub(crate) fn judge_use(&mut self, txn: u64, imsi: Imsi, pei: Option<Pei>) -> Judged {
        if let Some(l) = self.devices.learning.get_mut(&imsi) {
            // What the first one is bound to decides about the others.
            if l.waiting.len() >= WAITING {
                return Judged::Refused(crate::aka::unavailable());
            }
            l.waiting.push((txn, pei));
            return Judged::Waits;
        }
        let device = pei.map(DevicePattern::from);
        let bound = self.devices.bounds.get(&imsi).cloned().unwrap_or_default();
        let mode = bound.binding.mode;
        match self.devices.book.judge(&bound, pei) {
            BindingDecision::Fits => {}
            BindingDecision::First => {
                let Some(device) = device else { return Judged::Accepted };
                let write = self.persist(Write::Learned { imsi, device, replace: false });
                if mode == BindingMode::Learn {
                    let waiting = vec![(txn, pei)];
                    self.devices.learning.insert(imsi, Learning { write, device, waiting });
                    return Judged::Waits;
                }
                // Nothing depends on it: it need not be durable before the answer.
                self.devices.learn(imsi, device);
                self.notice(imsi, Happening::DeviceLearned { device, bound: false });
            }
            BindingDecision::Changed { from } => {
                let Some(to) = device else { return Judged::Accepted };
                self.persist(Write::Learned { imsi, device: to, replace: true });
                self.devices.learn(imsi, to);
                self.notice(imsi, Happening::DeviceChanged { from, to });
            }
            BindingDecision::Missing(WhenMissing::Allow) => {}
            BindingDecision::Missing(WhenMissing::Quarantine) => {
                self.outputs.push_back(Output::Quarantine { imsi, happening: no_device(mode, vec![]).1 });
            }
            BindingDecision::Missing(WhenMissing::Refuse) => {
                let expected = match mode {
                    BindingMode::Learn => bound.learned.into_iter().collect(),
                    _ => bound.binding.allowed,
                };
                let (refusal, happening) = no_device(mode, expected);
                self.notice(imsi, happening);
                return Judged::Refused(refusal);
            }
            BindingDecision::Mismatch { expected } => {
                self.notice(imsi, Happening::DeviceMismatch { mode, expected, seen: device });
                return Judged::Refused(refusal(FgmmCause::IllegalMe, RefusalReason::DeviceMismatch));
            }
            BindingDecision::Black { by } => {
                if let Some(device) = device {
                    self.notice(imsi, Happening::EquipmentBlack { device, by });
                }
                return Judged::Refused(refusal(FgmmCause::IllegalMe, RefusalReason::EquipmentBlack));
            }
        }
        self.tell_grey(imsi, pei);
        Judged::Accepted
    }

    /// A grey device is told once, and again when the SIM has been elsewhere.
    fn tell_grey(&mut self, imsi: Imsi, pei: Option<Pei>) {
        let grey = pei.and_then(|p| match self.devices.book.colour(p) {
            Some((Colour::Grey, by)) => Some((DevicePattern::from(p), by)),
            _ => None,
        });
        match grey {
            Some((device, by)) => {
                if self.devices.grey.insert(imsi, device) != Some(device) {
                    self.notice(imsi, Happening::EquipmentGrey { device, by });
                }
            }
            None => drop(self.devices.grey.remove(&imsi)),
        }
    }

    /// The end of the write of a learnt device.
    pub(crate) fn device_persisted(&mut self, id: u64, imsi: Imsi, device: DevicePattern, ok: bool) {
        if self.devices.learning.get(&imsi).is_none_or(|l| l.write != id) {
            // One that is only observed: at its next use it is written again.
            if !ok {
                self.devices.forget(imsi);
            }
            return;
        }
        let Some(l) = self.devices.learning.remove(&imsi) else { return };
        if ok {
            self.devices.learn(imsi, device);
            self.notice(imsi, Happening::DeviceLearned { device: l.device, bound: true });
        }
        for (txn, pei) in l.waiting {
            if ok {
                self.locate(txn, types::Supi(imsi), pei);
            } else {
                self.outputs.push_back(Output::LocateRefused { txn, refusal: crate::aka::unavailable() });
            }
        }
    }

    pub(crate) fn notice(&mut self, imsi: Imsi, what: Happening) {
        self.outputs.push_back(Output::Noticed { imsi, what });
    }
}
