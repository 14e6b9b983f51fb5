import { expect, test } from "vitest";
import { en } from "../../i18n/en";
import { ja } from "../../i18n/ja";
import { conditions, mark, rates } from "./terms";

const none = { posture: null, sites: [], not_sites: [], radio: null, assured: null, risk_at_most: null, risk_at_least: null, models: [] };

test("what a rule asks stands in a line, in either language", () => {
  expect(conditions(none, en.conditions)).toBe("");
  const asks = { ...none, posture: "compliant", sites: ["osaka", "nara"], assured: false, risk_at_most: "medium" };
  expect(conditions(asks, en.conditions)).toBe("Device health: compliant; At one of the sites: osaka, nara; Proof of the person: not proved; Risk at most: medium");
  expect(conditions(asks, ja.conditions)).toBe("端末の状態: 準拠; いずれかの拠点にいる: osaka, nara; 本人確認: 未確認; リスクの上限: 中");
});

test("rates and marks are short", () => {
  expect(rates(1_500_000, null)).toBe("↑ 1.5 Mbit/s");
  expect(mark({ dscp: 46, qfi: 5 })).toBe("DSCP 46, QFI 5");
});
