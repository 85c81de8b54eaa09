import { canonicalJson, type JsonObject, parseCanonicalJson } from '#base/canonical-json';
import type { Directory, KeyRef, RowVersion, TableRow } from '#store/index';
import {
  type Cell,
  checkRow,
  number,
  octetsOrNull,
  openDatabase,
  type Row,
  rowSum,
  text,
} from './database.ts';

const schema = `
  CREATE TABLE applied (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, record BLOB, sum BLOB NOT NULL);
  CREATE TABLE rows (name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, sum BLOB NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
  CREATE TABLE version (seq INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, key_epoch INTEGER NOT NULL,
    key_slot INTEGER NOT NULL, sum BLOB NOT NULL);
  CREATE INDEX version_row ON version (name, key);
  CREATE INDEX version_key ON version (key_epoch, key_slot)`;

/** What the checksum of the row with `seq` is made of. */
export const appliedColumns: readonly string[] = ['seq', 'record'];

/** The `Directory` in `state.db`. */
export const openSqliteDirectory = (file: string, options: { readOnly: boolean }): Directory => {
  const db = openDatabase(file, { ...options, schema });

  const mark = (): { seq: number; record: Uint8Array | null } => {
    const row = db.get('SELECT * FROM applied');
    if (row === undefined) return { seq: 0, record: null };
    checkRow(
      () => `${file}: applied`,
      appliedColumns.map((name) => row[name] ?? null),
      row['sum'],
    );
    return { seq: number(row, 'seq'), record: octetsOrNull(row, 'record') };
  };

  const value = (name: string, row: Row): JsonObject => {
    const cells = [name, text(row, 'key'), text(row, 'value')];
    checkRow(() => `${file}: row ${name} ${cells[1]}`, cells, row['sum']);
    return parseCanonicalJson(text(row, 'value')) as JsonObject;
  };

  const rows = (table: string): TableRow[] =>
    db
      .all('SELECT key, value, sum FROM rows WHERE name = ? ORDER BY key', table)
      .map((row) => ({ table, key: text(row, 'key'), value: value(table, row) }));
  const versionCells = (row: Row): Cell[] => [
    number(row, 'seq'),
    text(row, 'name'),
    text(row, 'key'),
    text(row, 'value'),
    number(row, 'key_epoch'),
    number(row, 'key_slot'),
  ];
  const versions = (where: string, ...cells: Cell[]): RowVersion[] =>
    db.all(`SELECT * FROM version ${where} ORDER BY seq`, ...cells).map((row) => {
      checkRow(() => `${file}: version ${number(row, 'seq')}`, versionCells(row), row['sum']);
      return {
        seq: number(row, 'seq'),
        table: text(row, 'name'),
        key: text(row, 'key'),
        value: parseCanonicalJson(text(row, 'value')) as JsonObject | null,
        rowKey: { epoch: number(row, 'key_epoch'), slot: number(row, 'key_slot') },
      };
    });

  /** A row goes when its newest frame does. */
  const erase = (keys: readonly KeyRef[]): void => {
    for (const { epoch, slot } of keys) {
      for (const { seq, table, key } of versions('WHERE key_epoch = ? AND key_slot = ?', epoch, slot)) {
        const newest = db.get('SELECT max(seq) AS seq FROM version WHERE name = ? AND key = ?', table, key);
        if (newest?.['seq'] === seq) db.run('DELETE FROM rows WHERE name = ? AND key = ?', table, key);
        db.run('DELETE FROM version WHERE seq = ?', seq);
      }
    }
  };

  const tables = (): string[] =>
    db.all('SELECT DISTINCT name FROM rows ORDER BY name').map((row) => text(row, 'name'));

  return {
    appliedSeq: () => mark().seq,
    appliedHash: () => mark().record,
    apply: (events, seq, hash = null) => {
      const { seq: applied, record } = mark();
      db.transaction(() => {
        for (const event of events) {
          if (event.seq <= applied) continue;
          if (event.type === 'erased') {
            erase(event.keys);
            continue;
          }
          if (event.type !== 'row') continue;
          if (event.rowKey !== null) {
            const { epoch, slot } = event.rowKey;
            const cells = [event.seq, event.table, event.key, canonicalJson(event.value), epoch, slot];
            db.run('INSERT OR REPLACE INTO version VALUES (?, ?, ?, ?, ?, ?, ?)', ...cells, rowSum(cells));
          }
          if (event.value === null) {
            db.run('DELETE FROM rows WHERE name = ? AND key = ?', event.table, event.key);
            continue;
          }
          const json = canonicalJson(event.value);
          const sum = rowSum([event.table, event.key, json]);
          db.run(
            'INSERT OR REPLACE INTO rows (name, key, value, sum) VALUES (?, ?, ?, ?)',
            event.table,
            event.key,
            json,
            sum,
          );
        }
        const next = [Math.max(applied, seq), seq > applied ? hash : record];
        db.run(
          'INSERT OR REPLACE INTO applied (one, seq, record, sum) VALUES (1, ?, ?, ?)',
          ...next,
          rowSum(next),
        );
      });
      db.scrub(events.some(({ type, seq: at }) => type === 'erased' && at > applied));
    },
    clear: () =>
      db.transaction(() => {
        db.run('DELETE FROM rows');
        db.run('DELETE FROM version');
        db.run('DELETE FROM applied');
      }),
    row: (table, key) => {
      const row = db.get('SELECT key, value, sum FROM rows WHERE name = ? AND key = ?', table, key);
      return row === undefined ? null : value(table, row);
    },
    rows,
    versions: (table) => versions('WHERE name = ?', table),
    tables,
    *dump() {
      for (const table of tables()) {
        for (const row of rows(table)) yield `row ${table} ${row.key} ${canonicalJson(row.value)}`;
      }
      for (const { seq, table, key, value: said, rowKey } of versions(''))
        yield `version ${seq} ${table} ${key} ${canonicalJson(said)} key ${rowKey.epoch}/${rowKey.slot}`;
    },
    close: () => db.close(),
  };
};
