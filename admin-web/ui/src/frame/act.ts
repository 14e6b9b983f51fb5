// Doing something: one way for every button. What went well is said in a toast, what did not keeps its words until
// they are read, and what was changed is read again.

import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import { ApiProblem, problemOf, type FieldFault } from "../api/problem";
import { useT } from "../i18n";

interface Options<A, R> {
  /** What it does. `key` stays the same when it is tried again, so that it happens once. */
  run: (argument: A) => Promise<R>;
  /** Said when it is done. */
  done?: string | ((r: R) => string);
  /** Names of the queries that it changes. */
  touches?: readonly string[];
  after?: (r: R) => void;
  /** Fields that the form shows itself; faults of others go to the toast. */
  fields?: readonly string[];
  /** The form itself shows both versions where somebody else was quicker. */
  conflict?: boolean;
}

export interface Act<A> {
  go: (argument: A) => void;
  busy: boolean;
  problem: ApiProblem | undefined;
  /** What is wrong with a field, or `undefined`. */
  fault: (field: string) => string | undefined;
  forget: () => void;
}

export function useAct<A, R>({ run, done, touches = [], after, fields = [], conflict = false }: Options<A, R>): Act<A> {
  const t = useT();
  const queries = useQueryClient();
  const [problem, setProblem] = useState<ApiProblem>();
  const mutation = useMutation({
    mutationFn: run,
    onMutate: () => setProblem(undefined),
    onSuccess: (r) => {
      touches.forEach((name) => void queries.invalidateQueries({ queryKey: [name] }));
      const said = typeof done === "function" ? done(r) : done;
      if (said) notifications.show({ message: said, color: "green", closeButtonProps: { "aria-label": t.frame.close } });
      after?.(r);
    },
    onError: (e) => {
      const p = problemOf(e);
      setProblem(p);
      const elsewhere = p.faults.filter((f) => !fields.some((name) => belongs(f, name)));
      if (p.faults.length > 0 && elsewhere.length === 0) return;
      if (p.stale && conflict) return;
      const lines = [p.fix, ...elsewhere.map((f) => [f.field, f.text].filter(Boolean).join(": "))];
      notifications.show({
        title: p.status === 0 ? t.frame.noAnswer : p.message,
        message: lines.filter(Boolean).join("\n"),
        color: "red",
        autoClose: false,
        closeButtonProps: { "aria-label": t.frame.close },
      });
    },
  });
  const fault = useCallback(
    (field: string) =>
      problem?.faults
        .filter((f) => belongs(f, field))
        .map((f) => f.text)
        .join("\n") || undefined,
    [problem],
  );
  return { go: mutation.mutate, busy: mutation.isPending, problem, fault, forget: () => setProblem(undefined) };
}

function belongs(f: FieldFault, field: string): boolean {
  return f.field === field || f.field.startsWith(`${field}/`);
}
