import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '#base/clock';
import { stillClock } from '../../../test/support/line-client.ts';
import { createWatchdog } from './watchdog.ts';

const watched = () => {
  const seen = { asked: 0, killed: 0 };
  return { seen, ask: () => void seen.asked++, kill: () => void seen.killed++ };
};

test('who owes an answer for two minutes is ended, once; who answers in between is not', () => {
  const clock = stillClock();
  const watchdog = createWatchdog({ clock });
  const [silent, lively, gone] = [watched(), watched(), watched()];
  for (const each of [silent, lively, gone]) watchdog.watch(each);
  for (let seconds = 0; seconds <= 120; seconds += 10) {
    watchdog.look();
    watchdog.heard(lively);
    if (seconds === 60) watchdog.forget(gone);
    clock.advance(10_000);
  }
  assert.deepEqual([silent.seen.killed, lively.seen.killed, gone.seen.killed], [0, 0, 0]);
  watchdog.look();
  assert.deepEqual([silent.seen.killed, lively.seen.killed, gone.seen.killed], [1, 0, 0]);
  assert.equal(silent.seen.asked, 1, 'one question is open at a time');
  assert.ok(lively.seen.asked > 10);
  clock.advance(10_000);
  watchdog.look();
  assert.equal(silent.seen.killed, 1);
  watchdog.stop();
});

test('a watchdog that was stopped itself blames nobody, and asks anew', () => {
  const clock = stillClock();
  const watchdog = createWatchdog({ clock });
  const one = watched();
  watchdog.watch(one);
  watchdog.look();
  clock.advance(3_600_000);
  watchdog.look();
  assert.deepEqual(one.seen, { asked: 2, killed: 0 });
  for (let seconds = 0; seconds <= 120; seconds += 10) {
    clock.advance(10_000);
    watchdog.look();
  }
  assert.equal(one.seen.killed, 1);
  watchdog.stop();
});

test('a process whose code goes round for ever is ended, one that works is left alone', {
  timeout: 60_000,
}, async () => {
  const code = `process.on('message', () => process.send('here')); process.send('ready');
    if (process.argv[1] === 'loops') setTimeout(() => { for (;;); }, 50);`;
  const start = (how: string) =>
    spawn(process.execPath, ['-e', code, '--', how], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  // Its own time is the machine's: a process that works answers long before this, on a machine however slow.
  const watchdog = createWatchdog({ clock: systemClock, everyMs: 200, silenceMsMax: 5_000 });
  const [looping, working] = [start('loops'), start('works')];
  for (const child of [looping, working]) {
    await once(child, 'message');
    const each = {
      ask: () => void (child.connected && child.send('?')),
      kill: () => void child.kill('SIGKILL'),
    };
    child.on('message', () => watchdog.heard(each));
    watchdog.watch(each);
  }
  const [, signal] = await once(looping, 'exit');
  assert.equal(signal, 'SIGKILL');
  assert.equal(working.exitCode, null);
  assert.equal(working.signalCode, null);
  working.kill();
  await once(working, 'exit');
  watchdog.stop();
});
