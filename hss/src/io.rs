//! What goes into the core and what comes out of it.

use crate::home_keys::HomeKey;
use crate::record::SimRecord;
use serde::{Deserialize, Serialize};
use sim_auth::{EpsVector, FgVector, SqnState};
use types::{
    Autn, Auts, Bound, Colour, DevicePattern, EquipmentPattern, Happening, Identity, Imsi, Pei, Plmn, Rand,
    Refusal, SimState, Sqn, Subscription, Supi,
};

/// Facts for the core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// All SIMs: as [`Input::Put`] for each, and [`Input::Remove`] for those that are not named.
    Load {
        /// They.
        records: Vec<SimRecord>,
        /// The horizon of SQN that is stored, in ticks; none where none ever was. One that is
        /// [astray](sim_auth::SqnHorizon::is_astray) is folded before.
        horizon: Option<i64>,
    },
    /// A SIM is new or changed, and that is durable. A SIM whose keys are the same goes on with the SQN
    /// that it has in memory.
    Put(SimRecord),
    /// A SIM's state has changed, and that is durable.
    SetState {
        /// Which SIM.
        imsi: Imsi,
        /// Its new state.
        state: SimState,
    },
    /// A SIM is gone from the store.
    Remove {
        /// Which SIM.
        imsi: Imsi,
    },
    /// The company's equipment list, whole.
    Equipment(Vec<(EquipmentPattern, Colour)>),
    /// A device (14 digits, or 8 for a model) is banned, or is not any longer, whatever the list says of it.
    BanDevice {
        /// Which device.
        device: DevicePattern,
        /// True to ban it.
        banned: bool,
    },
    /// The bindings of all SIMs; those that are not named have the default one.
    Bindings(Vec<(Imsi, Bound)>),
    /// The binding of one SIM.
    Bind {
        /// Whose.
        imsi: Imsi,
        /// What holds.
        bound: Bound,
    },
    /// The device that was learnt for a SIM is forgotten, and that is durable.
    ForgetDevice {
        /// Whose.
        imsi: Imsi,
    },
    /// The home network's keys, whole: what concealed identities are opened with.
    HomeKeys(Vec<HomeKey>),
    /// Somebody wants a 5G vector. Answered by [`Output::Vector`] or [`Output::AuthRefused`].
    AuthInfo {
        /// The asker's number for it.
        txn: u64,
        /// Who is to be authenticated.
        identity: Identity,
        /// The serving network, bound into the vector's keys.
        serving: Plmn,
        /// RAND of the refused challenge and the card's AUTS, where SQN was out of range.
        resync: Option<(Rand, Auts)>,
    },
    /// An MME wants an EPS vector. Answered by [`Output::EpsVector`] or [`Output::AuthRefused`]; for a SIM that may not be
    /// served by the latter, because the MME would not ask again before it serves it (decision D6).
    EpsAuthInfo {
        /// The asker's number for it.
        txn: u64,
        /// Who is to be authenticated.
        imsi: Imsi,
        /// The MME's network, bound into KASME. Whether it may ask is judged by who speaks with it.
        serving: Plmn,
        /// The MME's number among serving nodes, from 1: its share of IND. Those of 0 are our own AMF's.
        node: u64,
        /// RAND of the refused challenge and the card's AUTS, where SQN was out of range.
        resync: Option<(Rand, Auts)>,
    },
    /// What does this AUTS say beside a challenge that the SIM had accepted? Answered by [`Output::AutsJudged`].
    JudgeAuts {
        /// The asker's number for it.
        txn: u64,
        /// Whose.
        supi: Supi,
        /// RAND and AUTN of the challenge that was accepted.
        accepted: (Rand, Autn),
        /// RAND of the challenge that was refused.
        rand: Rand,
        /// What the card said to that.
        auts: Auts,
    },
    /// An authenticated SIM wants to be served. Answered by [`Output::Located`] or [`Output::LocateRefused`].
    Locate {
        /// The asker's number for it.
        txn: u64,
        /// Who.
        supi: Supi,
        /// In which device, where it said so under protection.
        pei: Option<Pei>,
    },
    /// As [`Input::Locate`], of a SIM that is served already: its device was judged there.
    Admit {
        /// The asker's number for it.
        txn: u64,
        /// Who.
        supi: Supi,
    },
    /// The store is well and has time: the horizon of SQN is written ahead, and ceilings of SIMs that attached before, some at
    /// each call.
    WriteAhead,
    /// Whether the store answers and takes changes. Where it does not for ten minutes, vectors are refused with a
    /// back-off until it does.
    StoreIs {
        /// True where it does.
        well: bool,
    },
    /// The end of a write asked for by [`Output::Persist`].
    Persisted {
        /// Its number.
        id: u64,
        /// True once it is durable; false if it failed.
        ok: bool,
    },
}

/// Wishes of the core. Serialised, a vector is its RAND and AUTN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Output {
    /// The vector asked for.
    Vector {
        /// The asker's number.
        txn: u64,
        /// Whose it is.
        supi: Supi,
        /// From RAND to KSEAF.
        vector: FgVector,
    },
    /// The EPS vector asked for.
    EpsVector {
        /// The asker's number.
        txn: u64,
        /// From RAND to KASME.
        vector: EpsVector,
    },
    /// No vector.
    AuthRefused {
        /// The asker's number.
        txn: u64,
        /// Why, and what the UE may be told.
        refusal: Refusal,
    },
    /// What an AUTS says: SQN of the accepted challenge, SQN_MS, and whether the card is behind. None where MAC-S or
    /// MAC-A is wrong, or the SIM is not known.
    AutsJudged {
        /// The asker's number.
        txn: u64,
        /// What it says.
        says: Option<(Sqn, Sqn, bool)>,
    },
    /// The SIM may be served.
    Located {
        /// The asker's number.
        txn: u64,
        /// With what.
        subscription: Subscription,
    },
    /// The SIM may not be served.
    LocateRefused {
        /// The asker's number.
        txn: u64,
        /// Why, and what the UE is told.
        refusal: Refusal,
    },
    /// Something about this SIM's device that an operator would care about.
    Noticed {
        /// Whose.
        imsi: Imsi,
        /// What.
        what: Happening,
    },
    /// This SIM is served, and may reach nothing but the remediation app.
    Quarantine {
        /// Which SIM.
        imsi: Imsi,
        /// Why.
        happening: Happening,
    },
    /// Make this durable, in the order of these outputs, and say so by [`Input::Persisted`].
    Persist {
        /// Number of the write; it rises.
        id: u64,
        /// What to write.
        write: Persist,
    },
}

/// A write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persist {
    /// Raise the horizon of SQN: the common ceiling of all SIMs whose SQN follows the clock.
    SqnHorizon {
        /// Ticks since 1970.
        horizon: i64,
    },
    /// Replace the SIM's SQN state of this node.
    SqnCeiling {
        /// Which SIM.
        imsi: Imsi,
        /// Offset, ceiling and count of re-synchronisations.
        state: SqnState,
    },
    /// The SIM was `ready` and has attached for the first time: it becomes `active`, if it is still `ready`.
    Activated {
        /// Which SIM.
        imsi: Imsi,
    },
    /// The SIM was used in this device. Not durable (`ok` false) where it is bound to another one already.
    Learned {
        /// Which SIM.
        imsi: Imsi,
        /// The device.
        device: DevicePattern,
        /// True where it takes the place of the one before.
        replace: bool,
    },
}
