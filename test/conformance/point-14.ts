import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { openReadOnly, requireFolderLock } from '#app/connect';
import { requireDataFolder } from '#app/serve';
import { concat, utf8 } from '#base/bytes';
import {
  encodeCommitBody,
  encodeFrameHead,
  type FrameRecord,
  frameTypes,
  parseCommitBody,
  sha256,
} from '#store/segments';
import { CompactRange, leafHash } from '#trust/seal';
import { allFrames, framesOf, resumStorage, types } from '../support/damage/log-files.ts';
import type { Case, Point } from './suite.ts';
import { data, mail, type World } from './world.ts';

// Made to fail once, by a mistake in the code: unknown critical frames are passed over; 16 of 48 runs failed.

const padded = (pieces: readonly Uint8Array[], to: number): Uint8Array => {
  const { length } = concat(pieces);
  return concat([...pieces, new Uint8Array(Math.ceil(length / to) * to - length)]);
};

/** As a newer program writes it: a frame whose storage header is longer, and means more than we know. */
const withLongerHeader = (head: Uint8Array): Uint8Array => {
  const longer = Buffer.from(concat([head.subarray(0, 104), utf8('a newer field!!!'), head.subarray(104)]));
  longer.writeUInt16BE(120, 4);
  resumStorage(longer, 0);
  return new Uint8Array(longer);
};

/** A group with one frame of any type behind the last one, as a newer program would write it, made by the codecs alone. */
const appendNewer = (world: World, type: number, critical: boolean, longer: boolean): void => {
  const folder = world.toDisk(false);
  const last = allFrames(folder)
    .filter((frame) => frame.type === types.COMMIT)
    .at(-1);
  assert.ok(last);
  const octets = fs.readFileSync(path.join(folder, last.file));
  const before = parseCommitBody(octets.subarray(last.octetsAt, last.octetsAt + last.octetsLength));
  assert.ok(before);
  const recordAt = last.at + octets.readUInt16BE(last.at + 4);
  const prev = sha256(octets.subarray(recordAt, recordAt + 128));
  const body = utf8('from a newer program');
  const record = (change: Partial<FrameRecord>): FrameRecord => ({
    type,
    critical,
    leafLength: 0,
    seq: last.seq + 1,
    leafIndex: null,
    key: null,
    leafHash: new Uint8Array(32),
    bodyCommitment: sha256(body),
    prev,
    ...change,
  });
  const stored = (of: Uint8Array) => ({
    encoding: 0,
    place: 0,
    headStoredLength: 0,
    storedLength: of.length,
    storedHash: sha256(of),
    fileHash: null,
  });
  const frame = encodeFrameHead(record({}), stored(body), new Uint8Array(0));
  const range = new CompactRange();
  range.append(leafHash(frame.recordHash));
  const commit = encodeCommitBody({
    ...before,
    acked: last.seq,
    count: 1,
    first: last.seq + 1,
    last: last.seq + 1,
    group: before.group + 1,
    root: range.root(),
  });
  const end = encodeFrameHead(
    record({
      type: frameTypes.COMMIT,
      critical: true,
      seq: last.seq + 2,
      bodyCommitment: sha256(commit),
      prev: frame.recordHash,
    }),
    stored(commit),
    new Uint8Array(0),
  );
  const head = longer ? withLongerHeader(frame.octets) : frame.octets;
  const group = padded([padded([head, body], 8), padded([end.octets, commit], 8)], 512);
  world.machine.tamper(`${data}/${last.file}`, (whole) => concat([whole, group]));
};

const frameCase = (type: number, critical: boolean, longer: boolean): Case => {
  const what = `a frame of ${type < 12 ? 'a known type' : 'an unknown type'}${longer ? ' with a longer header' : ''}`;
  return {
    title:
      critical && type > 11
        ? `${what} that is critical stops with a sentence and changes nothing`
        : `${what} that is not critical is passed over`,
    run: async (world) => {
      const { id } = await world.deliver(mail('before'), ['ann']);
      return async () => {
        const dump = world.dump();
        await world.stop();
        appendNewer(world, type, critical, longer);
        const before = world.machine.contents(data);
        const refusal = await world.tryStart();
        if (critical && type > 11) {
          assert.equal(refusal?.error.code, 'log-from-the-future');
          assert.match(refusal?.error.subject ?? '', new RegExp(`type ${type}`));
          const { findings } = await world.verify();
          assert.ok(
            findings.some(({ what: said }) => /does not know/.test(said)),
            findings.map(({ what: said }) => said).join('; '),
          );
          const now = world.machine.contents(`${data}/segments`);
          for (const [name, octets] of now) assert.deepEqual(octets, before.get(name));
          return;
        }
        assert.equal(refusal, null, `refused: ${refusal?.error.message}`);
        assert.deepEqual(world.dump(), dump);
        assert.ok(world.index.messageById(id));
        await world.deliver(mail('behind it'), ['ann']);
        await world.rebuild();
        assert.equal(world.index.countPlacements(world.mailbox('ann').id), 2);
        await world.stop();
        await world.verifies();
        await world.start();
      };
    },
  };
};

/** A class of the type that this program knows as SNAP is none: an unknown one is far from all of ours. */
const unknownType = 99;

export const point14: Point = {
  number: 14,
  title: 'Unknown frames with and without the critical bit; a newer FORMAT',
  cases: [
    frameCase(unknownType, true, false),
    frameCase(unknownType, false, false),
    frameCase(unknownType, false, true),
    frameCase(unknownType, true, true),
    {
      title: 'a folder whose FORMAT only a newer program may write is left as it is',
      run: async (world) => {
        await world.deliver(mail('there'), ['ann']);
        return async () => {
          const folder = world.toDisk();
          const file = path.join(folder, 'FORMAT');
          const say = (version: number, writer: number): void =>
            fs.writeFileSync(file, `fengni data\nversion ${version}\nshard 0\noldest-writer ${writer}\n`);
          const all = (): Map<string, string> =>
            new Map(
              fs
                .readdirSync(folder, { recursive: true, withFileTypes: true })
                .filter((entry) => entry.isFile())
                .map((entry) => path.join(entry.parentPath, entry.name))
                .map((name) => [name, fs.readFileSync(name, 'latin1')]),
            );
          say(2, 2);
          const before = all();
          assert.throws(() => requireDataFolder(folder), { code: 'data-folder-newer' });
          // Whoever would read or write here asks first.
          await assert.rejects(openReadOnly(folder), { code: 'data-folder-newer' });
          await assert.rejects(requireFolderLock(folder), { code: 'data-folder-newer' });
          assert.deepEqual(all(), before);
          // A newer version that older programs may write is one that they can read.
          say(2, 1);
          requireDataFolder(folder);
          fs.writeFileSync(file, 'something else\n');
          assert.throws(() => requireDataFolder(folder), { code: 'format-file-damaged' });
        };
      },
    },
    {
      title: 'a segment of a newer format stops with a sentence and is never overwritten',
      run: async (world) => {
        await world.deliver(mail('there'), ['ann']);
        return async () => {
          await world.stop();
          const segment = world.segments().at(-1) ?? '';
          world.machine.tamper(segment, (octets) => {
            const changed = Buffer.from(octets);
            changed.writeUInt16BE(2, 10);
            sha256(changed.subarray(0, 480)).forEach((octet, at) => {
              changed[480 + at] = octet;
            });
            return new Uint8Array(changed);
          });
          const before = world.machine.contents(`${data}/segments`);
          const refusal = await world.tryStart();
          assert.ok(refusal !== null);
          assert.deepEqual(world.machine.contents(`${data}/segments`), before);
          assert.ok(framesOf(world.toDisk(false), segment.slice(data.length + 1)).length > 0);
        };
      },
    },
  ],
};
