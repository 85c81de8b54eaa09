import { equalBytes, utf8 } from '#base/bytes';
import { FengniError } from '#base/errors';
import type { FileStat } from '#store/durable';
import {
  base64,
  type Checkpoint,
  CompactRange,
  encodeVerifierKey,
  parseBase64,
  parseDecimal,
  parseHash,
  parseVerifierKey,
  sha256,
  type VerifierKey,
} from '#trust/seal';

/** Where a sealer's folder was made: another inode or birth time is a copy. */
export interface FolderMark {
  readonly inode: number;
  readonly birthMs: number;
}

/** What a sealer must never forget. */
export interface SealerState {
  readonly folder: FolderMark;
  readonly generation: number;
  /** its name is the origin */
  readonly key: VerifierKey;
  /** the right edge under the last head; its size and root are that head */
  readonly range: CompactRange;
  /** the last head of the generation before */
  readonly previous: Checkpoint | null;
}

export const markOf = (stat: FileStat): FolderMark => ({
  inode: stat.inode,
  birthMs: Math.trunc(stat.birthMs),
});

export const sameFolder = (a: FolderMark, b: FolderMark): boolean =>
  a.inode === b.inode && a.birthMs === b.birthMs;

/** The octets of the file `state`; the form is in `docs/formats/ledger.md`. */
export const encodeState = (state: SealerState): Uint8Array => {
  const { folder, previous, range } = state;
  const text = [
    firstLine,
    `folder ${folder.inode} ${folder.birthMs}`,
    `generation ${state.generation}`,
    `key ${encodeVerifierKey(state.key)}`,
    `size ${range.size}`,
    `root ${base64(range.root())}`,
    `range ${base64(range.serialise())}`,
    ...(previous === null ? [] : [`previous ${previous.origin} ${previous.size} ${base64(previous.root)}`]),
    '',
  ].join('\n');
  return utf8(`${text}check ${base64(sha256(utf8(text)))}\n`);
};

/** @throws {FengniError} `sealer-state-damaged` for anything that `encodeState` would not have written */
export const parseState = (octets: Uint8Array): SealerState => {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8');
  const match = form.exec(text)?.groups;
  if (match === undefined) throw stateDamaged('not the form of a state');
  const value = (name: string): string => match[name] ?? '';
  try {
    const state: SealerState = {
      folder: { inode: numberOf(value('inode')), birthMs: numberOf(value('birth')) },
      generation: numberOf(value('generation')),
      key: parseVerifierKey(value('key')),
      range: CompactRange.parse(parseBase64(value('range')) ?? new Uint8Array(0)),
      previous:
        match['origin'] === undefined
          ? null
          : {
              origin: value('origin'),
              size: numberOf(value('previousSize')),
              root: parseHash(value('previousRoot')) ?? new Uint8Array(0),
            },
    };
    if (equalBytes(encodeState(state), octets)) return state;
  } catch (cause) {
    throw stateDamaged('a value that is none', cause);
  }
  throw stateDamaged('its check value or its spelling is wrong');
};

const firstLine = 'fengni/sealer@v1';
const form = new RegExp(
  `^${firstLine}\nfolder (?<inode>\\d+) (?<birth>\\d+)\ngeneration (?<generation>\\d+)\nkey (?<key>\\S+)\nsize \\d+\n` +
    'root \\S+\nrange (?<range>\\S+)\n(?:previous (?<origin>\\S+) (?<previousSize>\\d+) (?<previousRoot>\\S+)\n)?' +
    'check \\S+\n$',
);

const numberOf = (text: string): number => {
  const value = parseDecimal(text);
  if (value === null) throw stateDamaged(`${text} is no number`);
  return value;
};

const stateDamaged = (subject: string, cause?: unknown): FengniError =>
  new FengniError('sealer-state-damaged', {
    subject: `the sealer's file "state": ${subject}`,
    remedy: 'the sealer cannot know what it signed: begin a new generation with "fengni log new-generation"',
    cause,
  });
