import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Clock, systemRandom } from '#base/clock';
import { openSecrets } from '#store/secrets';
import { HashQueue } from './hash-queue.ts';
import {
  type AuthLimits,
  type AuthOptions,
  addressKey,
  createAuth,
  generatePassword,
  preparePassword,
} from './index.ts';
import { argon2Cost, hashPassword, parsePhc, passwordMatches } from './password.ts';
import { Recent } from './recent.ts';

const cheap = { memoryKiB: 8, passes: 1, lanes: 1 };
const owner = { user: 'admin@fengni.test', account: 'aadmin', password: 'correct horse' };

/** Time stands still but for those who sleep: whoever sleeps wakes when `pass` has gone far enough. */
const standingClock = () => {
  let nowMs = 1_000_000;
  const sleepers: { untilMs: number; wake: () => void }[] = [];
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  return {
    clock,
    sleep: (ms: number): Promise<void> => new Promise((wake) => sleepers.push({ untilMs: nowMs + ms, wake })),
    pass: (ms: number): void => {
      nowMs += ms;
      for (const sleeper of sleepers.splice(0)) {
        if (sleeper.untilMs <= nowMs) sleeper.wake();
        else sleepers.push(sleeper);
      }
    },
    sleeping: () => sleepers.length,
  };
};

const started = async (t: TestContext, limits: Partial<AuthLimits> = {}, more: Partial<AuthOptions> = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'fengni-auth-'));
  const secrets = openSecrets({ path: join(folder, 'secrets.db') });
  t.after(() => {
    secrets.close();
    rmSync(folder, { recursive: true });
  });
  const time = standingClock();
  const { clock, sleep } = time;
  const auth = createAuth({ secrets, clock, sleep, random: systemRandom, limits, cost: cheap, ...more });
  await auth.setPassword(owner);
  const tryWith = (password: string, address = '192.0.2.1', user = owner.user) =>
    auth.verify({ user, password, address, protocol: 'imap' });
  return { auth, secrets, time, tryWith, folder };
};

const granted = { kind: 'granted', account: 'aadmin' };
const wrong = { kind: 'refused', reason: 'wrong' };
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test('the right password is granted, a wrong one, an unknown user and an impossible password are refused alike', async (t) => {
  const { tryWith } = await started(t);
  assert.partialDeepStrictEqual(await tryWith(owner.password), granted);
  assert.deepEqual(await tryWith('wrong'), wrong);
  assert.deepEqual(await tryWith(owner.password, '192.0.2.1', 'nobody@fengni.test'), wrong);
  for (const impossible of ['', 'a\u0000b', '\ud800', 'x'.repeat(1025)])
    assert.deepEqual(await tryWith(impossible), wrong);
});

test('argon2id has the standard cost and the reference implementation’s result (RFC 9106)', async () => {
  const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  assert.equal(await passwordMatches('password', reference), true);
  assert.equal(await passwordMatches('Password', reference), false);
  const standard =
    '$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$f8HCtzpZXOG89VjoqXvdtp6ihEGtN8pmny1y/gEqRUY';
  assert.equal(await passwordMatches('封泥', standard), true);
  assert.deepEqual(argon2Cost, { memoryKiB: 19456, passes: 2, lanes: 1 });
  const own = await hashPassword('x', systemRandom);
  assert.match(own, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[^$]{22}\$[^$]{43}$/);
  assert.notEqual(own, await hashPassword('x', systemRandom));
});

test('a PHC string that is none, or that asks for too much, is refused', async () => {
  const tail = 'c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  assert.ok(parsePhc(`$argon2id$v=19$m=65536,t=2,p=1$${tail}`));
  for (const head of [
    ...['m=9999999,t=2,p=1', 'm=65536,t=99,p=1', 'm=65536,t=0,p=1', 'm=65536,t=2,p=9', 'm=7,t=1,p=1'],
    ...['m=65536,t=2', 't=2,m=65536,p=1', 'm=65536,t=2,p=0'],
  ])
    assert.equal(parsePhc(`$argon2id$v=19$${head}$${tail}`), null, head);
  assert.equal(parsePhc(`$argon2i$v=19$m=65536,t=2,p=1$${tail}`), null);
  await assert.rejects(passwordMatches('x', 'x'), { code: 'verifier-damaged' });
  fc.assert(
    fc.property(fc.string(), (text) => {
      parsePhc(text);
      parsePhc(`$argon2id$v=19$m=65536,t=2,p=1$${text}`);
    }),
  );
});

test('passwords are compared as OpaqueString (RFC 8265 §4.2)', () => {
  assert.equal(preparePassword('Ａｐ\u3000é'), 'Ａｐ é');
  assert.equal(preparePassword('e\u0301'), '\u00e9');
  assert.equal(preparePassword(' Aa封泥😀 '), ' Aa封泥😀 ');
  for (const bad of ['', '\u0000', 'a\tb', 'a\u007f', 'a\u0085', '\ud800', '封'.repeat(342)])
    assert.equal(preparePassword(bad), null);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const once = preparePassword(text);
      if (once !== null) assert.equal(preparePassword(once), once);
    }),
  );
});

test('a success is remembered for ten minutes, for that password alone', async (t) => {
  const { tryWith, secrets, time } = await started(t);
  await tryWith(owner.password);
  // with another verifier of the same version on disk only memory can grant it
  const real = secrets.verifier.bind(secrets);
  const phc = await hashPassword('another', systemRandom, cheap);
  t.mock.method(secrets, 'verifier', (user: string) => {
    const found = real(user);
    return found === null ? null : { ...found, phc };
  });
  time.pass(599_000);
  assert.partialDeepStrictEqual(await tryWith(owner.password), granted);
  assert.deepEqual(await tryWith('correct horsf'), wrong);
  time.pass(2_000);
  assert.deepEqual(await tryWith(owner.password), wrong);
});

test('what is remembered is dropped by every change of the account', async (t) => {
  const { auth, tryWith } = await started(t);
  await tryWith(owner.password);
  await auth.setPassword({ ...owner, password: 'new one' });
  assert.deepEqual(await tryWith(owner.password), wrong);
  assert.partialDeepStrictEqual(await tryWith('new one'), granted);
  auth.disable(owner.user);
  assert.deepEqual(await tryWith('new one'), { kind: 'refused', reason: 'disabled' });
  assert.deepEqual(await tryWith('wrong'), wrong);
  auth.enable(owner.user);
  assert.partialDeepStrictEqual(await tryWith('new one'), granted);
  auth.removeAccount(owner.user);
  assert.deepEqual(await tryWith('new one'), wrong);
  assert.deepEqual(
    auth.unconfirmed().map(({ kind }) => kind),
    ['password-set', 'password-set', 'account-disabled', 'account-enabled', 'account-removed'],
  );
  for (const { id } of auth.unconfirmed()) assert.ok(auth.confirm(id));
  assert.deepEqual(auth.unconfirmed(), []);
});

test('a password that is changed while it is checked is not granted', async (t) => {
  const { auth, tryWith, secrets } = await started(t);
  const attempt = tryWith(owner.password);
  secrets.setDisabled({ user: owner.user, disabled: true, atMs: 1 });
  assert.equal((await attempt).kind, 'refused');
  assert.equal(auth.status().granted, 0);
});

test('after 10 wrong passwords the next answer of the address takes 2 s, right or wrong (WIRE “Limits”)', async (t) => {
  const { auth, tryWith, time } = await started(t);
  for (let count = 0; count < 10; count++)
    assert.deepEqual(await tryWith(`wrong ${count}`, '2001:db8::1'), wrong);
  const answers: string[] = [];
  const right = tryWith(owner.password, '2001:db8::2:1').then((verdict) => answers.push(verdict.kind));
  const next = tryWith('wrong', '2001:db8::3').then((verdict) => answers.push(verdict.kind));
  assert.partialDeepStrictEqual(await tryWith(owner.password, '2001:db8:0:1::1'), granted);
  await turns(20);
  assert.equal(time.sleeping(), 1);
  time.pass(1_999);
  await turns(50);
  assert.deepEqual(answers, []);
  time.pass(1);
  await right;
  assert.deepEqual(answers, ['granted']);
  // one at a time: the second begins its two seconds now
  await turns(50);
  time.pass(2_000);
  await next;
  assert.deepEqual(answers, ['granted', 'refused']);
  assert.equal(auth.status().slowed, 2);
  time.pass(15 * 60_000 + 1);
  assert.deepEqual(await tryWith('wrong', '2001:db8::1'), wrong);
});

test('tries beyond the places are answered “unavailable”, never “wrong”', async (t) => {
  const { tryWith, time } = await started(t, {
    wrongPerAddress: 1,
    slowedWaitingMax: 2,
    hashesAtOnce: 1,
    hashesWaitingMax: 3,
  });
  await tryWith('wrong');
  const waiting = [tryWith('a'), tryWith('b')];
  assert.deepEqual(await tryWith(owner.password), { kind: 'unavailable' });
  let open = true;
  const settled = Promise.all(waiting).finally(() => {
    open = false;
  });
  while (open) {
    await turns(1);
    time.pass(2_000);
  }
  assert.deepEqual(await settled, [wrong, wrong]);
  const kinds = await Promise.all(
    Array.from({ length: 8 }, (_, at) => tryWith(`w${at}`, `198.51.100.${at}`)),
  );
  assert.equal(kinds.filter(({ kind }) => kind === 'unavailable').length, 4);
});

test('behind 1,000 wrong passwords from 100 addresses the owner at a known address waits for one hash (WIRE “Log-in”)', async (t) => {
  const { auth, tryWith, time } = await started(t, { hashesAtOnce: 1, hashesWaitingMax: 2_000 });
  await tryWith(owner.password, '203.0.113.7');
  time.pass(11 * 60_000);
  let answered = 0;
  const flood = Array.from({ length: 1_000 }, (_, at) =>
    tryWith(`wrong ${at}`, `198.51.100.${at % 100}`).then(() => answered++),
  );
  await turns(1);
  assert.ok(auth.status().hashesWaiting > 900);
  const before = answered;
  assert.partialDeepStrictEqual(await tryWith(owner.password, '203.0.113.7'), granted);
  assert.ok(answered - before <= 2, `${answered - before} strangers were served first`);
  await Promise.all(flood);
});

test('strangers take turns by address: one that floods delays itself', async () => {
  const queue = new HashQueue({ atOnce: 1, waitingMax: 100 });
  const order: string[] = [];
  const enter = (priority: 'first' | 'later', address: string) =>
    queue.run(priority, address, async () => order.push(address));
  await Promise.all([
    ...['a', 'a', 'a', 'a', 'b', 'b', 'c'].map((address) => enter('later', address)),
    enter('first', 'owner'),
  ]);
  assert.deepEqual(order, ['a', 'owner', 'a', 'b', 'c', 'a', 'b', 'a']);
  await assert.rejects(queue.run('first', 'x', () => Promise.reject(new Error('no'))));
  assert.equal(await queue.run('later', 'x', async () => 5), 5);
});

test('tries that are the same share one hash', async (t) => {
  const { auth, tryWith } = await started(t, { hashesAtOnce: 1, hashesWaitingMax: 1 });
  const all = await Promise.all(Array.from({ length: 30 }, () => tryWith(owner.password)));
  for (const verdict of all) assert.partialDeepStrictEqual(verdict, granted);
  assert.equal(auth.status().granted, 30);
});

test('an unknown user costs the same hash as a known one', async (t) => {
  const { tryWith, auth } = await started(t, { hashesAtOnce: 1 });
  const waits = async (user: string): Promise<number> => {
    const attempts = [
      tryWith('x', '192.0.2.1', user),
      tryWith('y', '192.0.2.2', user),
      tryWith('z', '192.0.2.3', user),
    ];
    await turns(0);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    const { hashesWaiting } = auth.status();
    await Promise.all(attempts);
    return hashesWaiting;
  };
  await auth.prepare();
  assert.equal(await waits(owner.user), 2);
  assert.equal(await waits('nobody@fengni.test'), 2);
});

test('tables forget the oldest beyond their size, and what is too old', () => {
  const table = new Recent<number>({ countMax: 3, lifeMs: 100 });
  for (let at = 0; at < 5; at++) table.set(`k${at}`, at, 0);
  assert.equal(table.size, 3);
  assert.deepEqual(
    [table.get('k1', 0), table.get('k2', 99), table.get('k4', 100)],
    [undefined, 2, undefined],
  );
  table.set('k2', 9, 0);
  table.set('k5', 5, 0);
  table.set('k6', 6, 0);
  assert.equal(table.get('k2', 1), 9);
});

test('an address counts whole in IPv4, mapped or not, and by its /64 in IPv6', () => {
  assert.equal(addressKey('192.0.2.1'), addressKey('::ffff:192.0.2.1'));
  assert.equal(addressKey('2001:db8::1'), addressKey('2001:0DB8:0:0:ffff::2'));
  assert.notEqual(addressKey('2001:db8::1'), addressKey('2001:db8:0:1::1'));
  assert.equal(addressKey('fe80::1%eth0'), addressKey('fe80::2'));
  assert.equal(addressKey('1:2:3:4:5:6:7:8'), '1:2:3:4::/64');
});

test('a password is in no file and in no error', async (t) => {
  const { auth, folder } = await started(t);
  await auth.setPassword({ ...owner, password: 'very-secret-text' });
  for (const name of readdirSync(folder))
    assert.ok(!readFileSync(join(folder, name)).includes('very-secret-text'));
  await assert.rejects(auth.setPassword({ ...owner, password: 'very\u0000secret' }), (error: Error) => {
    assert.ok(!JSON.stringify({ ...error, message: error.message }).includes('secret'));
    return true;
  });
});

test('a generated password has 90 bits in groups that can be read out', () => {
  const one = generatePassword(systemRandom);
  assert.match(one, /^[0-9a-hjkmnp-tv-z]{6}(-[0-9a-hjkmnp-tv-z]{6}){2}$/);
  assert.notEqual(one, generatePassword(systemRandom));
  assert.equal(
    generatePassword((length) => new Uint8Array(length).fill(255)),
    'zzzzzz-zzzzzz-zzzzzz',
  );
});
