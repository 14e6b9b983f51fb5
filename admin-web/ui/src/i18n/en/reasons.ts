// Why a packet or a flow was judged as it was, and what else the policy says in words of its own.

export const reasons = {
  rule: "a rule allows it",
  "no-rule": "no rule allows it",
  "rule-deny": "a rule denies it",
  "rule-reject": "a rule rejects it",
  banned: "the SIM is cut off",
  "unknown-app": "no app is at this address and port",
  "unknown-peer": "the sender is not an admitted radio",
  "unknown-teid": "no session has this tunnel",
  "spoofed-source": "the sender's address is not the session's",
  "own-address": "it is an address of the gateway itself",
  "special-address": "it is a special address",
  "malformed-gtpu": "the tunnel packet is malformed",
  "malformed-inner": "the packet is malformed",
  fragment: "it is a fragment without its first part",
  "flow-table-full": "the SIM has too many flows open",
  "no-flow": "nobody opened this flow",
  "unknown-ue": "no UE has this address",
  "no-tunnel": "the UE has no radio connection",
  "not-forwarded": "the session does not forward it",
  "ue-to-ue": "from UE to UE, where both sides must allow it",
  "too-big": "it is larger than the MTU",
  "unidentified-sim": "the session belongs to no known SIM",
  "stale-policy": "the gateway waits for the newest bans",
  quarantined: "the SIM is in quarantine",
  "group-in-panic": "a group of the SIM is in panic",
  "rate-exceeded": "the session's maximum bit rate was exceeded",
  "wrong-peer": "the packet came through a radio that does not serve the UE",
  "out-of-hours": "the hours of the rule that allowed it were over",
};

export const outcomes = {
  matched: "decides",
  "other-subject": "for other SIMs",
  "other-direction": "for the other direction",
  "other-app": "for another app",
  "other-service": "for another service",
  "other-time": "not in force at that time",
};

export const bindings = {
  none: "any device; nothing is remembered",
  observe: "any device; changes are noted",
  learn: "the first device that it is used in",
  model: "devices of certain models",
  listed: "devices of the white list",
  exact: "named devices only",
};
