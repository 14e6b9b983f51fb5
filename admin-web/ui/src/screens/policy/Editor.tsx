// A text with numbered lines, and marks at the places of what is wrong. What a screen reader hears is the plain field and
// the list of errors beside it.

import { useEffect, useImperativeHandle, useRef, useState, type Ref } from "react";
import "./editor.css";

export interface Mark {
  line: number;
  column: number;
  words: string;
}

export interface EditorHandle {
  /** Puts the cursor there, and shows the place. */
  jump: (line: number, column: number) => void;
}

interface Props {
  label: string;
  text: string;
  set: (text: string) => void;
  marks: Mark[];
  readOnly: boolean;
  describedBy?: string;
  ref: Ref<EditorHandle>;
}

/** Height of a line, pixels, as in editor.css. */
const LINE = 20;
/** What stands above the first line. */
const PAD = 8;

export function Editor({ label, text, set, marks, readOnly, describedBy, ref }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [at, setAt] = useState({ top: 0, left: 0, height: 600 });
  const lines = text.split("\n");
  const see = () => {
    const f = field.current;
    if (f) setAt({ top: f.scrollTop, left: f.scrollLeft, height: f.clientHeight });
  };
  useEffect(() => {
    if (!field.current) return;
    const resized = new ResizeObserver(see);
    resized.observe(field.current);
    return () => resized.disconnect();
  }, []);
  useImperativeHandle(ref, () => ({
    jump(line, column) {
      const f = field.current;
      if (!f) return;
      const all = f.value.split("\n");
      const start = all.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0);
      const end = start + (all[line - 1]?.length ?? 0);
      f.focus();
      f.setSelectionRange(Math.min(start + column - 1, end), end);
      f.scrollTop = Math.max(0, (line - 1) * LINE - f.clientHeight / 3);
    },
  }));
  const first = Math.max(0, Math.floor((at.top - PAD) / LINE));
  const last = Math.min(lines.length, first + Math.ceil(at.height / LINE) + 1);
  const wrong = new Map(marks.map((m) => [m.line, m]));
  const y = (line: number) => PAD + (line - 1) * LINE - at.top;
  const seen = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i + 1);
  return (
    <div className="editor">
      <div className="editor-gutter" aria-hidden="true">
        {seen.map((n) => (
          <span key={n} className={wrong.has(n) ? "editor-number editor-wrong" : "editor-number"} style={{ top: y(n) }}>
            {n}
          </span>
        ))}
      </div>
      <div className="editor-text">
        <div className="editor-marks" aria-hidden="true">
          {seen.flatMap((n) => {
            const m = wrong.get(n);
            if (!m) return [];
            const behind = (lines[n - 1]?.length ?? 0) + 3;
            return (
              <div key={n} className="editor-mark" style={{ top: y(n) }}>
                <span style={{ left: `calc(${behind}ch + 10px - ${at.left}px)` }}>{m.words}</span>
              </div>
            );
          })}
        </div>
        <textarea
          ref={field}
          aria-label={label}
          aria-invalid={marks.length > 0}
          aria-describedby={describedBy}
          value={text}
          readOnly={readOnly}
          spellCheck={false}
          autoCapitalize="off"
          autoCorrect="off"
          wrap="off"
          onChange={(e) => set(e.currentTarget.value)}
          onScroll={see}
        />
      </div>
    </div>
  );
}
