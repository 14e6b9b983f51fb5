import { expect, test } from "vitest";
import { fromLines, toLines } from "./lines";

test("what is read back is what was shown", () => {
  const routes = [
    { prefix: "192.168.10.0/24", dnn: "corp" },
    { prefix: "10.77.0.0/16", dnn: "factory" },
  ];
  expect(fromLines(toLines(routes), ["corp"])).toEqual(routes);
  expect(fromLines(toLines([]), ["corp"])).toEqual([]);
});

test("lines are taken as people type them", () => {
  expect(fromLines("192.168.10.0/24\n\n  10.77.0.0/16   factory \n", ["corp", "factory"])).toEqual([
    { prefix: "192.168.10.0/24", dnn: "corp" },
    { prefix: "10.77.0.0/16", dnn: "factory" },
  ]);
  // Full-width digits and a Japanese comma; what is no prefix is the API's to refuse, at its field.
  expect(fromLines("１９２．１６８．１０．０／２４、abc", [])).toEqual([
    { prefix: "192.168.10.0/24", dnn: "" },
    { prefix: "abc", dnn: "" },
  ]);
});
