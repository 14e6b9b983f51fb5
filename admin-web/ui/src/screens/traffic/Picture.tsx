// The hops of a path as a picture. The table beside it says the same, so the picture is only looked at.

import { useComputedColorScheme } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { Background, Position, ReactFlow, type Edge, type Node } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { useMemo } from "react";
import type { Hop } from "./hops";
import "./picture.css";

/** From one hop to the next, pixels: side by side, or one below the other on a phone. */
const STEP = 190;
const DOWN = 84;

export default function Picture({ hops, label }: { hops: Hop[]; label: string }) {
  const scheme = useComputedColorScheme("light");
  const narrow = useMediaQuery("(max-width: 760px)", false, { getInitialValueInEffect: false });
  const nodes = useMemo<Node[]>(
    () =>
      hops.map((h, i) => ({
        id: h.id,
        position: narrow ? { x: 0, y: i * DOWN } : { x: i * STEP, y: 0 },
        data: { label: `${h.kind}\n${h.name}` },
        className: `hop hop-${h.state}`,
        sourcePosition: narrow ? Position.Bottom : Position.Right,
        targetPosition: narrow ? Position.Top : Position.Left,
        type: i === 0 ? "input" : i === hops.length - 1 ? "output" : "default",
      })),
    [hops, narrow],
  );
  const edges = useMemo<Edge[]>(
    () =>
      hops.slice(1).map((h, i) => {
        const from = hops[i];
        // A hop carries on only if everything before it does.
        const broken = hops.slice(0, i + 2).some((x) => x.state === "bad");
        return { id: `${from?.id}-${h.id}`, source: from?.id ?? "", target: h.id, animated: !broken, className: broken ? "cut-edge" : "" };
      }),
    [hops],
  );
  return (
    <div className={narrow ? "picture picture-down" : "picture"} role="img" aria-label={label}>
      <ReactFlow
        key={String(narrow)}
        nodes={nodes}
        edges={edges}
        colorMode={scheme}
        fitView
        nodesDraggable={false}
        nodesConnectable={false}
        nodesFocusable={false}
        edgesFocusable={false}
        elementsSelectable={false}
        panOnDrag={false}
        zoomOnScroll={false}
        zoomOnPinch={false}
        zoomOnDoubleClick={false}
        preventScrolling={false}
        proOptions={{ hideAttribution: true }}
      >
        <Background />
      </ReactFlow>
    </div>
  );
}
