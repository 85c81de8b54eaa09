import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { randomNumbers } from '#store/durable';
import { debianTool } from '../support/debian-tools.ts';
import {
  type CallName,
  callNames,
  countCalls,
  errors,
  type Injection,
  inject,
  wrongOrder,
} from './injections.ts';

const injections = Number(process.env['FENGNI_INJECTIONS'] ?? 60);
const firstSeed = Number(process.env['FENGNI_SEED'] ?? 1);
/** at once: each waits for the disk most of the time */
const concurrency = 2;

before(async () => {
  await debianTool({ files: ['/usr/bin/strace', '/usr/local/bin/strace'], packages: ['strace'] });
});

/** Every call with every error, one after the other; which call of its kind is up to the seed. */
const injectionOf = (seed: number, counts: Readonly<Record<CallName, number>>): Injection => {
  const made = callNames.filter((name) => counts[name] > 0);
  const call = made[seed % made.length] as CallName;
  const error = errors[Math.floor(seed / made.length) % errors.length] ?? 'EIO';
  return { call, error, when: 1 + (randomNumbers(seed)() % counts[call]) };
};

test(`${injections} errors of system calls: nothing acknowledged is lost or there twice, nothing is answered or synced after a failed sync`, async (t) => {
  const counts = await countCalls();
  for (const call of ['openat', 'pwrite64', 'writev', 'fdatasync', 'fsync', 'rename', 'unlink'] as const)
    assert.ok(counts[call] > 0, `the driver makes no ${call}`);
  t.diagnostic(`calls: ${callNames.map((name) => `${name} ${counts[name]}`).join(', ')}`);
  const waiting = Array.from({ length: injections }, (_, at) => firstSeed + at);
  const problems: string[] = [];
  let [injected, gaveUp, acknowledged] = [0, 0, 0];
  const worker = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const injection = injectionOf(seed, counts);
      const outcome = await inject(injection);
      injected += outcome.injected > 0 ? 1 : 0;
      gaveUp += outcome.ended === 'gave up' ? 1 : 0;
      acknowledged += outcome.audit.acknowledged;
      const { call, error, when } = injection;
      problems.push(
        ...outcome.problems.map((what) => `seed ${seed} (${call} ${error} when=${when}): ${what}`),
      );
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  t.diagnostic(`${injected} took effect, the store gave up in ${gaveUp}, ${acknowledged} acknowledged`);
  assert.deepEqual(problems, []);
  assert.ok(injected >= injections * 0.8, `only ${injected} of ${injections} took effect`);
  assert.ok(gaveUp > 0 && acknowledged > 0);
});

test('a driver that does not sync is found by the order of its calls, though the kernel loses nothing', async () => {
  const { problems } = await inject(null, { driver: ['--without-sync'] });
  assert.match(problems.join('\n'), /an answer while .*\.fseg.* is not synced/);
  assert.deepEqual((await inject(null)).problems, []);
});

test('the order of calls: an answer after a failed sync and a second sync are found, an interrupted sync is not', () => {
  const file = '/data/segments/0000000000000001.0.fseg';
  const answer = '7 write(1</said>, "{\\"kind\\":\\"delivered\\",\\"seed\\":1", 90) = 90';
  const written = `8 pwritev(21<${file}>, [{iov_base=""..., iov_len=512}], 1, 512) = 512`;
  const synced = `8 fdatasync(21<${file}>) = 0`;
  const failed = (error: string): string =>
    `8 fdatasync(21<${file}>) = -1 ${error} (what it means) (INJECTED)`;
  const order = (...trace: string[]): string[] => wrongOrder(trace.join('\n'));
  assert.deepEqual(order(written, synced, answer), []);
  assert.deepEqual(order(written, failed('EINTR'), synced, answer), []);
  assert.match(order(written, answer).join(), /is not synced/);
  assert.match(order(written, failed('EIO'), answer).join(), /had failed/);
  assert.match(order(written, failed('EIO'), synced).join(), /synced again/);
  const unfinished = [`8 fdatasync(21<${file}> <unfinished ...>`, '8 <... fdatasync resumed>) = 0'];
  assert.deepEqual(order(written, ...unfinished, answer), []);
  assert.match(order(written, unfinished[0] ?? '', answer).join(), /is not synced/);
});
