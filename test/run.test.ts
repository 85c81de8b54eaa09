import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { notRun } from './support/corpora.ts';

// The test run itself, on small trees.

const root = path.resolve(import.meta.dirname, '..');
const head = "import { test } from 'node:test';\n";

const runTree = (
  t: TestContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): { status: number | null; output: string } => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-run-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    fs.writeFileSync(path.join(folder, name), text);
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(root, 'test/run.ts'), '--root', folder, '--file-timeout-ms', '3000', ...args],
    { encoding: 'utf8', cwd: folder, env: { ...process.env, NO_COLOR: '1' } },
  );
  return { status, output: stdout + stderr };
};

test('good tests in both places: counted, exit status 0, skipped and not run told', (t) => {
  const { status, output } = runTree(t, {
    'src/a/a.test.ts': `${head}test('one', () => {});\ntest('two', (t) => t.skip('because'));\n`,
    'test/b.test.ts': `${head}test('three', (t) => t.skip('${notRun}'));\ntest('four', (t) => t.diagnostic('seed 7'));\n`,
  });
  assert.equal(status, 0, output);
  assert.match(output, /\n2 passed, 0 failed, 2 skipped\n$/);
  assert.match(output, /third-party tests not run: 1 \(/);
  assert.match(output, /skipped src\/a\/a\.test\.ts:3 two: because/);
  assert.match(output, /test\/b\.test\.ts: seed 7/);
});

const bad: readonly { what: string; files: Record<string, string>; said: RegExp }[] = [
  {
    what: 'a failing test beside the source',
    files: { 'src/a.test.ts': `${head}test('bad', () => { throw new Error('reason here'); });\n` },
    said: /failed src\/a\.test\.ts:2 bad\n\s+Error: reason here/,
  },
  {
    what: 'a failing test apart',
    files: { 'test/a.test.ts': `${head}test('bad', () => { throw new Error('reason here'); });\n` },
    said: /failed test\/a\.test\.ts:2 bad\n\s+Error: reason here/,
  },
  {
    what: 'a file that cannot be loaded, beside the source',
    files: { 'src/a.test.ts': "throw new Error('at load');\n" },
    said: /at load/,
  },
  {
    what: 'a file that cannot be loaded, apart',
    files: { 'test/a.test.ts': "throw new Error('at load');\n" },
    said: /at load/,
  },
  {
    what: 'a file without a test, beside the source',
    files: { 'src/a.test.ts': 'export {};\n', 'src/b.test.ts': `${head}test('x', () => {});\n` },
    said: /src\/a\.test\.ts ran no test/,
  },
  {
    what: 'a file without a test, apart',
    files: { 'test/a.test.ts': 'export {};\n' },
    said: /test\/a\.test\.ts ran no test/,
  },
  { what: 'no test at all', files: {}, said: /no test was run/ },
  {
    what: 'a loop without end, apart',
    files: { 'test/a.test.ts': `${head}test('loops', () => { for (;;); });\n` },
    said: /nothing ended for 3 s, stopped; the last test known/,
  },
  {
    what: 'a loop without end, beside the source',
    files: { 'src/a.test.ts': `${head}test('loops', () => { for (;;); });\n` },
    said: /nothing ended for 3 s, stopped; the last test known/,
  },
  {
    what: 'a process left running',
    files: {
      'test/a.test.ts': `${head}import { spawn } from 'node:child_process';\ntest('x', () => { spawn('sleep', ['77'], { stdio: 'ignore' }).unref(); });\n`,
    },
    said: /left running: \d+ sleep 77/,
  },
  {
    what: 'a process that ends itself before its tests are done',
    files: { 'test/a.test.ts': `${head}test('x', () => {});\ntest('y', () => { process.exit(5); });\n` },
    said: /failed/,
  },
];

for (const { what, files, said } of bad) {
  test(`exit status 1 for ${what}`, (t) => {
    const { status, output } = runTree(t, files);
    assert.equal(status, 1, output);
    assert.match(output, said);
    assert.match(output, /\n\d+ passed, \d+ failed, \d+ skipped\n$/);
  });
}

test('only the files or folders named are run; one without tests is wrong usage', (t) => {
  const files = {
    'src/a/a.test.ts': `${head}test('one', () => {});\n`,
    'src/b/b.test.ts': `${head}test('bad', () => { throw new Error(); });\n`,
  };
  assert.match(runTree(t, files, ['src/a']).output, /\n1 passed, 0 failed, 0 skipped\n$/);
  assert.equal(runTree(t, files, ['src/c']).status, 2);
  assert.equal(runTree(t, files, ['--no-such-option']).status, 2);
});

test('--fast leaves out the tests apart', (t) => {
  const files = {
    'src/a.test.ts': `${head}test('one', () => {});\n`,
    'test/b.test.ts': 'throw new Error();\n',
  };
  assert.match(runTree(t, files, ['--fast']).output, /\n1 passed, 0 failed, 0 skipped\n$/);
});

test('.ci/run exports CI, passes the exit status on and repeats how many third-party tests were not run', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-ci-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.mkdirSync(path.join(folder, '.ci'));
  fs.copyFileSync(path.join(root, '.ci/run'), path.join(folder, '.ci/run'));
  const npm = path.join(folder, 'npm');
  const call = (script: string): { status: number | null; stdout: string } => {
    fs.writeFileSync(npm, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return spawnSync(path.join(folder, '.ci/run'), ['x'], {
      encoding: 'utf8',
      env: { ...process.env, CI: '', PATH: `${folder}:${process.env['PATH']}` },
    });
  };
  const good = call('echo "$@ CI=$CI"; echo "third-party tests not run: 4 (why)"; echo "1 passed"');
  assert.equal(good.status, 0);
  assert.match(good.stdout, /^test -- x CI=true\n[\s\S]*1 passed\nthird-party tests not run: 4 \(why\)\n$/);
  const failed = call('exit 9');
  assert.equal(failed.status, 9);
  assert.match(failed.stdout, /third-party tests not run: unknown/);
});
