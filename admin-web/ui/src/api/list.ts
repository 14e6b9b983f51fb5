// Lists of the API: pages by cursor, read one after the other.

import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";

export interface Page<T> {
  items: T[];
  next?: string | null | undefined;
}

export interface ListOf<T> {
  rows: T[];
  /** When it was read, milliseconds. */
  at: number;
  error: Error | null;
  loading: boolean;
  /** True while the server has more. */
  more: boolean;
  readMore: () => void;
  reading: boolean;
  again: () => void;
}

/** Pages that are read again by themselves; beyond that, a long list is read again only when asked. */
const FRESH_PAGES = 3;

/** `key[0]` is the name by which events reach it (see live.tsx). */
export function useList<T>(
  key: readonly unknown[],
  page: (cursor: string | undefined) => Promise<Page<T>>,
  every = 15_000,
): ListOf<T> {
  const q = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next ?? undefined,
    refetchInterval: (query) => ((query.state.data?.pages.length ?? 0) > FRESH_PAGES ? false : every),
    placeholderData: keepPreviousData,
  });
  const rows = useMemo(() => q.data?.pages.flatMap((p) => p.items) ?? [], [q.data]);
  return {
    rows,
    at: q.dataUpdatedAt,
    error: q.error,
    loading: q.isPending,
    more: q.hasNextPage,
    readMore: () => void (q.hasNextPage && !q.isFetchingNextPage && q.fetchNextPage()),
    reading: q.isFetching,
    again: () => void q.refetch(),
  };
}
