// The policy as a whole: its file, its history, and what it says in vain.

import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { api, must } from "../../api/client";
import { Age } from "../../frame/Age";
import { Screen } from "../../frame/bits";
import { Fault } from "../../frame/Fault";
import { useLanguage, useT } from "../../i18n";
import { useUrlValue, useUrlValues } from "../../url/state";
import { Findings } from "./Findings";
import { Past } from "./Past";
import { PolicyFile } from "./PolicyFile";

const TABS = ["file", "history", "analysis"] as const;

export default function Policy() {
  const t = useT();
  const [tab] = useUrlValue("tab");
  const [, write] = useUrlValues(["tab", "generation"]);
  return (
    <Screen title={t.nav.policyFile}>
      <Tabs
        value={TABS.find((x) => x === tab) ?? "file"}
        onChange={(v) => write({ tab: v === "file" ? "" : (v ?? ""), generation: "" })}
        keepMounted={false}
        className="policy-tabs"
      >
        <Tabs.List mb="sm">
          {TABS.map((x) => (
            <Tabs.Tab key={x} value={x}>
              {t.policy.tabs[x]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="file">
          <PolicyFile />
        </Tabs.Panel>
        <Tabs.Panel value="history">
          <Past />
        </Tabs.Panel>
        <Tabs.Panel value="analysis">
          <Analysis />
        </Tabs.Panel>
      </Tabs>
    </Screen>
  );
}

function Analysis() {
  const { language } = useLanguage();
  const q = useQuery({ queryKey: ["rules", "analysis", language], queryFn: () => must(api.GET("/api/v1/policies/analysis")) });
  return (
    <>
      <Age at={q.dataUpdatedAt} again={() => void q.refetch()} busy={q.isFetching} />
      {q.error && <Fault error={q.error} again={() => void q.refetch()} />}
      {q.data && <Findings all={q.data} />}
    </>
  );
}
