import assert from 'node:assert/strict';
import { createHmac, hash, pbkdf2Sync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Clock, systemRandom } from '#base/clock';
import { openSecrets } from '#store/secrets';
import { appPasswordKeys, proofMatches, scramSalt, serverSignature } from './app-password.ts';
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
  assert.equal(parsePhc(`$argon2d$v=19$m=65536,t=2,p=1$${tail}`), null);
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

test('keys, proof and signature are those of RFC 7677 §3', () => {
  const keys = appPasswordKeys('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
  const authMessage = Buffer.from(
    'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  );
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64');
  assert.ok(proofMatches(keys, authMessage, proof));
  assert.equal(
    Buffer.from(serverSignature(keys.serverKey, authMessage)).toString('base64'),
    '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  );
  assert.ok(!proofMatches(keys, Buffer.concat([authMessage, Buffer.from(',')]), proof));
  assert.ok(!proofMatches(keys, authMessage, proof.subarray(1)));
  assert.ok(!proofMatches(keys, authMessage, Buffer.alloc(32)));
});

/** What a client computes. @source RFC 5802 §3 */
const clientProof = (
  password: string,
  salt: Uint8Array,
  iterations: number,
  authMessage: Uint8Array,
): Buffer => {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const signature = createHmac('sha256', hash('sha256', clientKey, 'buffer'))
    .update(authMessage)
    .digest();
  return clientKey.map((octet, at) => octet ^ (signature[at] ?? 0)) as Buffer;
};

test('an app password has 120 bits, is told once, and logs in by itself and by its proof', async (t) => {
  const { auth, tryWith, folder } = await started(t);
  const { user } = owner;
  const first = auth.addAppPassword({ user, name: 'phone' });
  const second = auth.addAppPassword({ user, name: '平板' });
  assert.match(first.password, /^[0-9a-hjkmnp-tv-z]{6}(-[0-9a-hjkmnp-tv-z]{6}){3}$/);
  assert.deepEqual(
    auth.appPasswords(user).map(({ name }) => name),
    ['phone', '平板'],
  );
  for (const name of readdirSync(folder))
    assert.ok(!readFileSync(join(folder, name)).includes(first.password), 'kept nowhere');
  for (const { password } of [first, second]) {
    assert.partialDeepStrictEqual(await tryWith(password), granted);
    const { salt, iterations } = auth.scramParameters(user);
    const authMessage = Buffer.from('n=u,r=x,…');
    const request = { user, authMessage, address: '192.0.2.9', protocol: 'imap' } as const;
    const proof = clientProof(password, salt, iterations, authMessage);
    const verdict = await auth.prove({ ...request, proof });
    assert.partialDeepStrictEqual(verdict, granted);
    assert.deepEqual(await auth.prove({ ...request, authMessage: Buffer.from('other'), proof }), wrong);
  }
  // the account's own password has no keys
  const { salt, iterations } = auth.scramParameters(user);
  const own = clientProof(owner.password, salt, iterations, Buffer.from('m'));
  const request = { user, authMessage: Buffer.from('m'), address: '192.0.2.9', protocol: 'imap' } as const;
  assert.deepEqual(await auth.prove({ ...request, proof: own }), wrong);
  assert.deepEqual(await auth.prove({ ...request, user: 'nobody@fengni.test', proof: own }), wrong);
});

test('names of app passwords are checked, unique and bounded in number', async (t) => {
  const { auth } = await started(t);
  const { user } = owner;
  auth.addAppPassword({ user, name: 'one' });
  for (const name of ['', ' one', 'one', 'a\nb', 'x'.repeat(65)])
    assert.throws(() => auth.addAppPassword({ user, name }), { code: 'app-password-refused' }, name);
  assert.throws(() => auth.addAppPassword({ user: 'nobody@fengni.test', name: 'x' }), {
    code: 'app-password-refused',
  });
  for (let count = 1; count < 25; count++) auth.addAppPassword({ user, name: `n${count}` });
  assert.throws(() => auth.addAppPassword({ user, name: 'more' }), { code: 'app-password-refused' });
  assert.equal(auth.removeAppPassword({ user, name: 'nothing' }), null);
  assert.equal(auth.removeAppPassword({ user, name: 'one' })?.kind, 'app-password-removed');
  auth.addAppPassword({ user, name: 'more' });
});

test('the salt of an unknown user is as stable as that of a known one, over a restart too (RFC 5802 §5.1)', async (t) => {
  const { auth, secrets, time } = await started(t);
  const salt = (user: string, from = auth): string =>
    Buffer.from(from.scramParameters(user).salt).toString('hex');
  const unknown = salt('nobody@fengni.test');
  assert.equal(unknown.length, salt(owner.user).length);
  assert.notEqual(unknown, salt('other@fengni.test'));
  const before = salt(owner.user);
  auth.addAppPassword({ user: owner.user, name: 'phone' });
  assert.equal(salt(owner.user), before, 'the first app password does not show');
  const again = createAuth({ secrets, clock: time.clock, random: systemRandom, cost: cheap });
  assert.equal(salt('nobody@fengni.test', again), unknown);
  assert.notDeepEqual(scramSalt(new Uint8Array(32), 'a'), scramSalt(new Uint8Array(32).fill(1), 'a'));
});

test('what a log-in rests on stands until its account or its password changes', async (t) => {
  const { auth, tryWith } = await started(t);
  const { user } = owner;
  const phone = auth.addAppPassword({ user, name: 'phone' }).password;
  const grantOf = async (password: string) => {
    const verdict = await tryWith(password);
    assert.ok(verdict.kind === 'granted');
    return verdict.grant;
  };
  const own = await grantOf(owner.password);
  const app = await grantOf(phone);
  assert.deepEqual(auth.standing([own, app, { ...own, user: 'nobody@fengni.test' }]), [true, true, false]);
  auth.addAppPassword({ user, name: 'tablet' });
  assert.deepEqual(auth.standing([own, app]), [true, true]);
  await auth.setPassword({ ...owner, password: 'new' });
  assert.deepEqual(auth.standing([own, app]), [false, true]);
  const next = await grantOf('new');
  auth.removeAppPassword({ user, name: 'phone' });
  assert.deepEqual(auth.standing([next, app]), [true, false]);
  assert.deepEqual(await tryWith(phone), wrong);
  auth.disable(user);
  assert.deepEqual(auth.standing([next, app]), [false, false]);
  auth.enable(user);
  assert.deepEqual(auth.standing([next]), [false], 'a session from before stays ended');
});

test('a disabled account is told to who has one of its app passwords, a removed one has none', async (t) => {
  const { auth, tryWith } = await started(t);
  const { user } = owner;
  const { password } = auth.addAppPassword({ user, name: 'phone' });
  auth.disable(user);
  assert.deepEqual(await tryWith(password), { kind: 'refused', reason: 'disabled' });
  auth.removeAccount(user);
  await auth.setPassword({ ...owner, account: 'aother' });
  assert.deepEqual(await tryWith(password), wrong);
  assert.deepEqual(auth.appPasswords(user), []);
});

const shaCrypt =
  '{SHA512-CRYPT}$6$rounds=1000$x$EAPSjhFqPlx9TpztLdCdYhg/73lTq3uiBQstWvjpM4xsN1s4zOSEnQODN7weryBRYTrO7uOlVNKK6v93iPd9c0';

test('a hash of another server logs in, becomes argon2id by that, and logs in again', async (t) => {
  const { auth, secrets, tryWith, time } = await started(t);
  const { user, account } = owner;
  for (const line of [
    shaCrypt,
    '{SSHA512}kGp32K5HRUSGw8yNaMl/dWk+kQ/kqh9aPkBXjpRPbvxdYVsSYoATpHdl/4ZT7DB6BWQd5X/N+kJHjaKwvkySUsN0pg0=',
    '$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e',
  ]) {
    auth.setPasswordHash({ user, account, hash: line });
    assert.deepEqual(await tryWith('wrong'), wrong);
    assert.doesNotMatch(secrets.verifier(user)?.phc ?? '', /argon2/);
    const verdict = await tryWith('correct horse');
    assert.partialDeepStrictEqual(verdict, granted);
    assert.match(secrets.verifier(user)?.phc ?? '', /^\$argon2id\$v=19\$m=8,t=1,p=1\$/);
    if (verdict.kind === 'granted')
      assert.deepEqual(auth.standing([verdict.grant]), [true], 'renewing is no change of the account');
    time.pass(11 * 60_000);
    assert.partialDeepStrictEqual(await tryWith('correct horse'), granted);
  }
  assert.throws(() => auth.setPasswordHash({ user, account, hash: '$y$j9T$a$b' }), {
    code: 'password-hash-refused',
  });
});

test('a wrong password costs the same work for an unknown user, one of ours and one with another server’s hash', async (t) => {
  const work: string[] = [];
  const { auth, secrets, tryWith } = await started(t, {}, { worked: (kind) => work.push(kind) });
  await auth.prepare();
  const address = (at: number): string => `198.51.100.${at}`;
  const workOf = async (at: number, user: string, password = 'wrong'): Promise<string[]> => {
    work.length = 0;
    await tryWith(password, address(at), user);
    return work.toSorted();
  };
  const nobody = 'nobody@fengni.test';
  const before = await workOf(1, nobody);
  assert.deepEqual(before, ['app-password', 'argon2id m=8,t=1,p=1']);
  assert.deepEqual(await workOf(2, owner.user), before);
  auth.setPasswordHash({ user: 'moved@fengni.test', account: 'amoved', hash: shaCrypt });
  auth.addAppPassword({ user: owner.user, name: 'phone' });
  const after = await workOf(3, nobody);
  assert.deepEqual(after, ['app-password', 'argon2id m=8,t=1,p=1', 'sha512-crypt 1000']);
  for (const user of [owner.user, 'moved@fengni.test']) assert.deepEqual(await workOf(4, user), after, user);
  assert.deepEqual(await workOf(5, owner.user, '\0'), after, 'an impossible password too');
  // a proof: as many keys for who has many, one or none
  const proofWork = async (user: string): Promise<number> => {
    work.length = 0;
    const proof = { user, authMessage: Buffer.from('m'), proof: new Uint8Array(32) };
    await auth.prove({ ...proof, address: address(6), protocol: 'imap' });
    return work.length;
  };
  assert.equal(await proofWork(nobody), 25);
  assert.equal(await proofWork(owner.user), 25);
  // when the last such hash is renewed, nobody pays for it any more
  await tryWith('correct horse', address(7), 'moved@fengni.test');
  assert.match(secrets.verifier('moved@fengni.test')?.phc ?? '', /argon2id/);
  assert.deepEqual(await workOf(8, nobody), before);
});

test('wrong proofs slow their address down as wrong passwords do (WIRE “Limits”)', async (t) => {
  const { auth, time } = await started(t);
  const proof = { user: owner.user, authMessage: Buffer.from('m'), proof: new Uint8Array(32) };
  const prove = () => auth.prove({ ...proof, address: '192.0.2.77', protocol: 'pop3' });
  for (let count = 0; count < 10; count++) assert.deepEqual(await prove(), wrong);
  let answered = false;
  const next = prove().then(() => {
    answered = true;
  });
  await turns(20);
  assert.equal(time.sleeping(), 1);
  time.pass(1_999);
  await turns(20);
  assert.equal(answered, false);
  time.pass(1);
  await next;
});
