// Live sessions over the time that this page has been open. The server keeps no such series; /metrics does for those
// who collect it.

import { Title } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useT } from "../../i18n";

/** Samples of this browser tab: seconds and sessions, at most an hour at one in five seconds. */
const seconds: number[] = [];
const counts: number[] = [];
const MOST = 720;
/** Seconds that are drawn. */
const SHOWN = 600;

export default function Trend({ sessions }: { sessions: number | undefined }) {
  const t = useT();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  useEffect(() => {
    if (!box.current) return;
    const line = getComputedStyle(box.current).color;
    const made = new uPlot(
      {
        width: Math.max(280, box.current.clientWidth),
        height: 170,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { range: () => [Date.now() / 1000 - SHOWN, Date.now() / 1000] }, y: { range: (_, __, max) => [0, Math.max(4, Math.ceil(max * 1.2))] } },
        axes: [{ stroke: line, grid: { show: false } }, { stroke: line, size: 44, incrs: [1, 2, 5, 10, 50, 100, 1000, 10000] }],
        series: [{}, { stroke: "#3b8edb", width: 2, fill: "#3b8edb33" }],
      },
      [seconds, counts],
      box.current,
    );
    plot.current = made;
    const resize = new ResizeObserver(([e]) => e && made.setSize({ width: Math.max(280, e.contentRect.width), height: 170 }));
    resize.observe(box.current);
    return () => {
      resize.disconnect();
      made.destroy();
    };
  }, []);
  useEffect(() => {
    if (sessions === undefined) return;
    const timer = setInterval(() => sample(sessions), 5_000);
    const sample = (n: number) => {
      seconds.push(Date.now() / 1000);
      counts.push(n);
      if (seconds.length > MOST) {
        seconds.shift();
        counts.shift();
      }
      plot.current?.setData([seconds, counts]);
    };
    sample(sessions);
    return () => clearInterval(timer);
  }, [sessions]);
  return (
    <section>
      <Title order={2} size="h4">
        {t.overview.sessionsOverTime}
      </Title>
      <div ref={box} role="img" aria-label={`${t.overview.sessionsOverTime}: ${sessions ?? 0}`} />
    </section>
  );
}
