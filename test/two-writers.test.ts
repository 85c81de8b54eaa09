import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { takeLock } from '#store/lock';
import { cli } from './support/cli.ts';
import { startServer } from './support/server.ts';

// Two writers: whoever has the lock writes; the other changes nothing (FORMATS §6, 15).

const octetsOf = (folder: string): Map<string, string> => {
  const files = new Map<string, string>();
  for (const entry of fs.readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file);
    // The supervisor's own lock and sockets: no data.
    if (entry.isFile() && !name.startsWith(`run${path.sep}`))
      files.set(name, hash('sha256', fs.readFileSync(file)));
  }
  return files;
};

test('whoever comes second to a data folder is refused and changes nothing, whatever it came for', async () => {
  const server = await startServer();
  await server.stop();
  const where = ['--data', server.data, '--config', server.toml];
  const mail = 'Subject: x\r\n\r\ny\r\n';
  assert.equal((await cli(['deliver', server.address, ...where], { stdin: mail })).status, 0);
  const held = takeLock(path.join(server.data, 'lock'));
  assert.ok(held.kind === 'taken');
  try {
    const before = octetsOf(server.data);
    const commands = [
      ['deliver', server.address],
      ['domain', 'add', 'second.test'],
      ['account', 'purge', server.address, '--yes'],
      ['hold', 'add', server.address],
      ['index', 'rebuild'],
      ['log', 'new-generation'],
      ['verify', '--repair'],
    ];
    // At once: some wait a while for the first to be done.
    const outcomes = await Promise.all(
      commands.map(async (command) => ({
        command: command.join(' '),
        ...(await cli([...command, ...where], { stdin: mail })),
      })),
    );
    for (const { command, status, stderr } of outcomes) {
      assert.equal(status, 3, `${command}: ${stderr}`);
      assert.match(stderr, /is held by|Another server uses/, command);
    }
    assert.deepEqual(octetsOf(server.data), before);
  } finally {
    held.lock.release();
  }
  await server.start();
  const second = await server.fengni(['serve']);
  assert.equal(second.status, 3, second.stderr);
  assert.equal((await cli(['status', ...where])).status, 0);
  await server.stop();
  assert.equal((await cli(['verify', ...where])).status, 0);
});
