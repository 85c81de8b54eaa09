import { canonicalJson, type JsonObject } from '#base/canonical-json';
import type { Directory, KeyRef, LogEvent, RowVersion, TableRow } from '#store/index';

/** A `Directory` that lives as long as the process. */
export const createMemoryDirectory = (): Directory => {
  const tables = new Map<string, Map<string, JsonObject>>();
  let sealed: RowVersion[] = [];
  let applied = 0;
  let hash: Uint8Array | null = null;

  const apply = (event: LogEvent): void => {
    if (event.type === 'erased') erase(event.keys);
    if (event.type !== 'row') return;
    const { seq, rowKey } = event;
    if (rowKey !== null) sealed.push({ seq, table: event.table, key: event.key, value: event.value, rowKey });
    const rows = tables.get(event.table) ?? new Map<string, JsonObject>();
    if (event.value === null) rows.delete(event.key);
    else rows.set(event.key, event.value);
    if (rows.size > 0) tables.set(event.table, rows);
    else tables.delete(event.table);
  };

  const erase = (keys: readonly KeyRef[]): void => {
    const gone = new Set(keys.map(({ epoch, slot }) => `${epoch}/${slot}`));
    const newest = new Map(sealed.map((version) => [`${version.table} ${version.key}`, version]));
    for (const { table, key, rowKey } of newest.values()) {
      if (!gone.has(`${rowKey.epoch}/${rowKey.slot}`)) continue;
      const rows = tables.get(table);
      rows?.delete(key);
      if (rows?.size === 0) tables.delete(table);
    }
    sealed = sealed.filter(({ rowKey }) => !gone.has(`${rowKey.epoch}/${rowKey.slot}`));
  };

  const rows = (table: string): TableRow[] =>
    [...(tables.get(table) ?? [])]
      .map(([key, value]) => ({ table, key, value }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  const names = (): string[] => [...tables.keys()].sort();

  return {
    appliedSeq: () => applied,
    appliedHash: () => hash,
    apply: (events, appliedSeq, appliedHash = null) => {
      for (const event of events) if (event.seq > applied) apply(event);
      if (appliedSeq <= applied) return;
      applied = appliedSeq;
      hash = appliedHash;
    },
    clear: () => {
      tables.clear();
      sealed = [];
      applied = 0;
      hash = null;
    },
    row: (table, key) => tables.get(table)?.get(key) ?? null,
    rows,
    versions: (table) => sealed.filter((version) => version.table === table),
    tables: names,
    *dump() {
      for (const table of names()) {
        for (const row of rows(table)) yield `row ${table} ${row.key} ${canonicalJson(row.value)}`;
      }
      for (const { seq, table, key, value, rowKey } of sealed)
        yield `version ${seq} ${table} ${key} ${canonicalJson(value)} key ${rowKey.epoch}/${rowKey.slot}`;
    },
    close: () => {},
  };
};
