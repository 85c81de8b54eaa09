import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { FengniError } from '#base/errors';
import type { Directory, MailIndex } from '#store/index';
import { checkRow, type Row } from './database.ts';
import { appliedColumns, openSqliteDirectory } from './sqlite-directory.ts';
import { markColumns, openSqliteIndex } from './sqlite-index.ts';

export type ProjectionName = 'index' | 'state';

/** A row that differs between a projection's file and the same projection made anew. */
export interface RowDifference {
  table: string;
  /** `hidden` is missing in the file, `extra` is there alone */
  kind: 'changed' | 'hidden' | 'extra';
  /** the primary key's cells */
  key: readonly (string | number)[];
  /** names of the columns that differ; none but for `changed` */
  columns: readonly string[];
  /** cells of the row as it must be, or of one too many, by column */
  cells: Readonly<Record<string, SQLOutputValue>>;
}

/** One projection's file as it stood when it was opened, whatever a writer does meanwhile. */
export interface ProjectionSnapshot {
  /** what it says it has applied */
  readonly appliedSeq: number;
  /** why that is not to be believed: its row is not the one that was written; null when it is */
  readonly appliedFault: string | null;
  /** what SQLite itself finds wrong; empty when nothing */
  integrity(): string[];
  /** `id` of a message by the `seq` of its MSG or of one of its DELIVER frames; null when the file does not tell */
  messageId(seq: number): string | null;
  /** ids of messages behind a `seq`, at most `limit` */
  messagesBehind(seq: number, limit: number): { seq: number; id: string }[];
  close(): void;
}

/** A projection made anew in memory, to be compared with a file row by row. */
export interface FreshProjections {
  readonly index: MailIndex;
  readonly directory: Directory;
  /** tells each difference; at most `limit` of a table */
  compare(
    name: ProjectionName,
    snapshot: ProjectionSnapshot,
    limit: number,
    differs: (row: RowDifference) => void,
  ): void;
  close(): void;
}

const integrityLinesMax = 20;

class FileSnapshot implements ProjectionSnapshot {
  readonly db: DatabaseSync;
  readonly appliedSeq: number;
  readonly appliedFault: string | null;
  readonly #file: string;

  constructor(name: ProjectionName, file: string) {
    this.#file = file;
    this.db = unusable(file, () => new DatabaseSync(file, { readOnly: true, timeout: 5_000 }));
    try {
      const { seq, fault } = unusable(file, () => {
        // One transaction: everything is read as of this moment.
        this.db.exec('PRAGMA query_only=ON; BEGIN');
        const [table, cells, column] =
          name === 'index'
            ? (['mark', markColumns, 'applied'] as const)
            : (['applied', appliedColumns, 'seq'] as const);
        const row = this.db.prepare(`SELECT * FROM ${table}`).get() as Row | undefined;
        const seq = row?.[column] ?? 0;
        if (typeof seq !== 'number') throw new Error('the applied seq is no number');
        return { seq, fault: row === undefined ? null : faultOf(table, row, cells) };
      });
      this.appliedSeq = seq;
      this.appliedFault = fault;
    } catch (error) {
      this.db.close();
      throw error;
    }
  }

  integrity(): string[] {
    try {
      const lines = this.db.prepare(`PRAGMA integrity_check(${integrityLinesMax})`).all();
      return lines.map((row) => String(row['integrity_check'])).filter((line) => line !== 'ok');
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  }

  messageId(seq: number): string | null {
    try {
      const found =
        this.db.prepare('SELECT id FROM message WHERE seq = ?').get(seq) ??
        this.db
          .prepare('SELECT m.id AS id FROM email e JOIN message m ON m.seq = e.message WHERE e.seq = ?')
          .get(seq);
      return typeof found?.['id'] === 'string' ? found['id'] : null;
    } catch {
      return null;
    }
  }

  messagesBehind(seq: number, limit: number): { seq: number; id: string }[] {
    try {
      const rows = this.db
        .prepare('SELECT seq, id FROM message WHERE seq > ? ORDER BY seq LIMIT ?')
        .all(seq, limit);
      return rows.map((row) => ({ seq: Number(row['seq']), id: String(row['id']) }));
    } catch {
      return [];
    }
  }

  /** @throws {FengniError} `projection-unusable` */
  guard<T>(work: () => T): T {
    return unusable(this.#file, work);
  }

  close(): void {
    this.db.close();
  }
}

const faultOf = (table: string, row: Row, columns: readonly string[]): string | null => {
  const cells = columns.map((name) => row[name] ?? null);
  try {
    checkRow(() => `the row of ${table}`, cells, row['sum']);
    return null;
  } catch (error) {
    if (!(error instanceof FengniError)) throw error;
    return error.subject;
  }
};

/** @throws {FengniError} `projection-unusable` */
export const openProjectionSnapshot = (name: ProjectionName, file: string): ProjectionSnapshot =>
  new FileSnapshot(name, file);

/** @param label names the databases in memory; no two that are open at once may share one */
export const openFreshProjections = (label: string): FreshProjections => {
  const uri = (name: ProjectionName): string => `file:${label}-${name}?mode=memory&cache=shared`;
  const index = openSqliteIndex(uri('index'), { readOnly: false });
  const directory = openSqliteDirectory(uri('state'), { readOnly: false });
  return {
    index,
    directory,
    compare: (name, snapshot, limit, differs) => {
      if (!(snapshot instanceof FileSnapshot)) throw new TypeError('a snapshot of this module');
      const fresh = new DatabaseSync(uri(name));
      try {
        compareSchema(fresh, snapshot, differs);
        for (const table of tablesOf(fresh))
          snapshot.guard(() => compareTable(fresh, snapshot.db, table, keyOf(fresh, table), limit, differs));
      } finally {
        fresh.close();
      }
    },
    close: () => {
      index.close();
      directory.close();
    },
  };
};

const tablesOf = (db: DatabaseSync): string[] =>
  db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    .all()
    .map((row) => String(row['name']));

/** The columns of a table's primary key, in their order. */
const keyOf = (db: DatabaseSync, table: string): string[] =>
  db
    .prepare(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`)
    .all()
    .map((row) => String(row['name']));

type Cells = Record<string, SQLOutputValue>;

const compareTable = (
  fresh: DatabaseSync,
  disk: DatabaseSync,
  table: string,
  key: readonly string[],
  limit: number,
  differs: (row: RowDifference) => void,
): void => {
  if (isSameTable(fresh, disk, table, key)) return;
  const sql = `SELECT * FROM ${table} ORDER BY ${key.join(', ')}`;
  const expected = rows(fresh.prepare(sql));
  const found = rows(disk.prepare(sql));
  let told = 0;
  const tell = (kind: RowDifference['kind'], cells: Cells, columns: string[]): void => {
    if (told++ >= limit) return;
    const cellsOfKey = key.map((name) => {
      const cell = cells[name];
      return typeof cell === 'number' ? cell : String(cell);
    });
    differs({ table, kind, key: cellsOfKey, columns, cells });
  };
  let left = expected.next();
  let right = found.next();
  while (left.done !== true || right.done !== true) {
    const order =
      left.done === true
        ? 1
        : right.done === true
          ? -1
          : orderOf(key, left.value as Cells, right.value as Cells);
    if (order < 0) {
      tell('hidden', left.value as Cells, []);
      left = expected.next();
    } else if (order > 0) {
      tell('extra', right.value as Cells, []);
      right = found.next();
    } else {
      const [own, other] = [left.value as Cells, right.value as Cells];
      const columns = Object.keys(own).filter((name) => !sameCell(own[name], other[name]));
      if (columns.length > 0) tell('changed', own, columns);
      left = expected.next();
      right = found.next();
    }
  }
};

/**
 * Whether two tables hold the same rows; false also where it cannot be told so, and each row is looked at. Here a row comes as one text
 * that says all of it: nothing has to be taken apart where nothing differs.
 */
const isSameTable = (
  fresh: DatabaseSync,
  disk: DatabaseSync,
  table: string,
  key: readonly string[],
): boolean => {
  const names = fresh
    .prepare(`SELECT name FROM pragma_table_info('${table}') ORDER BY cid`)
    .all()
    .map((row) => `[${String(row['name'])}]`);
  // quote() ends a text at its first NUL; the letter tells text from numbers.
  const cells = names.map(
    (name) => `CASE typeof(${name}) WHEN 'text' THEN 't' || hex(${name}) ELSE quote(${name}) END`,
  );
  const sql = `SELECT ${cells.join(" || ',' || ")} FROM ${table} ORDER BY ${key.join(', ')}`;
  let expected: Texts | null = null;
  let found: Texts | null = null;
  try {
    expected = texts(fresh.prepare(sql));
    found = texts(disk.prepare(sql));
    for (;;) {
      const left = expected.next();
      const right = found.next();
      if (left.done === true || right.done === true) return left.done === right.done;
      if (left.value[0] !== right.value[0]) return false;
    }
  } catch {
    return false;
  } finally {
    expected?.return?.();
    found?.return?.();
  }
};

type Texts = Iterator<readonly [string]>;

const texts = (statement: StatementSync): Texts => {
  statement.setReturnArrays(true);
  return statement.iterate() as unknown as Texts;
};

const rows = (statement: StatementSync): Iterator<Cells> => statement.iterate() as Iterator<Cells>;

/** As SQLite orders: numbers, then text by octets, then octet strings. */
const orderOf = (key: readonly string[], a: Cells, b: Cells): number => {
  for (const name of key) {
    const [left, right] = [a[name] ?? null, b[name] ?? null];
    const ranks = rank(left) - rank(right);
    if (ranks !== 0) return ranks;
    if (typeof left === 'number' && typeof right === 'number') {
      if (left !== right) return left < right ? -1 : 1;
      continue;
    }
    const order = Buffer.compare(octetsOf(left), octetsOf(right));
    if (order !== 0) return order;
  }
  return 0;
};

const rank = (cell: SQLOutputValue): number =>
  cell === null
    ? 0
    : typeof cell === 'number' || typeof cell === 'bigint'
      ? 1
      : typeof cell === 'string'
        ? 2
        : 3;

const octetsOf = (cell: SQLOutputValue): Uint8Array =>
  cell instanceof Uint8Array ? cell : Buffer.from(String(cell), 'utf8');

const sameCell = (a: SQLOutputValue | undefined, b: SQLOutputValue | undefined): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;

/** A view, a trigger or another index could make rows say something else than they hold. */
const compareSchema = (
  fresh: DatabaseSync,
  snapshot: FileSnapshot,
  differs: (row: RowDifference) => void,
): void => {
  const sql = 'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name';
  const text = (db: DatabaseSync): Map<string, string> =>
    new Map(
      db
        .prepare(sql)
        .all()
        .map((row) => [`${row['type']} ${row['name']}`, String(row['sql'])]),
    );
  const expected = text(fresh);
  const found = snapshot.guard(() => text(snapshot.db));
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    if (expected.get(name) === found.get(name)) continue;
    const kind = !found.has(name) ? 'hidden' : !expected.has(name) ? 'extra' : 'changed';
    differs({ table: 'sqlite_schema', kind, key: [name], columns: [], cells: {} });
  }
};

const unusable = <T>(file: string, work: () => T): T => {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof FengniError) throw cause;
    throw new FengniError('projection-unusable', {
      subject: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
      exitStatus: 1,
      cause,
    });
  }
};
