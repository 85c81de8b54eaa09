import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { lockHolder, takeLock } from '#store/lock';

test('a lock held by another process is refused with its process id, and free when that process is killed', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-lock-'));
  const file = path.join(folder, 'lock');
  const module = new URL('./lock.ts', import.meta.url).href;
  const holder = spawn(
    process.execPath,
    [
      '--expose-gc',
      '--input-type=module',
      '-e',
      `import { takeLock } from '${module}'; const { kind } = takeLock('${file}'); globalThis.gc(); console.log(kind); setInterval(() => {}, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [said] = (await once(holder.stdout, 'data')) as [Buffer];
    assert.equal(said.toString(), 'taken\n');
    assert.deepEqual(takeLock(file), { kind: 'held', pid: holder.pid });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const again = takeLock(file);
    assert.equal(again.kind, 'taken');
    assert.equal(lockHolder(file), process.pid);
    if (again.kind === 'taken') again.lock.release();
    assert.equal(lockHolder(file), null);
  } finally {
    holder.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true });
  }
});

test('a folder that cannot be written is told as such', () => {
  assert.throws(() => takeLock('/proc/no-such-folder/lock'), { code: 'lock-unusable' });
});
