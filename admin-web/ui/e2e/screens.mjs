// Every screen of the console, with what must be there before it is looked at.

/** @typedef {{ name: string, path: string, shows: string }} Screen */

/** @param {{ imsi: string, then: string, gnb: string }} seeded `then` is a moment when all of it was there, `gnb` a radio. @returns {Screen[]} */
export function screens({ imsi, then, gnb }) {
  return [
    { name: "overview", path: "/", shows: ".card-number" },
    { name: "lost", path: "/lost?q=tanaka", shows: ".match" },
    { name: "cut", path: "/lost?q=tanaka&scope=person&value=tanaka", shows: ".cut .news a" },
    { name: "alerts", path: "/alerts", shows: ".data-item" },
    { name: "sims", path: "/sims?sort=-label", shows: ".data-item" },
    { name: "sim", path: `/sims/${imsi}`, shows: ".news li" },
    { name: "import", path: "/import", shows: ".data-item" },
    { name: "job", path: "/import?open=1", shows: ".results" },
    { name: "schedules", path: "/schedules", shows: ".data-item" },
    { name: "schedule", path: "/schedules?open=1", shows: ".facts" },
    { name: "people", path: "/people?open=tanaka", shows: "form input" },
    { name: "devices", path: "/devices", shows: ".data-item" },
    { name: "equipment", path: "/equipment", shows: ".data-item" },
    { name: "new-equipment", path: "/equipment?open=%2B", shows: "form input" },
    { name: "groups", path: "/groups", shows: ".data-item" },
    { name: "sites", path: "/sites", shows: ".data-item" },
    { name: "apps", path: "/apps", shows: ".data-item" },
    { name: "rules", path: "/rules", shows: ".data-item" },
    { name: "new-rule", path: "/rules?open=%2B", shows: "form input" },
    { name: "why", path: `/why?imsi=${imsi}&app=intranet&service=tcp/80`, shows: "table" },
    { name: "why-then", path: `/why?imsi=${imsi}&app=intranet&service=tcp/80&at=${encodeURIComponent(then)}`, shows: ".facts" },
    { name: "networks", path: "/networks", shows: ".data-item" },
    { name: "sessions", path: "/sessions", shows: ".data-item" },
    { name: "flows", path: "/flows", shows: ".data-item" },
    { name: "path", path: `/path?imsi=${imsi}`, shows: ".hop" },
    { name: "ledger", path: "/ledger", shows: ".data-item" },
    { name: "radios", path: "/radios", shows: "table" },
    { name: "radio", path: `/radios?open=${encodeURIComponent(`gnb:${gnb}`)}`, shows: "[role=dialog] .facts" },
    { name: "revocations", path: "/revocations", shows: ".data-item" },
    { name: "audit", path: "/audit", shows: ".data-item" },
    { name: "operators", path: "/operators", shows: ".data-item" },
    { name: "operator", path: "/operators?open=two-hats", shows: "fieldset" },
    { name: "tokens", path: "/tokens", shows: ".data-item" },
    { name: "health", path: "/health", shows: ".news .pill" },
    { name: "backups", path: "/backups", shows: "form input" },
    { name: "account", path: "/account", shows: "table" },
  ];
}
