// Durations and octets with their units.

import type { Language } from "./language";

const UNITS: Record<Language, [string, string, string, string]> = {
  en: [" s", " min", " h", " d"],
  ja: ["秒", "分", "時間", "日"],
};

export function span(ms: number, language: Language): string {
  const [s, m, h, d] = UNITS[language];
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}${s}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}${m}`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}${h}`;
  return `${Math.floor(seconds / 86_400)}${d}`;
}

/** A bit rate, up to three digits. */
export function bitRate(bps: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"];
  let i = 0;
  for (; bps >= 1000 && i < units.length - 1; i++) bps /= 1000;
  return `${Number(bps.toPrecision(3))} ${units[i]}`;
}

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${i === 0 ? n : n.toPrecision(3)} ${units[i]}`;
}
