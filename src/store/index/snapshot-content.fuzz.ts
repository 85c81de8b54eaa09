import assert from 'node:assert/strict';
import { utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import { decodeSnapshot, encodeSnapshot, type SnapshotContent } from './snapshot-content.ts';

const salt = 'A'.repeat(43).concat('=');
const commitment = '0123456789abcdef'.repeat(4);
const placement = (uid: number) => ({
  uid,
  emailSeq: 9 + uid,
  flags: uid % 4,
  keywords: uid % 3 === 0 ? [0, 1] : [],
  modSeq: 20 + uid,
  dateMs: 1_767_225_600_000 + 1_000 * uid,
  savedMs: 1_767_225_600_000 + 1_500 * uid,
  uidl: uid === 2 ? 'brought-along' : `6955b90${(0).toString(16)}${uid.toString(16).padStart(8, '0')}`,
  sizeBytes: 2_048 * uid,
});
const placements = [1, 2, 3, 7].map(placement);
const tombstones = [5, 6].map((uid) => ({ uid, modSeq: 30 - uid }));
const unplaced = [3, 8].map((seq) => ({
  emailSeq: seq,
  dayCount: 4,
  timeMs: 1_767_225_600_000,
  modSeq: 7 + seq,
}));

const contents: SnapshotContent[] = [
  {
    kind: 'page',
    account: 'aab',
    mailbox: 'mab',
    uidValidity: 0x6955b900,
    page: 0,
    base: 40,
    placements,
    tombstones,
  },
  {
    kind: 'mailbox',
    account: 'aab',
    mailbox: 'mab',
    base: 40,
    name: 'INBOX',
    role: null,
    uidValidity: 0x6955b900,
    uidNext: 8,
    highestModSeq: 41,
    recentBelow: 3,
    keywords: ['$Junk', '封泥'],
    pages: [{ page: 0, seq: 12, commitment }],
    placements: placements.slice(0, 1),
    tombstones: [],
  },
  { kind: 'unplaced', account: 'aab', page: 0, base: 40, unplaced },
  {
    kind: 'account',
    account: 'aab',
    base: 40,
    modSeq: 44,
    uidValidity: 0x6955b900,
    subscriptions: ['INBOX'],
    mailboxes: [{ mailbox: 'mab', seq: 13, commitment }],
    pages: [],
    unplaced,
  },
];

export const seeds: Uint8Array[] = [
  ...contents.map((content) => encodeSnapshot(content, salt)),
  utf8('{"v":1}'),
];

/** What is read is written and read again as the same; everything else is refused as damage, in bounded time and memory. */
export const run = (data: Uint8Array): void => {
  let content: SnapshotContent;
  try {
    content = decodeSnapshot(data);
  } catch (error) {
    if (error instanceof FengniError) return;
    throw error;
  }
  assert.deepEqual(decodeSnapshot(encodeSnapshot(content, salt)), content);
};
