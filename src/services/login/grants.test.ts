import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '#base/logger';
import type { Grant } from '#services/auth';
import { createGrants } from './index.ts';

const grantOf = (user: string): Grant => ({ user, version: 1, appPassword: null });
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

const started = () => {
  const gone = new Set<string>();
  const asked: number[] = [];
  const later: (() => void)[] = [];
  let broken = false;
  const grants = createGrants({
    standing: async (given) => {
      asked.push(given.length);
      if (broken) throw new Error('auth is away');
      return given.map(({ user }) => !gone.has(user));
    },
    schedule: (work) => {
      later.push(work);
      return () => void later.splice(later.indexOf(work), 1);
    },
    logger: silentLogger,
  });
  const ended: string[] = [];
  const hold = (user: string, begun = grants.changes) =>
    grants.hold(grantOf(user), begun, () => void ended.push(user));
  const setBroken = (is: boolean): void => {
    broken = is;
  };
  return { grants, gone, asked, later, ended, hold, setBroken };
};

test('a change ends the sessions whose log-in stands no longer, once each', async () => {
  const { grants, gone, ended, hold } = started();
  hold('a');
  hold('a');
  hold('b');
  gone.add('a');
  await turns();
  assert.deepEqual(ended, [], 'nobody said that anything changed');
  grants.changed();
  await turns();
  assert.deepEqual(ended, ['a', 'a']);
  grants.changed();
  await turns();
  assert.deepEqual(ended, ['a', 'a']);
});

test('a session that is over is asked about no more; without sessions nobody is asked', async () => {
  const { grants, asked, hold } = started();
  const release = hold('a');
  hold('b');
  release();
  grants.changed();
  await turns();
  assert.deepEqual(asked, [1]);
  const none = started();
  none.grants.changed();
  await turns();
  assert.deepEqual(none.asked, []);
});

test('a change during a log-in is seen when the session begins', async () => {
  const { grants, gone, ended, hold } = started();
  const begun = grants.changes;
  gone.add('a');
  grants.changed();
  await turns();
  hold('a', begun);
  await turns();
  assert.deepEqual(ended, ['a']);
});

test('a change during the question is asked about again', async () => {
  const { grants, gone, ended, hold } = started();
  hold('a');
  grants.changed();
  gone.add('a');
  grants.changed();
  await turns();
  assert.deepEqual(ended, ['a']);
});

test('where nobody answers sessions go on and the question is asked again', async () => {
  const { grants, gone, later, ended, hold, setBroken } = started();
  hold('a');
  gone.add('a');
  setBroken(true);
  grants.changed();
  await turns();
  assert.deepEqual(ended, []);
  assert.equal(later.length, 1);
  setBroken(false);
  later.shift()?.();
  await turns();
  assert.deepEqual(ended, ['a']);
});

test('thousands of sessions are asked about in pieces', async () => {
  const { grants, asked, ended, gone, hold } = started();
  for (let at = 0; at < 2_500; at++) hold(`u${at}`);
  gone.add('u0').add('u2499');
  grants.changed();
  await turns();
  assert.deepEqual(asked, [1_000, 1_000, 500]);
  assert.deepEqual(ended, ['u0', 'u2499']);
});
