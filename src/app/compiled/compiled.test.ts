import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { compiledCodeFolder } from './index.ts';

const program = (t: { after(work: () => void): void }): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-compiled-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
};

test('compiled code has a folder for each process of each user, which nobody else may read or write', (t) => {
  const at = program(t);
  const folder = compiledCodeFolder('mx', at);
  assert.equal(path.basename(folder ?? ''), `${process.geteuid?.()}-mx`);
  assert.equal(fs.statSync(folder ?? '').mode & 0o777, 0o700);
  assert.notEqual(compiledCodeFolder('access', at), folder);
});

test('a folder of compiled code that others may write, or that is a link to elsewhere, is not used', (t) => {
  const at = program(t);
  const folder = compiledCodeFolder('mx', at) ?? assert.fail('there is one');
  fs.chmodSync(folder, 0o770);
  assert.equal(compiledCodeFolder('mx', at), null);
  fs.rmdirSync(folder);
  fs.mkdirSync(path.join(at, 'elsewhere'), { mode: 0o700 });
  fs.symlinkSync(path.join(at, 'elsewhere'), folder);
  assert.equal(compiledCodeFolder('mx', at), null, 'the link itself is 0777');
});

test('a folder of compiled code that another user owns is not used', (t) => {
  if (process.geteuid?.() !== 0) return t.skip('not run: needs root, to give a folder away');
  const at = program(t);
  fs.chownSync(compiledCodeFolder('mx', at) ?? '', 65_534, 65_534);
  assert.equal(compiledCodeFolder('mx', at), null);
});
