// Every screen: where it is, what it is called, who may see it. A screen is loaded when somebody goes there.

import { lazy, type ComponentType, type LazyExoticComponent } from "react";
import type { Messages } from "../i18n";
import type { Scope } from "./me";

export type Section = "watch" | "sims" | "directory" | "policy" | "traffic" | "record" | "system";

export interface Route {
  path: string;
  name: keyof Messages["nav"];
  /** Where it stands in the navigation; without it, it is reached from elsewhere. */
  section?: Section;
  needs: Scope;
  screen: LazyExoticComponent<ComponentType>;
}

export const SECTIONS: Section[] = ["watch", "sims", "directory", "policy", "traffic", "record", "system"];

export const ROUTES: Route[] = [
  { path: "/", name: "overview", section: "watch", needs: "read", screen: lazy(() => import("../screens/overview/Overview")) },
  { path: "/lost", name: "lost", section: "watch", needs: "ban", screen: lazy(() => import("../screens/lost/Lost")) },
  { path: "/alerts", name: "alerts", section: "watch", needs: "read", screen: lazy(() => import("../screens/record/Alerts")) },
  { path: "/sims", name: "sims", section: "sims", needs: "read", screen: lazy(() => import("../screens/sims/Sims")) },
  { path: "/sims/:imsi", name: "sim", needs: "read", screen: lazy(() => import("../screens/sims/Sim")) },
  { path: "/import", name: "imports", section: "sims", needs: "read", screen: lazy(() => import("../screens/imports/Imports")) },
  { path: "/schedules", name: "schedules", section: "sims", needs: "read", screen: lazy(() => import("../screens/sims/Schedules")) },
  { path: "/people", name: "people", section: "directory", needs: "read", screen: lazy(() => import("../screens/directory/People")) },
  { path: "/devices", name: "devices", section: "directory", needs: "read", screen: lazy(() => import("../screens/directory/Devices")) },
  { path: "/equipment", name: "equipment", section: "directory", needs: "read", screen: lazy(() => import("../screens/directory/Equipment")) },
  { path: "/groups", name: "groups", section: "directory", needs: "read", screen: lazy(() => import("../screens/directory/Groups")) },
  { path: "/sites", name: "sites", section: "directory", needs: "read", screen: lazy(() => import("../screens/directory/Sites")) },
  { path: "/apps", name: "apps", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Apps")) },
  { path: "/rules", name: "rules", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Rules")) },
  { path: "/why", name: "why", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Why")) },
  { path: "/policy", name: "policyFile", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Policy")) },
  { path: "/risk", name: "risk", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Risk")) },
  { path: "/watched", name: "watched", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Watched")) },
  { path: "/templates", name: "templates", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Templates")) },
  { path: "/grants", name: "grants", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Grants")) },
  { path: "/sources", name: "sources", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Sources")) },
  { path: "/networks", name: "networks", section: "policy", needs: "read", screen: lazy(() => import("../screens/policy/Networks")) },
  { path: "/sessions", name: "sessions", section: "traffic", needs: "read", screen: lazy(() => import("../screens/traffic/Sessions")) },
  { path: "/flows", name: "flows", section: "traffic", needs: "read", screen: lazy(() => import("../screens/traffic/Flows")) },
  { path: "/path", name: "path", section: "traffic", needs: "read", screen: lazy(() => import("../screens/traffic/Path")) },
  { path: "/ledger", name: "ledger", section: "traffic", needs: "read", screen: lazy(() => import("../screens/traffic/Ledger")) },
  { path: "/radios", name: "radios", section: "traffic", needs: "read", screen: lazy(() => import("../screens/system/Radios")) },
  { path: "/revocations", name: "revocations", section: "record", needs: "read", screen: lazy(() => import("../screens/record/Revocations")) },
  { path: "/audit", name: "audit", section: "record", needs: "audit", screen: lazy(() => import("../screens/record/Audit")) },
  { path: "/operators", name: "operators", section: "system", needs: "operators", screen: lazy(() => import("../screens/system/Operators")) },
  { path: "/tokens", name: "tokens", section: "system", needs: "tokens", screen: lazy(() => import("../screens/system/Tokens")) },
  { path: "/account", name: "account", needs: "read", screen: lazy(() => import("../screens/system/Account")) },
  { path: "/backups", name: "backups", section: "system", needs: "backup", screen: lazy(() => import("../screens/system/Backups")) },
  { path: "/health", name: "health", section: "system", needs: "read", screen: lazy(() => import("../screens/system/Health")) },
];
