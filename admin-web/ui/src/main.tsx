// Starts the console: language first, so that nothing is shown in the wrong one.

import "@mantine/core/styles.css";
import "@mantine/notifications/styles.css";
import "./frame/frame.css";

import { MantineProvider } from "@mantine/core";
import { Notifications } from "@mantine/notifications";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { problemOf } from "./api/problem";
import { Frame } from "./frame/Frame";
import { I18n, load } from "./i18n";
import { getLanguage, keepLanguage } from "./i18n/language";
import { theme, variables } from "./theme";

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
setNonce(nonce);

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What the API refused will be refused again; only a lost connection is worth another try.
      retry: (count, e) => problemOf(e).status === 0 && count < 3,
    },
    mutations: { retry: false },
  },
});

const language = getLanguage();
keepLanguage(language);
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

void load(language).then((messages) =>
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={variables} defaultColorScheme="auto" getStyleNonce={() => nonce}>
        <QueryClientProvider client={queries}>
          <I18n first={messages}>
            <Notifications position="bottom-right" limit={4} />
            <Frame />
          </I18n>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  ),
);
