// Numbers, times and octets as people of either language write them.

import { useMemo } from "react";
import { useLanguage } from "./index";
import { bytes, span } from "./units";

export interface Format {
  number: (n: number) => string;
  /** Date and time to the second, in the browser's zone. */
  time: (iso: string | null | undefined) => string;
  bytes: (n: number) => string;
  /** A duration in words: 3 s, 4 min, 2 h, 5 d. */
  span: (ms: number) => string;
}

export function useFormat(): Format {
  const { language } = useLanguage();
  return useMemo(() => {
    const numbers = new Intl.NumberFormat(language);
    const times = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
    return {
      number: (n) => numbers.format(n),
      time: (iso) => (iso ? times.format(new Date(iso)) : ""),
      bytes,
      span: (ms) => span(ms, language),
    };
  }, [language]);
}
