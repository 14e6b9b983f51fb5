import { describe, expect, test } from "vitest";
import { fromLocal, toLocal } from "../form/time";
import { bytes, span } from "../i18n/units";
import { example, serviceOf } from "../screens/traffic/service";
import { cliOf } from "./cli";
import { folded } from "./fold";
import { ApiProblem, fieldOf } from "./problem";
import { quote } from "./shell";
import { masked } from "./trace";

describe("problems", () => {
  test("a pointer becomes the field's name", () => {
    expect(fieldOf("/services/0")).toBe("services/0");
    expect(fieldOf("?state")).toBe("state");
    expect(fieldOf("/a~1b~0c")).toBe("a/b~c");
  });
  test("a problem without a body still says its status", () => {
    expect(new ApiProblem(502, {}).message).toBe("HTTP 502");
  });
});

describe("what was asked, as a command", () => {
  const asked = (body: unknown, path = {}, query = {}) => ({ body, path, query });
  test("a ban names scope, state and reason", () => {
    const body = { scope: "person", value: "tanaka", state: "stolen", reason: "it's gone", ticket: "" };
    expect(cliOf("POST", "/api/v1/revocations", asked(body))).toBe(
      `sekisho ban --person tanaka --state stolen --reason 'it'\\''s gone'`,
    );
  });
  test("a list becomes the option as often as it has values", () => {
    const body = { name: "a", prefixes: ["10.0.0.1/32", "10.0.0.2/32"], services: [], label: "" };
    expect(cliOf("POST", "/api/v1/apps", asked(body))).toBe("sekisho app add a --prefix 10.0.0.1/32 --prefix 10.0.0.2/32");
  });
  test("what has no verb has no line", () => {
    expect(cliOf("GET", "/api/v1/nothing", asked(undefined))).toBeUndefined();
  });
  test("a word for the shell is quoted where it must be", () => {
    expect(quote("10.0.0.1/32")).toBe("10.0.0.1/32");
    expect(quote("a b")).toBe("'a b'");
  });
  test("no secret is shown", () => {
    expect(masked({ k: "00ff", nested: [{ password: "x", label: "y" }] })).toEqual({
      k: "…",
      nested: [{ password: "…", label: "y" }],
    });
  });
});

describe("what people type", () => {
  test("full-width digits, spaces and hyphens of a number are folded", () => {
    expect(folded("００１０１ ０００-０００‐００１")).toBe("00101000000001");
    expect(folded(" 田中 花子 ")).toBe("田中 花子");
    expect(folded("pc-0042")).toBe("pc-0042");
  });
});

describe("numbers and times", () => {
  test("ages have one unit", () => {
    expect([3_000, 61_000, 7_200_000, 200_000_000].map((ms) => span(ms, "en"))).toEqual(["3 s", "1 min", "2 h", "2 d"]);
    expect(span(-5, "ja")).toBe("0秒");
  });
  test("octets have three digits", () => {
    expect([0, 999, 1500, 2_500_000].map(bytes)).toEqual(["0 B", "999 B", "1.50 kB", "2.50 MB"]);
  });
  test("a local time and back is the same moment", () => {
    const iso = "2027-03-31T15:00:00.000Z";
    expect(fromLocal(toLocal(iso))).toBe(iso);
    expect(fromLocal("")).toBeNull();
    expect(toLocal("nonsense")).toBe("");
  });
});

describe("services", () => {
  test("the port is that of the side that was opened towards", () => {
    const flow = { protocol: 6, ue_port: 502, peer_port: 40000 };
    expect(serviceOf({ ...flow, direction: "in" })).toBe("tcp/502");
    expect(serviceOf({ ...flow, direction: "out" })).toBe("tcp/40000");
    expect(serviceOf({ ...flow, protocol: 1, peer_port: 0, direction: "out" })).toBe("icmp");
    expect(example("udp/5000-5010")).toBe("udp/5000");
  });
});
