import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { openAccessGate } from '#services/access';
import { openBodyReaders } from '#store/bodies';
import { largeFileName } from '#store/segments';
import { allFrames, types } from '../support/damage/log-files.ts';
import type { Case, Point } from './suite.ts';
import { data, type Sent, type World } from './world.ts';

// Made to fail once, by a mistake in the code: a range that ends behind the first chunk lacks its last octet; 32 of 32 runs failed.

const chunk = 65_536;
/** stored octets of one chunk: with its tag */
const storedChunk = chunk + 16;
const nonceBytes = 16;

/** Octets that are another in every place. */
const numbered = (bytes: number): Uint8Array => {
  const head = 'Subject: ranges\r\n\r\n';
  let text = head;
  for (let at = 0; text.length < bytes; at++)
    text += `${String(at).padStart(8, '0')} of the numbered lines\r\n`;
  return utf8(text.slice(0, bytes));
};

const sizes = [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 777];

/** Around every border of a chunk and of the message: one octet and some, inside one chunk and over several. */
const rangesOf = (size: number): [number, number][] => {
  const borders = [...new Set([0, chunk, 2 * chunk, 3 * chunk, size])].filter((at) => at <= size);
  const ends = [...new Set(borders.flatMap((at) => [at - 1, at, at + 1]))].filter(
    (at) => at >= 0 && at <= size,
  );
  return ends.flatMap((start) =>
    ends.filter((end) => end >= start).map((end): [number, number] => [start, end]),
  );
};

const rangeCase = (where: string, largeAboveBytes: number): Case => ({
  title: `ranges at and around the borders of chunks are exactly these octets (${where})`,
  options: { largeAboveBytes },
  run: async (world) => {
    const sent: Sent[] = [];
    for (const size of sizes) sent.push(await world.deliver(numbered(size), ['ann']));
    return async () => {
      const bodies = openBodyReaders({ io: world.machine, folder: data, shard: 0 });
      const gate = openAccessGate({ io: world.machine, folder: data, shard: 0, damaged: () => {} });
      for (const { id, octets, prefixes } of sent) {
        const body = await bodies.message(world.message(id));
        assert.equal(body.sizeBytes, octets.length);
        for (const [start, end] of rangesOf(octets.length)) {
          const got = Buffer.concat(await Array.fromAsync(body.read(start, end), (piece) => piece.slice()));
          assert.ok(got.equals(octets.subarray(start, end)), `${start} to ${end} of ${octets.length}`);
        }
        // As a reader asks for it: prefix and original as one.
        const [email] = world.index.emailsOfMessage(world.message(id).seq);
        assert.ok(email);
        const opened = await gate.openAsOwner(world.account('ann'), email);
        assert.ok(opened.kind === 'found');
        const whole = Buffer.concat([prefixes[0] ?? new Uint8Array(0), octets]);
        const at = prefixes[0]?.length ?? 0;
        const ends = [0, 1, at - 1, at, at + 1, at + chunk - 1, at + chunk + 1, whole.length];
        for (const start of ends)
          for (const end of ends) {
            if (start > end || end > whole.length) continue;
            const got = Buffer.concat(
              await Array.fromAsync(opened.read(start, end), (piece) => piece.slice()),
            );
            assert.ok(got.equals(whole.subarray(start, end)), `${start} to ${end} behind the prefix`);
          }
      }
      await bodies.close();
      await gate.close();
    };
  },
});

/** Where the stored octets of a message lie: the file and the place in it. */
const storedAt = (world: World, id: string, isLarge: boolean): { file: string; at: number } => {
  if (isLarge) return { file: `${data}/large/${largeFileName(id)}`, at: 0 };
  const { seq } = world.message(id);
  const frame = allFrames(world.toDisk(false)).find((each) => each.seq === seq && each.type === types.MSG);
  assert.ok(frame);
  return { file: `${data}/${frame.file}`, at: frame.octetsAt };
};

const flipCase = (where: string, largeAboveBytes: number): Case => ({
  title: `a flipped bit before, in and behind a range: an octet that it touches is never given out (${where})`,
  options: { largeAboveBytes },
  run: async (world) => {
    const sent = await world.deliver(numbered(3 * chunk + 777), ['ann']);
    return async () => {
      const isLarge = largeAboveBytes < 3 * chunk;
      const { file, at } = storedAt(world, sent.id, isLarge);
      // The range lies in the second chunk; of a large body every chunk stands for itself.
      const range: [number, number] = [chunk + 100, chunk + 500];
      const flips = [
        { what: 'before, in the same chunk', place: nonceBytes + storedChunk + 50, chunk: 1 },
        { what: 'in the range', place: nonceBytes + storedChunk + 300, chunk: 1 },
        { what: 'behind it, in the same chunk', place: nonceBytes + storedChunk + 5_000, chunk: 1 },
        { what: 'the tag of its chunk', place: nonceBytes + 2 * storedChunk - 3, chunk: 1 },
        { what: 'the chunk before', place: nonceBytes + 300, chunk: 0 },
        { what: 'the chunk behind', place: nonceBytes + 2 * storedChunk + 300, chunk: 2 },
        { what: 'the nonce', place: 3, chunk: -1 },
      ];
      for (const flip of flips) {
        const turn = (): void =>
          world.machine.tamper(file, (octets) => {
            octets[at + flip.place] = (octets[at + flip.place] ?? 0) ^ 1;
            return octets;
          });
        turn();
        try {
          const own = await readOrError(world, sent.id, range);
          if (flip.chunk === 1 || flip.chunk === -1) assert.ok(own instanceof FengniError, flip.what);
          // Elsewhere: the octets asked for are right, or nothing comes.
          else if (!(own instanceof FengniError)) {
            assert.ok(Buffer.from(own).equals(sent.octets.subarray(...range)), flip.what);
          }
          const whole = await readOrError(world, sent.id, [0, sent.octets.length]);
          assert.ok(whole instanceof FengniError, `all of it, ${flip.what}`);
          assert.match(whole.code, /damaged/);
        } finally {
          turn();
        }
      }
      assert.ok(Buffer.from(await world.read(sent.id)).equals(sent.octets));
    };
  },
});

/** Everything that was given out before an error must have been right. */
const readOrError = async (
  world: World,
  id: string,
  [start, end]: [number, number],
): Promise<Uint8Array | FengniError> => {
  const bodies = openBodyReaders({ io: world.machine, folder: data, shard: 0 });
  const sent = numbered(3 * chunk + 777);
  let at = start;
  const pieces: Uint8Array[] = [];
  try {
    const body = await bodies.message(world.message(id));
    for await (const piece of body.read(start, end)) {
      assert.ok(Buffer.from(piece).equals(sent.subarray(at, at + piece.length)), 'given out and wrong');
      at += piece.length;
      pieces.push(piece.slice());
    }
    return Buffer.concat(pieces);
  } catch (error) {
    if (error instanceof FengniError) return error;
    throw error;
  } finally {
    await bodies.close();
  }
};

const inFrame = 16 * 1024 * 1024;

export const point7: Point = {
  number: 7,
  title: 'Ranges at and around the borders of chunks; a flipped bit before, in and after the range',
  cases: [
    rangeCase('in the frame', inFrame),
    rangeCase('in a file of its own', 40_000),
    flipCase('in the frame', inFrame),
    flipCase('in a file of its own', 40_000),
  ],
};
