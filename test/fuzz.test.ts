import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';

// The fuzzer on small targets of which we know what there is to find.

const root = path.resolve(import.meta.dirname, '..');

const fuzz = (
  t: TestContext,
  target: string,
  args: readonly string[] = [],
): { status: number | null; output: string; kept: string | null } => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-fuzz-test-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
  const file = path.join(folder, 'target.fuzz.ts');
  fs.writeFileSync(file, target);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'scripts/fuzz.ts'), '--minutes', '10', '--executions', '60000', ...args, file],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: folder } },
  );
  const output = stdout + stderr;
  const where = /input kept in (.+) \(\d+ octets\)/.exec(output)?.[1];
  return { status, output, kept: where === undefined ? null : fs.readFileSync(where, 'latin1') };
};

test('what blind chance would not find in years is found by coverage, made short and kept', (t) => {
  const { status, output, kept } = fuzz(
    t,
    `export const seeds = [new Uint8Array(8)];
export const run = (d: Uint8Array): void => {
  if (d[0] === 70) { if (d[1] === 85) { if (d[2] === 90) throw new Error('found it'); } }
};
`,
  );
  assert.equal(status, 1, output);
  assert.match(output, /found it/);
  assert.match(output, /\d+ executions, seed 1, 1 findings/);
  assert.equal(kept, 'FUZ');
});

test('a seed that is a finding is found at once', (t) => {
  const { status, kept } = fuzz(
    t,
    "export const seeds = [Uint8Array.of(1, 2, 3)];\nexport const run = (d: Uint8Array): void => { if (d.includes(2)) throw new Error('two'); };\n",
  );
  assert.deepEqual([status, kept], [1, '\x02']);
});

test('an input that never comes back is a finding', (t) => {
  const { status, output, kept } = fuzz(
    t,
    'export const seeds = [Uint8Array.of(7)];\nexport const run = (d: Uint8Array): void => { while (d[0] === 7); };\n',
    ['--hang-ms', '500'],
  );
  assert.equal(status, 1, output);
  assert.match(output, /did not come back within 500 ms/);
  assert.equal(kept, '\x07');
});

test('a target that cannot be loaded is a failure, an unknown name wrong usage', (t) => {
  const { status, output } = fuzz(t, "throw new Error('at load');\n");
  assert.equal(status, 1);
  assert.match(output, /at load/);
  assert.equal(spawnSync(process.execPath, [path.join(root, 'scripts/fuzz.ts'), 'no-such-name']).status, 2);
});

test('nothing to find: exit status 0, and the same seed does the same', (t) => {
  const target =
    'export const seeds = [];\nexport const run = (d: Uint8Array): void => { if (d.length > 3) d.at(0); };\n';
  const { status, output } = fuzz(t, target, ['--executions', '300']);
  assert.equal(status, 0, output);
  assert.match(output, /✔ .*target\.fuzz\.ts: 300 executions/);
  assert.equal(fuzz(t, target, ['--executions', '300']).output.split(': ')[1], output.split(': ')[1]);
});
