import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';

const root = path.resolve(import.meta.dirname, '..');

const picture = (shown: string): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(
    process.execPath,
    [path.join(root, 'scripts/terminal-picture.ts'), '--title', 'a <title>', '--columns', '20'],
    { input: shown, encoding: 'utf8', cwd: root },
  );

test('what a terminal showed becomes the same picture each time: text in its cells, colours as classes', () => {
  const shown = '\u001b[1mA & b\u001b[0m\r\n  封泥 \u001b[32mgood\u001b[0m\r\n';
  const { status, stdout, stderr } = picture(shown);
  assert.equal(status, 0, stderr);
  assert.equal(picture(shown).stdout, stdout);
  assert.match(stdout, /<title>a &lt;title&gt;<\/title>/);
  assert.match(stdout, /<text x="16" y="[\d.]+" class="s1" textLength="42">A &amp; b<\/text>/);
  assert.match(stdout, /<text x="32\.8" y="[\d.]+" class="w">封泥<\/text>/);
  assert.match(stdout, /<text x="74\.8" y="[\d.]+" class="s32" textLength="33\.6">good<\/text>/);
});

test('what it does not know, it does not draw wrongly', () => {
  for (const shown of ['\u001b[2Jx', '\u001b[38;5;1mx', 'a\u0007b', 'x\ry']) {
    const { status, stdout } = picture(shown);
    assert.deepEqual([status, stdout], [1, ''], JSON.stringify(shown));
  }
});
