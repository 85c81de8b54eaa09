import { hex } from '#base/bytes';
import { FengniError } from '#base/errors';
import {
  decodeSnapshot,
  type KeyRef,
  type MailIndex,
  type RestoreEvent,
  type SnapshotAccount,
  type SnapshotContent,
  type SnapshotFrame,
  type SnapshotMailbox,
  type SnapshotRef,
} from '#store/index';
import {
  type FrameAddress,
  type KeyReader,
  keyName,
  type Log,
  openHead,
  type SegmentReader,
} from '#store/log';

/** One account's newest whole snapshot, to be used instead of the STATE frames up to it. */
export interface PlannedSnapshot {
  account: string;
  /** of its root */
  seq: number;
  /** what it says, in steps; frames are read again one by one, so that a large mailbox is never in memory whole */
  steps(): AsyncGenerator<RestoreEvent, void, void>;
}

export interface SnapshotPlan {
  /** by key, `keyName` */
  byKey: ReadonlyMap<string, PlannedSnapshot>;
  byAccount: ReadonlyMap<string, PlannedSnapshot>;
}

export const noPlan: SnapshotPlan = { byKey: new Map(), byAccount: new Map() };

/**
 * Looks for the newest whole snapshot of each account behind `from`: every frame that it is made of is there, opens, and is the one that
 * is named. An account without one is replayed from its STATE frames.
 *
 * A projection that has the account already takes a snapshot only where that is less work than the STATE frames themselves.
 */
export const planSnapshots = async (
  log: Log,
  from: number,
  index: MailIndex,
  readers: { segments: SegmentReader; keys: KeyReader },
): Promise<SnapshotPlan> => {
  const survey = await log.survey(from);
  const addresses = new Map(survey.snapshots.map(({ seq, address }) => [seq, address]));
  const byKey = new Map<string, PlannedSnapshot>();
  const byAccount = new Map<string, PlannedSnapshot>();
  for (const [name, frames] of Map.groupBy(survey.snapshots, ({ key }) => keyName(key))) {
    const { key } = frames[0] as (typeof frames)[0];
    const found = await readers.keys.fileKey(key);
    if (found.kind !== 'clear') continue;
    for (const { seq, address } of frames.toReversed()) {
      const opened = await openSnapshot(readers.segments, address, seq, found.fileKey);
      if (opened?.content.kind !== 'account') continue;
      const root = opened.content;
      const known = new Map(index.snapshotFrames(root.account).map((frame) => [frame.seq, frame.at]));
      const read: ReadFrame = async (ref) => {
        const at = addresses.get(ref.seq) ?? known.get(ref.seq);
        const frame =
          at === undefined ? null : await openSnapshot(readers.segments, at, ref.seq, found.fileKey);
        if (at === undefined || frame === null || frame.commitment !== ref.commitment) return null;
        return frame.content.account === root.account ? { content: frame.content, at } : null;
      };
      const whole = await checkWhole(root, read);
      if (whole === null) continue;
      const isNew = index.accountKey(root.account) === null;
      if (!isNew && (survey.states.get(name) ?? 0) * rowsPerState < whole.rows) break;
      const { account, base } = root;
      const own = { account, mailbox: '', page: -1, seq, base, commitment: opened.commitment, at: address };
      const planned: PlannedSnapshot = {
        account,
        seq,
        steps: () => steps(root, key, [own, ...whole.frames], whole.mailboxes, read),
      };
      byKey.set(name, planned);
      byAccount.set(account, planned);
      break;
    }
  }
  return { byKey, byAccount };
};

/** a STATE frame costs at least as much as this many rows of a page */
const rowsPerState = 2;

/** null: not there, not to be opened, or not the one that was named */
type ReadFrame = (ref: SnapshotRef) => Promise<{ content: SnapshotContent; at: FrameAddress } | null>;

/** A SNAP frame; null where it cannot be read: then it is passed over, since others say what it said. */
export const openSnapshot = async (
  segments: SegmentReader,
  address: FrameAddress,
  seq: number,
  fileKey: Uint8Array,
): Promise<{ content: SnapshotContent; commitment: string } | null> => {
  try {
    const frame = await segments.readFrame(address, seq);
    const content = decodeSnapshot(openHead(frame, fileKey));
    return { content, commitment: hex(frame.head.record.bodyCommitment) };
  } catch (error) {
    if (error instanceof FengniError && damageCodes.has(error.code)) return null;
    throw error;
  }
};

const damageCodes: ReadonlySet<string> = new Set([
  'frame-damaged',
  'payload-damaged',
  'frame-content-damaged',
  'json-not-canonical',
  'file-not-found',
]);

/** The roots of the mailboxes and where every frame lies, when the snapshot is whole; null otherwise. */
const checkWhole = async (
  root: SnapshotAccount,
  read: ReadFrame,
): Promise<{ mailboxes: SnapshotMailbox[]; frames: SnapshotFrame[]; rows: number } | null> => {
  const { account } = root;
  const mailboxes: SnapshotMailbox[] = [];
  const frames: SnapshotFrame[] = [];
  let rows = 0;
  for (const ref of root.mailboxes) {
    const found = await read(ref);
    if (found?.content.kind !== 'mailbox' || found.content.mailbox !== ref.mailbox) return null;
    const { mailbox, base } = found.content;
    mailboxes.push(found.content);
    frames.push({ account, mailbox, page: -1, seq: ref.seq, base, commitment: ref.commitment, at: found.at });
    for (const pageRef of found.content.pages) {
      const page = await read(pageRef);
      if (page?.content.kind !== 'page' || page.content.mailbox !== mailbox) return null;
      if (page.content.page !== pageRef.page) return null;
      rows += page.content.placements.length + page.content.tombstones.length;
      frames.push({ account, mailbox, base: page.content.base, at: page.at, ...pageRef });
    }
  }
  for (const pageRef of root.pages) {
    const page = await read(pageRef);
    if (page?.content.kind !== 'unplaced' || page.content.page !== pageRef.page) return null;
    rows += page.content.unplaced.length;
    frames.push({ account, mailbox: '', base: page.content.base, at: page.at, ...pageRef });
  }
  return { mailboxes, frames, rows };
};

async function* steps(
  root: SnapshotAccount,
  key: KeyRef,
  frames: readonly SnapshotFrame[],
  mailboxes: readonly SnapshotMailbox[],
  read: ReadFrame,
): AsyncGenerator<RestoreEvent, void, void> {
  const { account } = root;
  const seq = (frames[0] as SnapshotFrame).seq;
  const event = (step: RestoreEvent['step']): RestoreEvent => ({ type: 'restore', seq, account, step });
  yield event({ kind: 'account', key, root, frames });
  for (const { mailbox, placements, tombstones, ...whole } of mailboxes) {
    yield event({ kind: 'mailbox', root: { mailbox, placements, tombstones, ...whole } });
    // What changed since the pages were made stands beside them and replaces what they say.
    const newer = new Map<number, number>();
    for (const { uid, modSeq } of [...placements, ...tombstones])
      newer.set(uid, Math.max(modSeq, newer.get(uid) ?? 0));
    const isNewest = ({ uid, modSeq }: { uid: number; modSeq: number }): boolean =>
      modSeq >= (newer.get(uid) ?? 0);
    for (const ref of whole.pages) {
      const page = (await read(ref))?.content;
      if (page?.kind !== 'page') throw gone(ref);
      yield event({
        kind: 'rows',
        mailbox,
        placements: page.placements.filter(isNewest),
        tombstones: page.tombstones.filter(isNewest),
      });
    }
    yield event({ kind: 'rows', mailbox, placements, tombstones });
  }
  for (const ref of root.pages) {
    const page = (await read(ref))?.content;
    if (page?.kind !== 'unplaced') throw gone(ref);
    yield event({ kind: 'unplaced', rows: page.unplaced });
  }
  yield event({ kind: 'unplaced', rows: root.unplaced });
}

/** It was there when the plan was made. */
const gone = ({ seq }: SnapshotRef): FengniError =>
  new FengniError('frame-damaged', {
    subject: `frame ${seq}, of a snapshot, changed while it was read`,
    remedy: 'run "fengni verify --repair"',
    exitStatus: 1,
  });
