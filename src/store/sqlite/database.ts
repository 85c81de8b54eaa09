import { hash } from 'node:crypto';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { FengniError } from '#base/errors';

export type Cell = string | number | Uint8Array | null;
export type Row = Record<string, Cell>;

export interface Database {
  run(sql: string, ...cells: Cell[]): void;
  get(sql: string, ...cells: Cell[]): Row | undefined;
  all(sql: string, ...cells: Cell[]): Row[];
  /** the same as cells in the order of the columns: where rows are many, objects cost more than the query */
  allCells(sql: string, ...cells: Cell[]): Cell[][];
  /** one transaction; an error rolls it back and goes on to the caller */
  transaction(work: () => void): void;
  /**
   * After something was erased: empties the write-ahead log, which has pages from before. A reader in the way delays it to the next call.
   *
   * @param erased whether something was erased now; an earlier one that is still to do is done too
   */
  scrub(erased: boolean): void;
  close(): void;
}

/** how long a call waits for another process */
const busyMs = 5_000;

/** The newest layout that this program writes; a file with another is thrown away and made again from the log. */
const layout = 7;

/**
 * Opens a projection's file.
 *
 * @throws {FengniError} `projection-unusable` when SQLite refuses it: the caller makes it again from the log
 */
export const openDatabase = (
  file: string,
  options: {
    readOnly: boolean;
    schema: string;
    /** the layout of a file whose schema is numbered on its own */
    layout?: number;
    /** pages of the write-ahead log after which they go into the file, and both are synced (SQLite's default: 1,000) */
    checkpointPages?: number;
  },
): Database => {
  const wanted = options.layout ?? layout;
  let db: DatabaseSync;
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof FengniError) throw cause;
      throw new FengniError('projection-unusable', {
        subject: `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
        remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
        cause,
      });
    }
  };
  db = guard(() => {
    const opened = new DatabaseSync(file, {
      readOnly: options.readOnly,
      timeout: busyMs,
      enableForeignKeyConstraints: false,
    });
    if (options.readOnly) {
      opened.exec('PRAGMA query_only=ON; PRAGMA cache_size=-16384');
    } else {
      opened.exec(
        'PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA secure_delete=ON; PRAGMA cache_size=-65536',
      );
      if (options.checkpointPages !== undefined)
        opened.exec(`PRAGMA wal_autocheckpoint=${options.checkpointPages}`);
      const version = opened.prepare('PRAGMA user_version').get() as { user_version: number };
      if (version.user_version === 0)
        opened.exec(`BEGIN; ${options.schema}; PRAGMA user_version=${wanted}; COMMIT`);
      else if (version.user_version !== wanted) {
        opened.close();
        throw new Error(`layout ${version.user_version}, this program writes ${wanted}`);
      }
    }
    return opened;
  });

  const statements = new Map<string, StatementSync>();
  const cellStatements = new Map<string, StatementSync>();
  const prepareCells = (sql: string): StatementSync => {
    const known = cellStatements.get(sql);
    if (known !== undefined) return known;
    const fresh = db.prepare(sql);
    fresh.setReturnArrays(true);
    cellStatements.set(sql, fresh);
    return fresh;
  };
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const fresh = db.prepare(sql);
    statements.set(sql, fresh);
    return fresh;
  };

  let isScrubDue = false;

  return {
    run: (sql, ...cells) => guard(() => void prepare(sql).run(...cells)),
    get: (sql, ...cells) => guard(() => prepare(sql).get(...cells) as Row | undefined),
    // All rows at once: no cursor outlives a call, so a slow reader never holds the WAL back.
    all: (sql, ...cells) => guard(() => prepare(sql).all(...cells) as Row[]),
    allCells: (sql, ...cells) => guard(() => prepareCells(sql).all(...cells) as unknown as Cell[][]),
    transaction: (work) => {
      guard(() => db.exec('BEGIN IMMEDIATE'));
      try {
        work();
        guard(() => db.exec('COMMIT'));
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        throw error;
      }
    },
    scrub: (erased) => {
      isScrubDue ||= erased;
      if (!isScrubDue) return;
      guard(() => {
        // Nobody's mail waits for a reader: whoever is in the way now is gone at one of the next calls.
        db.exec('PRAGMA busy_timeout=0');
        try {
          const done = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
          isScrubDue = done.busy !== 0;
        } finally {
          db.exec(`PRAGMA busy_timeout=${busyMs}`);
        }
      });
    },
    close: () => db.close(),
  };
};

/** The checksum that a row carries: 8 octets over its cells in a fixed order. */
export const rowSum = (cells: readonly Cell[]): Uint8Array => {
  const digest = sumDigest(cells);
  const sum = new Uint8Array(sumBytes);
  for (let at = 0; at < sumBytes; at++) sum[at] = digest.charCodeAt(at);
  return sum;
};

const sumBytes = 8;

/** One character an octet: a `Buffer` for each would cost more than the hash. */
const sumDigest = (cells: readonly Cell[]): string => {
  let text = '';
  for (const cell of cells) {
    const value =
      typeof cell === 'number'
        ? `number${cell}`
        : typeof cell === 'string'
          ? `string${cell}`
          : cell === null
            ? 'n'
            : `x${hash('sha256', cell)}`;
    text += `${value.length}:${value}`;
  }
  return hash('sha256', text, 'latin1');
};

const isSum = (sum: Uint8Array, digest: string): boolean => {
  if (sum.length !== sumBytes) return false;
  for (let at = 0; at < sumBytes; at++) if (sum[at] !== digest.charCodeAt(at)) return false;
  return true;
};

/** Refuses a row whose cells are not those that were written. */
export const checkRow = (what: () => string, cells: readonly Cell[], sum: Cell | undefined): void => {
  if (sum instanceof Uint8Array && isSum(sum, sumDigest(cells))) return;
  throw new FengniError('index-row-damaged', {
    subject: what(),
    remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
  });
};

export const text = (row: Row, name: string): string => {
  const cell = row[name];
  if (typeof cell !== 'string') throw unexpected(name);
  return cell;
};

export const number = (row: Row, name: string): number => {
  const cell = row[name];
  if (typeof cell !== 'number') throw unexpected(name);
  return cell;
};

export const octetsOrNull = (row: Row, name: string): Uint8Array | null => {
  const cell = row[name];
  if (cell !== null && !(cell instanceof Uint8Array)) throw unexpected(name);
  return cell;
};

/** As `text` and `number`, of a row of cells in order. */
export const textAt = (row: readonly Cell[], at: number): string => {
  const cell = row[at];
  if (typeof cell !== 'string') throw unexpected(`${at}`);
  return cell;
};

export const numberAt = (row: readonly Cell[], at: number): number => {
  const cell = row[at];
  if (typeof cell !== 'number') throw unexpected(`${at}`);
  return cell;
};

export const octetsAt = (row: readonly Cell[], at: number): Uint8Array => {
  const cell = row[at];
  if (!(cell instanceof Uint8Array)) throw unexpected(`${at}`);
  return cell;
};

const unexpected = (name: string): FengniError =>
  new FengniError('index-row-damaged', {
    subject: `column ${name} holds another kind of value`,
    remedy: 'run "fengni index rebuild"; nothing is lost, the log has everything',
  });
