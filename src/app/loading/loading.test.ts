import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ownDoor } from './resolve-own-modules.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const { imports } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  imports: Record<string, string>;
};

/** every `#…` that a file of ours imports */
const doors = (): Set<string> => {
  const found = new Set<string>();
  for (const name of fs.readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const text = fs.readFileSync(path.join(root, 'src', name), 'utf8');
    for (const [, door] of text.matchAll(/from '(#[^']+)'/g)) if (door !== undefined) found.add(door);
  }
  return found;
};

test('a front door is where Node finds it by package.json', () => {
  const all = doors();
  assert.ok(all.size > 50);
  for (const door of all) {
    // In a test of its own world, planted as text.
    const url = ownDoor(door, imports);
    if (url === null || !fs.existsSync(fileURLToPath(url))) continue;
    assert.equal(url, import.meta.resolve(door), door);
  }
  assert.equal(ownDoor('#base/bytes', imports), import.meta.resolve('#base/bytes'));
  assert.equal(ownDoor('#message', imports), import.meta.resolve('#message'));
  assert.equal(ownDoor('#elsewhere/bytes', imports), null);
  assert.equal(ownDoor('#message-not', imports), null);
});

test('with it a module is loaded once, by whichever name, and what is not ours is left to Node', () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { resolveOwnModules } = await import(process.argv[1] + '/src/app/loading/index.ts');
       const before = await import(process.argv[1] + '/src/base/bytes/index.ts');
       resolveOwnModules();
       const { loadToml } = await import(process.argv[1] + '/src/app/config/index.ts');
       const again = await import(process.argv[1] + '/src/base/bytes/index.ts');
       const bytes = await import('data:text/javascript,export * from "node:fs"');
       const gone = await import(process.argv[1] + '/src/base/none.ts').catch((error) => error.code);
       console.log(before === again, typeof bytes.readFileSync, gone);`,
      root,
    ],
    { encoding: 'utf8' },
  );
  assert.equal(stdout, 'true function ERR_MODULE_NOT_FOUND\n', stderr);
});
