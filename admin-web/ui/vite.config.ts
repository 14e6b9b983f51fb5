// How the console is built and how it is developed.
//
// `npm run dev` speaks to a running instance: SEKISHO_API names it and SEKISHO_TOKEN is put on every request by the
// proxy, so that no token is ever in the browser.
import react from "@vitejs/plugin-react";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Writes `x.br` and `x.gz` beside each asset: the server sends them as they are and compresses nothing itself. */
function compressed(): Plugin {
  let out = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      out = join(config.root, config.build.outDir, "assets");
    },
    closeBundle() {
      for (const name of readdirSync(out)) {
        if (!/\.(js|css|svg|json)$/.test(name)) continue;
        const file = join(out, name);
        const text = readFileSync(file);
        writeFileSync(`${file}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
        writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
      }
    },
  };
}

const token = process.env["SEKISHO_TOKEN"];
const instance = {
  target: process.env["SEKISHO_API"] ?? "http://127.0.0.1:8443",
  secure: false,
  ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
};
const proxy = { "/api": instance, "/sign-in": instance, "/password": instance };

export default defineConfig({
  plugins: [react(), compressed()],
  base: "/",
  // The server puts a fresh nonce in its place with every answer.
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    target: "es2022",
    // The policy of the page allows no data: URL for scripts and styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { proxy },
  preview: { proxy },
  test: { include: ["src/**/*.test.ts"] },
});
