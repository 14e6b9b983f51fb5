//! Stories: the rooms of the house joined in one process, with UEs and radios in front of them and the company's
//! hosts behind, told step by step with a hand-moved clock and exact counters.
//!
//! | file | story |
//! | --- | --- |
//! | `attach` | a laptop and a PLC come, and reach what their rules name |
//! | `ban` | a ban at every step of everything that a UE can be doing |
//! | `ciphering` | an attach in clear and ciphered, under every algorithm, read by who knows K alone; bidding down |
//! | `conceal` | identities concealed for the home network's keys, and the keys' rotation |
//! | `eap` | the same house where SIMs prove themselves by EAP-AKA' |
//! | `facts` | what is known of a SIM: a device that falls ill, a proof for one app, and the gateway's restart |
//! | `hostile` | who sends what breaks open cores, beside a UE that must not notice |
//! | `crowd` | fifty UEs on three radios at once |
//! | `idle` | packets wait for an idle UE, which is paged; who does not come, and a ban in between |
//! | `keys` | new keys and new temporary identities for UEs that are registered |
//! | `restart` | the gateway restarts; control restarts |
//! | `clone` | one card in two places: the old tunnel goes on; and what honest people do |
//! | `restrict` | quarantine of a SIM, panic of a group: what is left, and that it comes back |
//! | `failure` | the store fails; the card is out of step; the proof is wrong |
//! | `place` | where SIMs are by LTE, and a restart of control under rules of place |
//! | `routes` | a router's SIM with a network behind it |
//! | `six` | IPv6 inside |
//! | `walk` | anything in any order, beside a small reference model |
//!
//! `world` joins the rooms; `control`, `gateway` and `field` are its parts; `site` and `packets` are data.

#![cfg(feature = "lab")]

mod attach;
mod ban;
mod ciphering;
mod clone;
mod conceal;
mod control;
mod crowd;
mod eap;
mod facts;
mod failure;
mod field;
mod gateway;
mod hostile;
mod idle;
mod keys;
mod mobility;
mod packets;
mod place;
mod restart;
mod restrict;
mod routes;
mod site;
mod six;
mod walk;
mod world;
