import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import { copyOf, frameTypes, places } from '#store/segments';
import { type ChainState, readGroup } from './chain.ts';
import { type CheckedFrame, findFrame } from './checked-frame.ts';
import { type SegmentFile, takeInventory } from './inventory.ts';
import type { Frame } from './segment-reader.ts';
import { Window } from './window.ts';

/**
 * The frames from `fromSeq` to `toSeq` in order, group by group, each group wholly checked before its first frame.
 *
 * What is lost in an older generation was accepted as lost and is left out; in the newest one it is an error. A SNAP frame whose body is
 * damaged is left out too: other frames say what it said.
 *
 * @throws {FengniError} `log-damaged`
 */
export async function* scanFrames(
  io: Io,
  folder: string,
  shard: number,
  fromSeq: number,
  toSeq: number,
): AsyncGenerator<Frame, void, void> {
  const { segments } = await takeInventory(io, folder, shard);
  const newest = segments.findLast((file) => file.header !== null)?.header?.generation ?? 1;
  for (const [at, file] of segments.entries()) {
    const next = segments[at + 1];
    if (next !== undefined && next.firstSeq <= fromSeq) continue;
    if (file.firstSeq > toSeq) return;
    const end = next?.header?.prevEnd?.offset ?? file.sizeBytes;
    yield* scanFile(io, file, end, fromSeq, toSeq, (file.header?.generation ?? 0) < newest);
  }
}

const derived: ReadonlySet<number> = new Set([frameTypes.SNAP]);

async function* scanFile(
  io: Io,
  file: SegmentFile,
  end: number,
  fromSeq: number,
  toSeq: number,
  lossAccepted: boolean,
): AsyncGenerator<Frame, void, void> {
  const opened = await io.open(file.path, 'read');
  let window: Window | null = null;
  try {
    window = fromSeq <= file.firstSeq ? new Window(opened, 'ahead') : new Window(opened);
    let state: ChainState | null = null;
    for (let offset = file.groupsAt; offset < end; ) {
      // Behind the last durable group may lie one that is being written, or one that never was.
      if (state !== null && state.lastSeq >= toSeq) return;
      const read = await readGroup(window, offset, end, state, derived);
      if (read.kind === 'bad') {
        if (!lossAccepted) throw damaged(file, read.at, `frame ${read.seq ?? ''}: ${read.field}`);
        const next = await findGroup(window, offset + 8, end);
        if (next === null) return;
        offset = next;
        state = null;
        continue;
      }
      const { group } = read;
      for (const frame of [...group.frames, group.commitFrame]) {
        const { seq } = frame.head.record;
        if (seq > toSeq) return;
        if (group.passedOver.length > 0 && group.passedOver.includes(frame.offset)) continue;
        if (seq >= fromSeq) yield await frameOf(window, file, frame);
      }
      state = group.next;
      offset = group.end;
    }
  } finally {
    await window?.end();
    await opened.close();
  }
}

/** The next place from `from` on where a whole good group begins. */
export const findGroup = async (window: Window, from: number, end: number): Promise<number | null> => {
  for (let at = await findFrame(window, from, end); at !== null; at = await findFrame(window, at + 8, end)) {
    // Groups begin at multiples of 512; a frame inside one that does so by chance makes no whole group.
    if (at % 512 === 0 && (await readGroup(window, at, end, null)).kind === 'group') return at;
  }
  return null;
};

/** what the walk has at hand of a message is not read once more */
const octetsAtHandMax = 65_536;

const frameOf = async (window: Window, file: SegmentFile, frame: CheckedFrame): Promise<Frame> => {
  const { head, offset } = frame;
  const { headAt, octetsAt, endAt, storage, record } = head;
  const wanted = storage.place === places.here && record.key !== null && endAt - headAt <= octetsAtHandMax;
  const length = wanted ? endAt - headAt : storage.headStoredLength;
  const view = window.held(offset + headAt, length) ?? (await window.view(offset + headAt, length));
  const storedHead = copyOf(view, 0, storage.headStoredLength);
  return {
    address: { segment: file.firstSeq, offset, lengthBytes: head.lengthBytes },
    head,
    leaf: frame.leaf,
    storedHead,
    clearBody: head.record.key === null ? frame.clearBody : null,
    storedOctets: wanted && endAt > octetsAt ? copyOf(view, octetsAt - headAt, endAt - headAt) : null,
  };
};

const damaged = (file: SegmentFile, offset: number, what: string): FengniError =>
  new FengniError('log-damaged', {
    subject: `segments/${file.name} at offset ${offset}: ${what}`,
    remedy: 'run "fengni verify --repair"',
  });
