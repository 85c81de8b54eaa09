import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { needPrograms } from '../../../test/support/debian.ts';
import { openSecrets, type Secrets } from './index.ts';

const folderOf = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'fengni-secrets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
};

const opened = (t: TestContext, path: string): Secrets => {
  const secrets = openSecrets({ path });
  t.after(() => {
    try {
      secrets.close();
    } catch {
      // the test closed it
    }
  });
  return secrets;
};

const first = { user: 'a@fengni.test', account: 'aone', phc: '$argon2id$first', atMs: 5 };

test('a change is kept over a new opening, and listed until it is confirmed', (t) => {
  const path = join(folderOf(t), 'secrets.db');
  const before = opened(t, path);
  const change = before.setVerifier(first);
  before.close();
  const after = opened(t, path);
  assert.deepEqual(after.verifier(first.user), {
    ...{ user: first.user, account: 'aone', phc: first.phc },
    ...{ disabled: false, version: change.version },
  });
  assert.deepEqual(after.unconfirmed(), [change]);
  const disabled = after.setDisabled({ user: first.user, disabled: true, atMs: 6 });
  assert.deepEqual(
    after.unconfirmed().map(({ id, kind }) => [id, kind]),
    [
      [change.id, 'password-set'],
      [disabled?.id, 'account-disabled'],
    ],
  );
  assert.equal(after.confirm(change.id), true);
  assert.equal(after.confirm(change.id), false);
  assert.deepEqual(after.unconfirmed(), [disabled]);
});

test('the version of an account grows with every change, also over a removal', (t) => {
  const secrets = opened(t, join(folderOf(t), 'secrets.db'));
  const { user } = first;
  const versions = [
    secrets.setVerifier(first),
    secrets.setDisabled({ user, disabled: true, atMs: 1 }),
    secrets.setVerifier(first),
    secrets.remove({ user, atMs: 1 }),
    secrets.setVerifier({ ...first, account: 'atwo' }),
  ].map((change) => change?.version ?? 0);
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(versions).size, versions.length);
  assert.equal(secrets.verifier(user)?.account, 'atwo');
});

test('a new password leaves a disabled account disabled; a new account under its name is not', (t) => {
  const secrets = opened(t, join(folderOf(t), 'secrets.db'));
  secrets.setVerifier(first);
  secrets.setDisabled({ user: first.user, disabled: true, atMs: 1 });
  secrets.setVerifier({ ...first, phc: '$argon2id$second' });
  assert.equal(secrets.verifier(first.user)?.disabled, true);
  secrets.setVerifier({ ...first, account: 'atwo' });
  assert.equal(secrets.verifier(first.user)?.disabled, false);
});

test('nobody is changed who is not there', (t) => {
  const secrets = opened(t, join(folderOf(t), 'secrets.db'));
  assert.equal(secrets.verifier('b@fengni.test'), null);
  assert.equal(secrets.remove({ user: 'b@fengni.test', atMs: 1 }), null);
  assert.equal(secrets.setDisabled({ user: 'b@fengni.test', disabled: true, atMs: 1 }), null);
  assert.deepEqual(secrets.unconfirmed(), []);
});

test('what was replaced or removed is on disk no more, in the write-ahead log neither', (t) => {
  const folder = folderOf(t);
  const secrets = opened(t, join(folder, 'secrets.db'));
  const holds = (text: string): boolean =>
    readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(text));
  secrets.setVerifier({ ...first, phc: '$argon2id$old-verifier' });
  assert.ok(holds('old-verifier'));
  secrets.setVerifier({ ...first, phc: '$argon2id$new-verifier' });
  assert.ok(!holds('old-verifier') && holds('new-verifier'));
  secrets.remove({ user: first.user, atMs: 2 });
  assert.ok(!holds('new-verifier'));
});

test('all files are 0600, also where somebody had opened them to others', (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'secrets.db');
  writeFileSync(path, '');
  chmodSync(path, 0o644);
  opened(t, path).setVerifier(first);
  for (const name of readdirSync(folder))
    assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});

test('a second process is refused', (t) => {
  const path = join(folderOf(t), 'secrets.db');
  opened(t, path).setVerifier(first);
  const script = `import { DatabaseSync } from 'node:sqlite';
    new DatabaseSync(process.argv[1]).prepare('SELECT * FROM verifier').all();`;
  const other = spawnSync(process.execPath, ['--input-type=module', '-e', script, path], {
    encoding: 'utf8',
  });
  assert.match(other.stderr, /locked/);
});

test('every call is synced before it returns (strace shows it)', (t) => {
  const folder = folderOf(t);
  needPrograms('strace');
  const script = `import { openSecrets } from '#store/secrets';
    const secrets = openSecrets({ path: process.argv[1] });
    process.stderr.write('BEGIN');
    secrets.setVerifier({ user: 'u', account: 'a', phc: 'p', atMs: 1 });
    process.stderr.write('END');`;
  const log = join(folder, 'trace');
  execFileSync(
    'strace',
    [
      '-f',
      '-o',
      log,
      '-e',
      'trace=fdatasync,fsync,write',
      process.execPath,
      '--input-type=module',
      '-e',
      script,
      join(folder, 'secrets.db'),
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const trace = readFileSync(log, 'utf8');
  assert.match(trace.slice(trace.indexOf('"BEGIN"'), trace.indexOf('"END"')), /f(data)?sync\(/);
});

test('a file that is no database, or a newer one, is refused with what to do', (t) => {
  const folder = folderOf(t);
  const damaged = join(folder, 'damaged.db');
  writeFileSync(damaged, 'x'.repeat(5000));
  assert.throws(() => openSecrets({ path: damaged }), { code: 'secrets-unreadable' });
  assert.throws(() => openSecrets({ path: join(folder, 'no', 'folder') }), { code: 'secrets-unreadable' });
  const newer = join(folder, 'newer.db');
  const database = new DatabaseSync(newer);
  database.exec('PRAGMA user_version = 99');
  database.close();
  assert.throws(() => openSecrets({ path: newer }), { code: 'secrets-newer' });
});

const keys = {
  sha256: new Uint8Array(32).fill(1),
  storedKey: new Uint8Array(32).fill(2),
  serverKey: new Uint8Array(32).fill(3),
};

test('app passwords are kept with their keys, found by their hash, and go with their account', (t) => {
  const path = join(folderOf(t), 'secrets.db');
  const before = opened(t, path);
  const { user } = first;
  assert.equal(before.addAppPassword({ user, name: 'phone', keys, atMs: 1 }), null, 'nobody there');
  before.setVerifier(first);
  assert.equal(before.hasAppPasswords(), false);
  const added = before.addAppPassword({ user, name: 'phone', keys, atMs: 7 });
  assert.equal(added?.kind, 'app-password-added');
  assert.equal(before.verifier(user)?.version, 1, 'the account itself is as it was');
  before.close();
  const after = opened(t, path);
  assert.equal(after.hasAppPasswords(), true);
  assert.partialDeepStrictEqual(after.appPasswords(user), [{ name: 'phone', createdMs: 7, ...keys }]);
  assert.partialDeepStrictEqual(after.appPasswordBySha256(user, keys.sha256), {
    name: 'phone',
    createdMs: 7,
  });
  assert.equal(after.appPasswordBySha256('b@fengni.test', keys.sha256), null);
  assert.equal(after.removeAppPassword({ user, name: 'none', atMs: 8 }), null);
  after.setVerifier({ ...first, phc: '$argon2id$other' });
  assert.equal(after.appPasswords(user).length, 1, 'a new password of the account leaves them');
  after.setVerifier({ ...first, account: 'atwo' });
  assert.deepEqual(after.appPasswords(user), [], 'another account under the name has none');
  after.addAppPassword({ user, name: 'phone', keys, atMs: 9 });
  after.remove({ user, atMs: 10 });
  assert.deepEqual(after.appPasswords(user), []);
});

test('a renewed hash is no change, and is not written over a newer one', (t) => {
  const secrets = opened(t, join(folderOf(t), 'secrets.db'));
  const { version, user } = secrets.setVerifier(first);
  assert.deepEqual([...secrets.verifiersOtherThan('$argon2id$first')], []);
  assert.deepEqual([...secrets.verifiersOtherThan('$argon2id$v=19')], [first.phc]);
  assert.equal(secrets.renewVerifier({ user, version, phc: '$argon2id$renewed' }), true);
  assert.deepEqual(secrets.verifier(user)?.version, version);
  assert.equal(secrets.unconfirmed().length, 1);
  secrets.setVerifier({ ...first, phc: '$argon2id$newer' });
  assert.equal(secrets.renewVerifier({ user, version, phc: '$argon2id$late' }), false);
  assert.equal(secrets.verifier(user)?.phc, '$argon2id$newer');
});

test('the key of salts is made once', (t) => {
  const path = join(folderOf(t), 'secrets.db');
  const before = opened(t, path);
  const key = before.saltKey(() => new Uint8Array(32).fill(9));
  before.close();
  assert.deepEqual(
    opened(t, path).saltKey(() => new Uint8Array(32)),
    key,
  );
});

test('a file of version 1 gets the tables of version 2 and keeps what it has', (t) => {
  const path = join(folderOf(t), 'secrets.db');
  const database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE verifier (
      user TEXT PRIMARY KEY, account TEXT NOT NULL, phc TEXT NOT NULL, disabled INTEGER NOT NULL, version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE change (
      id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, user TEXT NOT NULL, account TEXT NOT NULL,
      version INTEGER NOT NULL, at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE counter (version INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (3);
    INSERT INTO verifier VALUES ('a@fengni.test', 'aone', '$argon2id$old', 0, 3);
    PRAGMA user_version = 1;`);
  database.close();
  const secrets = opened(t, path);
  assert.equal(secrets.verifier(first.user)?.phc, '$argon2id$old');
  assert.equal(secrets.addAppPassword({ user: first.user, name: 'x', keys, atMs: 1 })?.version, 4);
});
