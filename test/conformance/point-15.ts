import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { requireFolderLock } from '#app/connect';
import { repairFormat } from '#services/integrity';
import { nodeIo } from '#store/durable';
import { takeLock } from '#store/lock';
import { openStore } from '../faults/store-machine.ts';
import type { Point } from './suite.ts';
import { mail } from './world.ts';

// Made to fail once, by a mistake in the code: a folder in use is opened all the same; 8 of 8 runs failed.

const octetsOf = (folder: string): Map<string, string> =>
  new Map(
    fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.endsWith('/run'))
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((name) => [name, hash('sha256', fs.readFileSync(name))]),
  );

export const point15: Point = {
  number: 15,
  title: 'Two writers: the loser changes nothing',
  cases: [
    {
      title:
        'whoever comes second to a folder in use is refused and changes nothing, and comes in when it is free',
      run: async (world) => {
        await world.deliver(mail('there'), ['ann', 'bo']);
        await world.seal();
        return async () => {
          await world.stop();
          const folder = world.toDisk();
          fs.mkdirSync(path.join(folder, 'run'), { recursive: true });
          await repairFormat(nodeIo, folder, { done: [], refused: [] });
          const held = takeLock(path.join(folder, 'lock'));
          assert.ok(held.kind === 'taken');
          const before = octetsOf(folder);
          for (let round = 0; round < 2; round++) {
            assert.equal(takeLock(path.join(folder, 'lock')).kind, 'held');
            await assert.rejects(requireFolderLock(folder), { code: 'data-folder-in-use' });
            await assert.rejects(openStore({ io: nodeIo, folder, sealerFault: () => {} }), /is in use/);
          }
          assert.deepEqual(octetsOf(folder), before);
          held.lock.release();
          (await requireFolderLock(folder)).release();
          await world.start();
        };
      },
    },
    {
      title: 'two machines with one folder of objects',
      later: 'PostgreSQL with S3 comes with a later issue: there the object of a group, made once, decides',
    },
  ],
};
