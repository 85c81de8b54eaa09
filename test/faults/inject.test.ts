import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { randomNumbers } from '#store/durable';
import { needPrograms } from '../support/debian.ts';
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
const injectionsOfRound = 15;
/** at once: each waits for the disk most of the time */
const concurrency = 2;

before(() => {
  needPrograms('strace');
});

/** Every call with every error, one after the other; which call of its kind is up to the seed. */
const injectionOf = (seed: number, counts: Readonly<Record<CallName, number>>): Injection => {
  const made = callNames.filter((name) => counts[name] > 0);
  const call = made[seed % made.length] as CallName;
  const error = errors[Math.floor(seed / made.length) % errors.length] ?? 'EIO';
  return { call, error, when: 1 + (randomNumbers(seed)() % counts[call]) };
};

let counts: Awaited<ReturnType<typeof countCalls>>;

test('the driver makes every call that is made to fail', async (t) => {
  counts = await countCalls();
  t.diagnostic(callNames.map((name) => `${name} ${counts[name]}`).join(', '));
  for (const call of callNames) assert.ok(counts[call] > 0, call);
});

for (let done = 0; done < injections; done += injectionsOfRound) {
  const count = Math.min(injectionsOfRound, injections - done);
  test(`errors of system calls, ${done + 1} to ${done + count} of ${injections}: nothing acknowledged is lost or there twice, nothing is answered or synced after a failed sync`, async (t) => {
    const waiting = Array.from({ length: count }, (_, at) => firstSeed + done + at);
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
    assert.ok(injected >= count * 0.8, `only ${injected} of ${count} took effect`);
    assert.ok(gaveUp > 0 && acknowledged > 0);
  });
}

test('a driver that does not sync is found by the order of its calls, though the kernel loses nothing', async () => {
  const { problems } = await inject(null, { driver: ['--without-sync'] });
  assert.match(
    problems.join('\n'),
    /an answer for octets before \d+ of segments\/.*\.fseg, of which 0 are durable/,
  );
  assert.deepEqual((await inject(null)).problems, []);
});

test('the order of calls: an answer before its sync, after a failed one, and a second sync are found; an interrupted sync is not', () => {
  const name = 'segments/0000000000000001.0.fseg';
  const file = `/data/${name}`;
  const answer = (end: number): string =>
    `7 write(1</said>, "{\\"kind\\":\\"delivered\\",\\"at\\":{\\"${name}\\":${end}},\\"seed\\":1"..., 90) = 90`;
  const written = (position: number): string =>
    `8 pwritev(21<${file}>, [{iov_base=""..., iov_len=512}], 1, ${position}) = 512`;
  const synced = `8 fdatasync(21<${file}>) = 0`;
  const failed = (error: string): string =>
    `8 fdatasync(21<${file}>) = -1 ${error} (what it means) (INJECTED)`;
  const order = (...trace: string[]): string => wrongOrder(trace.join('\n')).join();
  assert.equal(order(written(512), synced, answer(1024)), '');
  assert.equal(order(written(512), failed('EINTR'), synced, answer(1024)), '');
  // The answer to one group may go out while the next is written, and also when that fails.
  assert.equal(order(written(512), synced, written(1024), answer(1024)), '');
  assert.equal(order(written(512), synced, written(1024), failed('EIO'), answer(1024)), '');
  assert.match(order(written(512), answer(1024)), /of which 0 are durable/);
  assert.match(order(written(512), failed('EIO'), answer(1024)), /a sync failed/);
  assert.match(order(written(512), synced, written(1024), failed('ENOSPC'), answer(1536)), /a sync failed/);
  assert.match(order(written(512), failed('EIO'), synced), /synced again/);
  const [begin, end] = [`8 fdatasync(21<${file}> <unfinished ...>`, '8 <... fdatasync resumed>) = 0'];
  assert.equal(order(written(512), begin, end, answer(1024)), '');
  assert.match(order(written(512), begin, answer(1024)), /of which 0 are durable/);
  assert.match(
    order(written(512), begin, written(1024).replace('8 ', '9 '), end, answer(1536)),
    /1024 are durable/,
  );
  const unfinished = [
    `8 pwritev(21<${file}>, [{iov_base=""..., iov_len=512}], 1, 512 <unfinished ...>`,
    '8 <... pwritev resumed>) = 512',
  ];
  assert.equal(order(...unfinished, synced, answer(1024)), '');
});
