import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FengniError } from '#base/errors';

/** What is needed to check a password; the password itself is nowhere. */
export interface Verifier {
  /** key of the log-in name: WIRE “Addresses” */
  user: string;
  /** account id, `a…` */
  account: string;
  /** a PHC string: `$argon2id$…` */
  phc: string;
  disabled: boolean;
  /** grows with every change, also across a removal and a new beginning */
  version: number;
}

export type ChangeKind = 'password-set' | 'account-removed' | 'account-disabled' | 'account-enabled';

/** A change that is durable here and waits for its ROW frame. It holds no secret. */
export interface Change {
  id: number;
  kind: ChangeKind;
  user: string;
  account: string;
  version: number;
  atMs: number;
}

/** Every change is on disk when its call returns. All calls are short and synchronous. */
export interface Secrets {
  verifier(user: string): Verifier | null;
  setVerifier(change: { user: string; account: string; phc: string; atMs: number }): Change;
  /** null when there is no such user */
  setDisabled(change: { user: string; disabled: boolean; atMs: number }): Change | null;
  /** null when there is no such user; the verifier is overwritten on disk */
  remove(change: { user: string; atMs: number }): Change | null;
  /** changes without their ROW, oldest first, at most 1,000: confirm these and ask again */
  unconfirmed(): Change[];
  /** The ROW of this change is durable. False when it was confirmed before. */
  confirm(id: number): boolean;
  close(): void;
}

const schemaVersion = 1;
const schema = `
  CREATE TABLE verifier (
    user TEXT PRIMARY KEY, account TEXT NOT NULL, phc TEXT NOT NULL, disabled INTEGER NOT NULL, version INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL,
    version INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE counter (version INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES (0);
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Opens `secrets.db`, making it where it is missing. One process at a time: the `auth` role.
 *
 * @throws {FengniError} `secrets-unreadable`, `secrets-newer`
 */
export const openSecrets = (options: { path: string }): Secrets => {
  const { path } = options;
  let database: DatabaseSync;
  try {
    // made by us, so that the mode is right from the first instant; -wal and -shm take it over from this file
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
    database = new DatabaseSync(path, { timeout: 5_000 });
    // FULL: a commit is durable when it returns. EXCLUSIVE: a second process is refused at its first access.
    database.exec(
      'PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;',
    );
    prepare(database, path);
  } catch (error) {
    if (error instanceof FengniError) throw error;
    throw new FengniError('secrets-unreadable', {
      subject: path,
      remedy: 'end another server on this folder; if the file is damaged, take it from a backup',
      cause: error,
    });
  }
  return new SqliteSecrets(database);
};

const prepare = (database: DatabaseSync, path: string): void => {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version === 0) database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
  else if (version > schemaVersion) {
    database.close();
    throw new FengniError('secrets-newer', {
      subject: `${path} has version ${version}`,
      remedy: 'start the newer Fengni that wrote it',
    });
  }
  if (database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'] !== 'ok') {
    database.close();
    throw new Error('quick_check');
  }
};

class SqliteSecrets implements Secrets {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  verifier(user: string): Verifier | null {
    const row = this.#database.prepare('SELECT * FROM verifier WHERE user = ?').get(user);
    if (row === undefined) return null;
    return {
      user: String(row['user']),
      account: String(row['account']),
      phc: String(row['phc']),
      disabled: row['disabled'] === 1,
      version: Number(row['version']),
    };
  }

  setVerifier({ user, account, phc, atMs }: Parameters<Secrets['setVerifier']>[0]): Change {
    return this.#change('password-set', user, account, atMs, (version) =>
      this.#database
        .prepare(
          `INSERT INTO verifier VALUES (?, ?, ?, 0, ?) ON CONFLICT (user) DO UPDATE SET
             phc = excluded.phc, version = excluded.version,
             disabled = CASE account WHEN excluded.account THEN disabled ELSE 0 END, account = excluded.account`,
        )
        .run(user, account, phc, version),
    );
  }

  setDisabled({ user, disabled, atMs }: Parameters<Secrets['setDisabled']>[0]): Change | null {
    const found = this.verifier(user);
    if (found === null) return null;
    const kind = disabled ? 'account-disabled' : 'account-enabled';
    return this.#change(kind, user, found.account, atMs, (version) =>
      this.#database
        .prepare('UPDATE verifier SET disabled = ?, version = ? WHERE user = ?')
        .run(disabled ? 1 : 0, version, user),
    );
  }

  remove({ user, atMs }: Parameters<Secrets['remove']>[0]): Change | null {
    const found = this.verifier(user);
    if (found === null) return null;
    return this.#change('account-removed', user, found.account, atMs, () =>
      this.#database.prepare('DELETE FROM verifier WHERE user = ?').run(user),
    );
  }

  unconfirmed(): Change[] {
    const rows = this.#database.prepare('SELECT * FROM change ORDER BY id LIMIT 1000').all();
    return rows.map((row) => ({
      id: Number(row['id']),
      kind: row['kind'] as ChangeKind,
      user: String(row['user']),
      account: String(row['account']),
      version: Number(row['version']),
      atMs: Number(row['at_ms']),
    }));
  }

  confirm(id: number): boolean {
    const isGone = Number(this.#database.prepare('DELETE FROM change WHERE id = ?').run(id).changes) > 0;
    // it names a person who may just have been erased
    if (isGone) this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return isGone;
  }

  close(): void {
    this.#database.close();
  }

  #change(
    kind: ChangeKind,
    user: string,
    account: string,
    atMs: number,
    act: (version: number) => void,
  ): Change {
    const database = this.#database;
    database.exec('BEGIN IMMEDIATE');
    let change: Change;
    try {
      const counted = database.prepare('UPDATE counter SET version = version + 1 RETURNING version').get();
      const version = Number(counted?.['version']);
      act(version);
      const { lastInsertRowid } = database
        .prepare('INSERT INTO change (kind, user, account, version, at_ms) VALUES (?, ?, ?, ?, ?)')
        .run(kind, user, account, version, atMs);
      change = { id: Number(lastInsertRowid), kind, user, account, version, atMs };
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    // the old verifier would stay readable in the write-ahead log
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return change;
  }
}
