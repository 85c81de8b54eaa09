import { canonicalJson, type JsonObject } from '#base/canonical-json';
import type { Directory, LogEvent, TableRow } from '#store/index';

/** A `Directory` that lives as long as the process. */
export const createMemoryDirectory = (): Directory => {
  const tables = new Map<string, Map<string, JsonObject>>();
  let applied = 0;

  const apply = (event: LogEvent): void => {
    if (event.type !== 'row') return;
    const rows = tables.get(event.table) ?? new Map<string, JsonObject>();
    if (event.value === null) rows.delete(event.key);
    else rows.set(event.key, event.value);
    if (rows.size > 0) tables.set(event.table, rows);
    else tables.delete(event.table);
  };

  const rows = (table: string): TableRow[] =>
    [...(tables.get(table) ?? [])]
      .map(([key, value]) => ({ table, key, value }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  const names = (): string[] => [...tables.keys()].sort();

  return {
    appliedSeq: () => applied,
    apply: (events, appliedSeq) => {
      for (const event of events) if (event.seq > applied) apply(event);
      applied = Math.max(applied, appliedSeq);
    },
    clear: () => {
      tables.clear();
      applied = 0;
    },
    row: (table, key) => tables.get(table)?.get(key) ?? null,
    rows,
    tables: names,
    *dump() {
      for (const table of names()) {
        for (const row of rows(table)) yield `row ${table} ${row.key} ${canonicalJson(row.value)}`;
      }
    },
    close: () => {},
  };
};
