// Who is signed in, and what they may do. A screen or a button that they have no right to is not shown.

import { useQuery } from "@tanstack/react-query";
import { createContext, useContext, type ReactNode } from "react";
import { api, must, type Schemas } from "../api/client";

export type Scope =
  | "read" | "ban" | "unban" | "provision" | "policy" | "sessions" | "audit" | "tokens" | "operators"
  | "directory" | "equipment" | "quarantine" | "approve" | "alerts" | "backup" | "posture" | "signals" | "scim";

const Context = createContext<Schemas["Me"] | undefined>(undefined);

export function MeKnown({ waiting, children }: { waiting: ReactNode; children: ReactNode }) {
  const me = useQuery({ queryKey: ["me"], queryFn: () => must(api.GET("/api/v1/me")), staleTime: 60_000 });
  if (!me.data) return waiting;
  if (me.data.password_must_change) {
    location.assign("/password");
    return waiting;
  }
  return <Context.Provider value={me.data}>{children}</Context.Provider>;
}

export function useMe(): Schemas["Me"] {
  const me = useContext(Context);
  if (!me) throw new Error("outside of MeKnown");
  return me;
}

/** Whether the caller has a right at all; where it reaches is the server's to say. */
export function useMay(): (scope: Scope) => boolean {
  const { scopes } = useMe();
  return (scope) => scopes.includes(scope);
}
