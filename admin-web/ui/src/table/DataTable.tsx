// The one table of the console: rows by cursor from the server, drawn only where they are seen, moved through by
// keyboard, sorted and filtered by the address, its columns kept in the browser.

import { flexRender, getCoreRowModel, getSortedRowModel, useReactTable, type ColumnDef, type Row } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState, type CSSProperties, type KeyboardEvent, type ReactNode } from "react";
import { useLocation } from "wouter";
import type { ListOf } from "../api/list";
import { useT } from "../i18n";
import { readSort, useUrlValue, writeSort } from "../url/state";
import { Fault } from "../frame/Fault";
import { useHidden } from "./columns";
import type { Selection } from "./selection";
import "./table.css";
import { Toolbar, type Filter } from "./Toolbar";

export interface Column<T> {
  id: string;
  head: string;
  cell: (row: T) => ReactNode;
  /** What it is sorted by; without it the column cannot be sorted. */
  by?: (row: T) => string | number;
  /** The server sorts by it, under the column's id: then it sorts the whole list, however long. */
  server?: boolean;
  /** Least width, pixels. */
  width?: number;
  /** Not shown until somebody asks for it. */
  extra?: boolean;
}

interface Props<T> {
  /** Name under which the columns are kept. */
  name: string;
  /** What it lists, for those who hear it. */
  label: string;
  list: ListOf<T>;
  columns: Column<T>[];
  rowId: (row: T) => string;
  filters?: Filter[];
  /** Where a row leads. */
  href?: ((row: T) => string) | undefined;
  /** What happens when a row is chosen that leads nowhere else. */
  open?: ((row: T) => void) | undefined;
  selection?: Selection | undefined;
  /** Buttons above the table. */
  actions?: ReactNode;
  /** Its order where nobody chose one, as the address has it. */
  order?: string | undefined;
  empty: string;
}

const ROW = 38;
const CHOOSE = 44;

export function DataTable<T>(props: Props<T>) {
  const { list, columns, rowId, selection } = props;
  const t = useT();
  const [sortText, setSort] = useUrlValue("sort");
  const [hidden, toggleHidden] = useHidden(props.name, columns.filter((c) => c.extra).map((c) => c.id));
  const [, go] = useLocation();
  const [active, setActive] = useState(0);
  const box = useRef<HTMLDivElement>(null);

  // A list of which the server has more cannot be put in order here: it would be a wrong order.
  const server = columns.some((c) => c.server);
  const sort = list.more && !server ? undefined : readSort(sortText || (props.order ?? ""));
  const defs = useMemo<ColumnDef<T>[]>(
    () =>
      columns.map((c) => ({
        id: c.id,
        header: c.head,
        cell: ({ row }) => c.cell(row.original),
        enableSorting: server ? c.server === true : c.by !== undefined,
        ...(c.by ? { accessorFn: c.by } : {}),
      })),
    [columns, server],
  );
  const sorted = writeSort(sort);
  // The same state is the same object: a new one makes the library draw again, and that would make a new one.
  const state = useMemo(() => {
    const by = readSort(sorted);
    return {
      sorting: by ? [{ id: by.column, desc: by.down }] : [],
      columnVisibility: Object.fromEntries([...hidden].map((h) => [h, false])),
    };
  }, [sorted, hidden]);
  const table = useReactTable({
    data: list.rows,
    columns: defs,
    getRowId: rowId,
    state,
    // There are no pages here that it could go back to the first of.
    autoResetAll: false,
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel(),
    manualSorting: server,
  });
  const rows = table.getRowModel().rows;
  const seen = table.getVisibleLeafColumns();
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW,
    overscan: 12,
  });
  const drawn = virtual.getVirtualItems();

  const lastDrawn = drawn[drawn.length - 1]?.index ?? 0;
  const { more, reading, readMore } = list;
  useEffect(() => {
    if (more && !reading && lastDrawn >= rows.length - 20) readMore();
  }, [more, reading, readMore, lastDrawn, rows.length]);

  const order = (next: string) => {
    setSort(next);
    setActive(0);
    box.current?.scrollTo({ top: 0 });
  };
  const move = (to: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    setActive(next);
    virtual.scrollToIndex(next);
    // The row is drawn by the next frame, if it was not.
    requestAnimationFrame(() => box.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus());
  };
  const open = (row: Row<T> | undefined) => {
    if (!row) return;
    if (props.href) go(props.href(row.original));
    else props.open?.(row.original);
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.altKey || e.ctrlKey || e.metaKey) return;
    // Keys that are pressed on a button or link within a row are its own.
    if (!(e.target as HTMLElement).matches("[data-row]")) return;
    const page = Math.max(1, Math.floor((box.current?.clientHeight ?? ROW * 10) / ROW) - 2);
    const steps: Record<string, () => void> = {
      ArrowDown: () => move(active + 1),
      ArrowUp: () => move(active - 1),
      PageDown: () => move(active + page),
      PageUp: () => move(active - page),
      Home: () => move(0),
      End: () => move(rows.length - 1),
      Enter: () => open(rows[active]),
      " ": () => rows[active] && selection?.toggle(rows[active].id),
    };
    const step = steps[e.key];
    if (!step) return;
    e.preventDefault();
    if (e.shiftKey && e.key.startsWith("Arrow") && rows[active]) selection?.add(rows[active].id);
    step();
  };

  const widths = seen.map((c) => `minmax(${columns.find((x) => x.id === c.id)?.width ?? 110}px, 1fr)`);
  const style = {
    "--columns": [...(selection ? [`${CHOOSE}px`] : []), ...widths].join(" "),
    "--least": `${seen.reduce((n, c) => n + (columns.find((x) => x.id === c.id)?.width ?? 110), selection ? CHOOSE : 0)}px`,
  } as CSSProperties;
  const allChosen = rows.length > 0 && rows.every((r) => selection?.has(r.id));

  return (
    <section className="data-table" aria-label={props.label}>
      <Toolbar
        filters={props.filters ?? []}
        columns={columns}
        hidden={hidden}
        toggleHidden={toggleHidden}
        list={list}
        actions={props.actions}
      />
      {list.error && <Fault error={list.error} again={list.again} />}
      <div className="data-box" ref={box}>
        <div
          role="grid"
          aria-label={props.label}
          aria-rowcount={list.more ? -1 : rows.length + 1}
          aria-multiselectable={selection ? true : undefined}
          aria-busy={list.loading}
          className="data-grid"
          style={style}
          onKeyDown={onKey}
        >
          <div role="rowgroup" className="data-head">
            <div role="row" aria-rowindex={1} className="data-row">
              {selection && (
                <div role="columnheader" className="data-cell">
                  <input
                    type="checkbox"
                    aria-label={t.table.chooseAll}
                    checked={allChosen}
                    onChange={() => (allChosen ? selection.clear() : rows.forEach((r) => selection.add(r.id)))}
                  />
                </div>
              )}
              {table.getLeafHeaders().map((h) => {
                const can = h.column.getCanSort() && (server || !list.more);
                const dir = h.column.getIsSorted();
                const next = dir === "asc" ? { column: h.id, down: true } : dir ? undefined : { column: h.id, down: false };
                const name = String(h.column.columnDef.header);
                return (
                  <div
                    key={h.id}
                    role="columnheader"
                    className="data-cell"
                    aria-sort={dir === "asc" ? "ascending" : dir === "desc" ? "descending" : undefined}
                  >
                    {can ? (
                      <button type="button" className="data-sort" onClick={() => order(writeSort(next))}>
                        {name} <span aria-hidden="true">{dir === "asc" ? "▲" : dir === "desc" ? "▼" : ""}</span>
                      </button>
                    ) : (
                      name
                    )}
                  </div>
                );
              })}
            </div>
          </div>
          <div role="rowgroup" className="data-body" style={{ height: virtual.getTotalSize() }}>
            {drawn.map((v) => {
              const row = rows[v.index];
              if (!row) return null;
              const chosen = selection?.has(row.id);
              return (
                <div
                  key={row.id}
                  role="row"
                  aria-rowindex={v.index + 2}
                  aria-selected={selection ? chosen : undefined}
                  data-row={v.index}
                  tabIndex={v.index === Math.min(active, rows.length - 1) ? 0 : -1}
                  className={`data-row data-item${props.href || props.open ? " data-open" : ""}`}
                  style={{ transform: `translateY(${v.start}px)` }}
                  onFocus={() => setActive(v.index)}
                  onClick={(e) => !(e.target as HTMLElement).closest("a,button,input") && open(row)}
                >
                  {selection && (
                    <div role="gridcell" className="data-cell">
                      <input
                        type="checkbox"
                        tabIndex={-1}
                        aria-label={t.table.choose(row.id)}
                        checked={chosen}
                        onChange={() => selection.toggle(row.id)}
                      />
                    </div>
                  )}
                  {row.getVisibleCells().map((cell) => (
                    <div key={cell.id} role="gridcell" className="data-cell">
                      {flexRender(cell.column.columnDef.cell, cell.getContext())}
                    </div>
                  ))}
                </div>
              );
            })}
          </div>
        </div>
        {!list.loading && rows.length === 0 && !list.error && <p className="data-empty">{props.empty}</p>}
      </div>
      <p className="data-foot" role="status">
        {list.loading ? t.table.loading : list.more ? t.table.rowsSoFar(rows.length) : t.table.rows(rows.length)}
        {selection && selection.size > 0 && ` · ${t.table.chosen(selection.size)}`}
      </p>
    </section>
  );
}
