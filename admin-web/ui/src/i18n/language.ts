// Which of the two languages the console speaks. Kept in a cookie, because the event stream and the server's own
// pages read it there.

export type Language = "ja" | "en";

const COOKIE = "sekisho-lang";

let language: Language = read();

function read(): Language {
  const kept = document.cookie.match(/(?:^|; )sekisho-lang=(ja|en)/)?.[1];
  if (kept === "ja" || kept === "en") return kept;
  return navigator.language.toLowerCase().startsWith("ja") ? "ja" : "en";
}

export function getLanguage(): Language {
  return language;
}

export function keepLanguage(l: Language): void {
  language = l;
  document.documentElement.lang = l;
  document.cookie = `${COOKIE}=${l}; path=/; max-age=31536000; samesite=strict`;
}
