import { canonicalJson, type JsonObject, parseCanonicalJson } from '#base/canonical-json';
import type { Directory, TableRow } from '#store/index';
import { checkRow, number, openDatabase, type Row, rowSum, text } from './database.ts';

const schema = `
  CREATE TABLE applied (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, sum BLOB NOT NULL);
  CREATE TABLE rows (name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, sum BLOB NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID`;

/** The `Directory` in `state.db`. */
export const openSqliteDirectory = (file: string, options: { readOnly: boolean }): Directory => {
  const db = openDatabase(file, { ...options, schema });

  const appliedSeq = (): number => {
    const row = db.get('SELECT seq, sum FROM applied');
    if (row === undefined) return 0;
    checkRow(`${file}: applied`, [number(row, 'seq')], row['sum']);
    return number(row, 'seq');
  };

  const value = (name: string, row: Row): JsonObject => {
    const cells = [name, text(row, 'key'), text(row, 'value')];
    checkRow(`${file}: row ${name} ${cells[1]}`, cells, row['sum']);
    return parseCanonicalJson(text(row, 'value')) as JsonObject;
  };

  const rows = (table: string): TableRow[] =>
    db
      .all('SELECT key, value, sum FROM rows WHERE name = ? ORDER BY key', table)
      .map((row) => ({ table, key: text(row, 'key'), value: value(table, row) }));
  const tables = (): string[] =>
    db.all('SELECT DISTINCT name FROM rows ORDER BY name').map((row) => text(row, 'name'));

  return {
    appliedSeq,
    apply: (events, seq) => {
      const applied = appliedSeq();
      db.transaction(() => {
        for (const event of events) {
          if (event.type !== 'row' || event.seq <= applied) continue;
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
        const next = Math.max(applied, seq);
        db.run('INSERT OR REPLACE INTO applied (one, seq, sum) VALUES (1, ?, ?)', next, rowSum([next]));
      });
    },
    clear: () =>
      db.transaction(() => {
        db.run('DELETE FROM rows');
        db.run('DELETE FROM applied');
      }),
    row: (table, key) => {
      const row = db.get('SELECT key, value, sum FROM rows WHERE name = ? AND key = ?', table, key);
      return row === undefined ? null : value(table, row);
    },
    rows,
    tables,
    *dump() {
      for (const table of tables()) {
        for (const row of rows(table)) yield `row ${table} ${row.key} ${canonicalJson(row.value)}`;
      }
    },
    close: () => db.close(),
  };
};
