// The words of the console. English is the pattern: a key that Japanese lacks, or has too much, does not compile.

import { createContext, useCallback, useContext, useMemo, useState, type ReactNode } from "react";
import type { en } from "./en";
import { getLanguage, keepLanguage, type Language } from "./language";

/** The texts of a language, with the keys and the arguments of the English ones. */
export type Messages = typeof en;

interface Spoken {
  language: Language;
  messages: Messages;
  speak: (l: Language) => void;
}

const Context = createContext<Spoken | undefined>(undefined);

/** Loads one language only. */
export async function load(l: Language): Promise<Messages> {
  return l === "ja" ? (await import("./ja")).ja : (await import("./en")).en;
}

export function I18n({ first, children }: { first: Messages; children: ReactNode }) {
  const [state, setState] = useState({ language: getLanguage(), messages: first });
  const speak = useCallback((l: Language) => {
    void load(l).then((messages) => {
      keepLanguage(l);
      setState({ language: l, messages });
    });
  }, []);
  const value = useMemo(() => ({ ...state, speak }), [state, speak]);
  return <Context.Provider value={value}>{children}</Context.Provider>;
}

export function useLanguage(): Spoken {
  const spoken = useContext(Context);
  if (!spoken) throw new Error("outside of I18n");
  return spoken;
}

export function useT(): Messages {
  return useLanguage().messages;
}

/** A word of a closed list, or the API's own word where it is newer than this console. */
export function word(list: Record<string, string>, key: string | null | undefined): string {
  return key ? (list[key] ?? key) : "";
}
