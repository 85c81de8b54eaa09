import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { FengniError } from '#base/errors';

/** What is needed to check a password; the password itself is nowhere. */
export interface Verifier {
  /** key of the log-in name: WIRE “Addresses” */
  user: string;
  /** account id, `a…` */
  account: string;
  /** `$argon2id$…`, or a hash that came from another server */
  phc: string;
  disabled: boolean;
  /** grows with every change, also across a removal and a new beginning */
  version: number;
}

/** A generated password of one program. Who has the file can guess at none of them: they have 120 bits and more. */
export interface AppPassword {
  id: number;
  /** what its owner calls it; unique in the account */
  name: string;
  createdMs: number;
}

/** What a password is checked with. @source RFC 5802 §3 */
export interface AppPasswordKeys {
  sha256: Uint8Array;
  storedKey: Uint8Array;
  serverKey: Uint8Array;
}

export type ChangeKind =
  | 'password-set'
  | 'account-removed'
  | 'account-disabled'
  | 'account-enabled'
  | 'app-password-added'
  | 'app-password-removed';

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
  /** Writes the same password's hash in another form; false when the account has changed since `version`. No change of the account. */
  renewVerifier(renewal: { user: string; version: number; phc: string }): boolean;
  /** every hash whose form is not `prefix…` */
  verifiersOtherThan(prefix: string): Iterable<string>;
  /** null when there is no such user; the caller has looked whether the name is free */
  addAppPassword(added: { user: string; name: string; keys: AppPasswordKeys; atMs: number }): Change | null;
  /** null when there is no such user or none of this name */
  removeAppPassword(removed: { user: string; name: string; atMs: number }): Change | null;
  /** oldest first */
  appPasswords(user: string): (AppPassword & AppPasswordKeys)[];
  appPasswordBySha256(user: string, sha256: Uint8Array): AppPassword | null;
  /** whether anybody has one */
  hasAppPasswords(): boolean;
  /** the key that salts are made with: `fresh` the first time, what it was from then on */
  saltKey(fresh: () => Uint8Array): Uint8Array;
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

const schemaVersion = 2;
/** what version 1 had */
const firstSchema = `
  CREATE TABLE verifier (
    user TEXT PRIMARY KEY, account TEXT NOT NULL, phc TEXT NOT NULL, disabled INTEGER NOT NULL, version INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL,
    version INTEGER NOT NULL, at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE counter (version INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES (0);
`;
const secondSchema = `
  CREATE TABLE app_password (
    id INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL,
    stored_key BLOB NOT NULL, server_key BLOB NOT NULL, created_ms INTEGER NOT NULL, UNIQUE (user, name)
  ) STRICT;
  CREATE INDEX app_password_sha256 ON app_password (user, sha256);
  CREATE TABLE salt_key (key BLOB NOT NULL) STRICT;
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
  if (version === 0) database.exec(`BEGIN IMMEDIATE; ${firstSchema} ${secondSchema} COMMIT;`);
  else if (version === 1) database.exec(`BEGIN IMMEDIATE; ${secondSchema} COMMIT;`);
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
    const isOther = this.verifier(user)?.account !== account;
    return this.#change('password-set', user, account, atMs, (version) => {
      // a new account under an old name begins with none
      if (isOther) this.#forgetAppPasswords(user);
      this.#database
        .prepare(
          `INSERT INTO verifier VALUES (?, ?, ?, 0, ?) ON CONFLICT (user) DO UPDATE SET
             phc = excluded.phc, version = excluded.version,
             disabled = CASE account WHEN excluded.account THEN disabled ELSE 0 END, account = excluded.account`,
        )
        .run(user, account, phc, version);
    });
  }

  renewVerifier({ user, version, phc }: Parameters<Secrets['renewVerifier']>[0]): boolean {
    const { changes } = this.#database
      .prepare('UPDATE verifier SET phc = ? WHERE user = ? AND version = ?')
      .run(phc, user, version);
    this.#overwriteOld();
    return changes === 1;
  }

  *verifiersOtherThan(prefix: string): Iterable<string> {
    const rows = this.#database
      .prepare('SELECT phc FROM verifier WHERE substr(phc, 1, ?) <> ?')
      .iterate(prefix.length, prefix);
    for (const row of rows) yield String(row['phc']);
  }

  addAppPassword({ user, name, keys, atMs }: Parameters<Secrets['addAppPassword']>[0]): Change | null {
    const found = this.verifier(user);
    if (found === null) return null;
    return this.#change('app-password-added', user, found.account, atMs, () =>
      this.#database
        .prepare(
          'INSERT INTO app_password (user, name, sha256, stored_key, server_key, created_ms) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(user, name, keys.sha256, keys.storedKey, keys.serverKey, atMs),
    );
  }

  removeAppPassword({ user, name, atMs }: Parameters<Secrets['removeAppPassword']>[0]): Change | null {
    const found = this.verifier(user);
    if (found === null || !this.appPasswords(user).some((each) => each.name === name)) return null;
    return this.#change('app-password-removed', user, found.account, atMs, () =>
      this.#database.prepare('DELETE FROM app_password WHERE user = ? AND name = ?').run(user, name),
    );
  }

  appPasswords(user: string): (AppPassword & AppPasswordKeys)[] {
    return this.#database
      .prepare('SELECT * FROM app_password WHERE user = ? ORDER BY id')
      .all(user)
      .map((row) => ({
        ...{ id: Number(row['id']), name: String(row['name']), createdMs: Number(row['created_ms']) },
        sha256: row['sha256'] as Uint8Array,
        storedKey: row['stored_key'] as Uint8Array,
        serverKey: row['server_key'] as Uint8Array,
      }));
  }

  appPasswordBySha256(user: string, sha256: Uint8Array): AppPassword | null {
    const row = this.#database
      .prepare('SELECT id, name, created_ms FROM app_password WHERE user = ? AND sha256 = ?')
      .get(user, sha256);
    if (row === undefined) return null;
    return { id: Number(row['id']), name: String(row['name']), createdMs: Number(row['created_ms']) };
  }

  hasAppPasswords(): boolean {
    return this.#database.prepare('SELECT 1 FROM app_password LIMIT 1').get() !== undefined;
  }

  saltKey(fresh: () => Uint8Array): Uint8Array {
    const row = this.#database.prepare('SELECT key FROM salt_key').get();
    if (row !== undefined) return row['key'] as Uint8Array;
    const key = fresh();
    this.#database.prepare('INSERT INTO salt_key VALUES (?)').run(key);
    return key;
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
    return this.#change('account-removed', user, found.account, atMs, () => {
      this.#forgetAppPasswords(user);
      this.#database.prepare('DELETE FROM verifier WHERE user = ?').run(user);
    });
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
    this.#overwriteOld();
    return change;
  }

  #forgetAppPasswords(user: string): void {
    this.#database.prepare('DELETE FROM app_password WHERE user = ?').run(user);
  }

  /** An old verifier would stay readable in the write-ahead log. */
  #overwriteOld(): void {
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }
}
