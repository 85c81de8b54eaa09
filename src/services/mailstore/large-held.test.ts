import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { systemRandom } from '#base/clock';
import type { Spool } from '#store/large';
import { payloadLength } from '#store/segments';
import { createMessageSealer } from './sealed-message.ts';

/** A disk that takes nothing until it is told to. */
const heldSpool = () => {
  const waiting: (() => void)[] = [];
  let writtenBytes = 0;
  const spool: Spool = {
    create: async () => ({
      name: `mx-${'0'.repeat(32)}`,
      append: (pieces) =>
        new Promise((resolve) => {
          waiting.push(() => {
            for (const piece of pieces) writtenBytes += piece.length;
            resolve();
          });
        }),
      close: async () => {},
      discard: async () => {},
    }),
  };
  return {
    spool,
    get writtenBytes() {
      return writtenBytes;
    },
    get waiting() {
      return waiting.length;
    },
    release: () => waiting.shift()?.(),
  };
};

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

const sizeBytes = 50 * 2 ** 20;
/** what one session may hold, whatever the size: memory a session stays under 1 MiB */
const heldBytesMax = 400 * 1024;
/** what may be taken before the disk has taken anything: what a message has that is not large yet, and a piece */
const takenBytesMax = 256 * 1024 + 65_536;

for (const pieceBytes of [1_448, 16_384, 65_536]) {
  test(`50 MiB in pieces of ${pieceBytes}: while the disk takes nothing, nothing more is taken, and what was given is not kept`, async () => {
    const disk = heldSpool();
    const sealer = createMessageSealer(systemRandom, { spool: disk.spool });
    const hash = createHash('sha256');
    let takenBytes = 0;
    let isFirst = true;
    let heldMax = 0;
    for (let n = 0; takenBytes < sizeBytes; n++) {
      const piece = Buffer.alloc(Math.min(pieceBytes, sizeBytes - takenBytes), n & 0xff);
      hash.update(piece);
      const written = sealer.write(piece);
      takenBytes += piece.length;
      heldMax = Math.max(heldMax, sealer.heldBytes);
      if (written === undefined) continue;
      let isDone = false;
      void written.then(() => {
        isDone = true;
      });
      await turns();
      assert.equal(isDone, false, 'it waits for the disk');
      assert.equal(disk.waiting, 1, 'one write at a time');
      if (isFirst) assert.ok(takenBytes <= takenBytesMax, `${takenBytes} taken before the first write`);
      // The buffer that the network gave may be used again at once: nobody waits with it for the disk.
      if (!isFirst) piece.fill(0xff);
      isFirst = false;
      const unwrittenBytes = takenBytes - disk.writtenBytes;
      assert.ok(unwrittenBytes <= takenBytesMax, `${unwrittenBytes} taken and not with the disk`);
      disk.release();
      await written;
    }
    assert.ok(heldMax <= heldBytesMax, `${heldMax} held`);
    const completing = sealer.complete();
    let completed: Awaited<typeof completing> | null = null;
    void completing.then((outcome) => {
      completed = outcome;
    });
    while (completed === null) {
      disk.release();
      await turns();
    }
    const { sha256Hex } = await completing;
    assert.equal(sha256Hex, hash.digest('hex'));
    assert.equal(disk.writtenBytes, payloadLength(sizeBytes));
  });
}
