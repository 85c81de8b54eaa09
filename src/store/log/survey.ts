import { FengniError } from '#base/errors';
import type { Io } from '#store/durable';
import {
  alignUp,
  frameAlignBytes,
  frameLimits,
  frameTypes,
  groupAlignBytes,
  type KeyRef,
  ownFileHeaderBytes,
  places,
  recordBytes,
  storageHeaderBytes,
} from '#store/segments';
import { type SegmentFile, takeInventory } from './inventory.ts';
import type { FrameAddress } from './segment-reader.ts';
import { Window } from './window.ts';

/** What a look at the heads of frames finds; nothing of it was checked. */
export interface Survey {
  /** SNAP frames, ascending */
  snapshots: { seq: number; key: KeyRef; address: FrameAddress }[];
  /** STATE frames by key, `epoch/slot` */
  states: Map<string, number>;
}

export const keyName = ({ epoch, slot }: KeyRef): string => `${epoch}/${slot}`;

/**
 * Walks over the heads of the frames from `fromSeq` to `toSeq` and checks none of them: a hint where snapshots lie, for a reader that
 * checks every octet afterwards. Where a file does not go on as it must, the rest of it is left out.
 */
export const surveyFrames = async (
  io: Io,
  folder: string,
  shard: number,
  fromSeq: number,
  toSeq: number,
): Promise<Survey> => {
  const survey: Survey = { snapshots: [], states: new Map() };
  const { segments } = await takeInventory(io, folder, shard);
  for (const [at, file] of segments.entries()) {
    const next = segments[at + 1];
    if (next !== undefined && next.firstSeq <= fromSeq) continue;
    if (file.firstSeq > toSeq) break;
    const end = Math.min(file.sizeBytes, next?.header?.prevEnd?.offset ?? file.sizeBytes);
    try {
      await surveyFile(io, file, end, fromSeq, toSeq, survey);
    } catch (error) {
      // What cannot be read is told by whoever has to read it.
      if (!(error instanceof FengniError)) throw error;
    }
  }
  return survey;
};

const magic = 0x46524d31;
const noKey = 0xffffffff;
/** storage header, and of the record what is looked at */
const usualBytes = ownFileHeaderBytes + 32;

const surveyFile = async (
  io: Io,
  file: SegmentFile,
  end: number,
  fromSeq: number,
  toSeq: number,
  survey: Survey,
): Promise<void> => {
  const opened = await io.open(file.path, 'read');
  try {
    const window = new Window(opened);
    for (let offset = file.groupsAt; offset + storageHeaderBytes + recordBytes <= end; ) {
      let octets = window.held(offset, usualBytes) ?? (await window.view(offset, usualBytes));
      if (octets.length < usualBytes) return;
      let view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
      if (view.getUint32(0) !== magic) return;
      const recordAt = view.getUint16(4);
      if (recordAt < storageHeaderBytes || recordAt > frameLimits.headerBytesMax) return;
      if (recordAt > ownFileHeaderBytes) {
        octets = await window.view(offset, recordAt + 32);
        if (octets.length < recordAt + 32) return;
        view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
      }
      const here = octets[8] === places.ownFile ? 0 : view.getUint32(16) * 2 ** 32 + view.getUint32(20);
      const recordLength = view.getUint16(recordAt);
      const leafLength = view.getUint32(recordAt + 4);
      const headLength = view.getUint32(12);
      if (leafLength > frameLimits.leafBytesMax || headLength > frameLimits.headStoredBytesMax) return;
      if (recordLength < recordBytes || here > frameLimits.storedBytesMax) return;
      const lengthBytes = alignUp(recordAt + recordLength + leafLength + headLength + here, frameAlignBytes);
      const type = octets[recordAt + 2];
      if (type === frameTypes.STATE || type === frameTypes.SNAP) {
        const seq = view.getUint32(recordAt + 8) * 2 ** 32 + view.getUint32(recordAt + 12);
        const key = { epoch: view.getUint32(recordAt + 24), slot: view.getUint32(recordAt + 28) };
        if (seq >= fromSeq && seq <= toSeq && key.epoch !== noKey) {
          if (type === frameTypes.SNAP)
            survey.snapshots.push({ seq, key, address: { segment: file.firstSeq, offset, lengthBytes } });
          else {
            const name = keyName(key);
            survey.states.set(name, (survey.states.get(name) ?? 0) + 1);
          }
        }
      }
      offset += lengthBytes;
      if (type === frameTypes.COMMIT) offset = alignUp(offset, groupAlignBytes);
    }
  } finally {
    await opened.close();
  }
};
