import assert from 'node:assert/strict';
import { equalBytes, utf8 } from '#base/bytes';
import { originBytesMax } from './checkpoint.ts';
import { emptyRoot, hashBytes } from './hash.ts';
import { encodeVerifierKey, isKeyName, parseVerifierKey } from './note.ts';
import { base64, isoTime, malformed, parseDecimal, parseHash, parseIsoTime, parseUtf8 } from './text.ts';

/** A message came in over SMTP or LMTP, was handed in by an account, or was put into a mailbox. */
export type MessageLeafKind = 'received' | 'submitted' | 'added';

/** Administrative events: one commitment to the canonical JSON in their frame's body. */
export const eventLeafKinds = [
  'attempt',
  'outcome',
  'erased',
  'hold',
  'release',
  'admin-login',
  'content-access',
  'config',
  'backup',
  'scrub',
  'repair',
  'restore',
  'pad',
] as const;
export type EventLeafKind = (typeof eventLeafKinds)[number];

interface Numbered {
  /** the frame's number, below 2^53 */
  readonly seq: number;
  /** milliseconds since 1970 */
  readonly timeMs: number;
}

/** Hashes are 32 octets everywhere. */
export interface MessageLeaf extends Numbered {
  readonly kind: MessageLeafKind;
  readonly msg: Uint8Array;
  readonly pre: Uint8Array;
  readonly env: Uint8Array;
  /** the root of the recipients tree; of no leaves in `added`, and only there */
  readonly rcp: Uint8Array;
  readonly ses: Uint8Array;
  readonly aut: Uint8Array;
}

export interface EventLeaf extends Numbered {
  readonly kind: EventLeafKind;
  readonly evt: Uint8Array;
}

/** The first leaf of a generation; `previous` is the last head known of the one before. */
export interface GenesisLeaf extends Numbered {
  readonly kind: 'genesis';
  readonly previous: { readonly origin: string; readonly size: number; readonly root: Uint8Array } | null;
}

/** The last leaf of a generation: the verifier key of the next. */
export interface HandoverLeaf extends Numbered {
  readonly kind: 'handover';
  readonly key: string;
}

/** RFC 6962 root over the record hashes of the frames `first` to `last`, both inclusive. */
export interface FramesLeaf extends Numbered {
  readonly kind: 'frames';
  readonly first: number;
  readonly last: number;
  readonly root: Uint8Array;
}

/** A closed segment: the seq of its first frame, its revision, SHA-256 of the file. */
export interface SegmentLeaf extends Numbered {
  readonly kind: 'segment';
  readonly number: number;
  readonly revision: number;
  readonly sha256: Uint8Array;
}

/** Numbers left out after a lossy restore: seq jumped from `before` to `after`, UIDs and MODSEQs by these amounts. */
export interface GapLeaf extends Numbered {
  readonly kind: 'gap';
  readonly before: number;
  readonly after: number;
  readonly uids: number;
  readonly modSeqs: number;
}

/** The clock fell: the highest leaf time before. */
export interface ClockLeaf extends Numbered {
  readonly kind: 'clock';
  readonly beforeMs: number;
}

/** A day passed: how many `day` leaves there are with this one, all generations together. */
export interface DayLeaf extends Numbered {
  readonly kind: 'day';
  readonly count: number;
}

export type Leaf =
  | MessageLeaf
  | EventLeaf
  | GenesisLeaf
  | HandoverLeaf
  | FramesLeaf
  | SegmentLeaf
  | GapLeaf
  | ClockLeaf
  | DayLeaf;
export type LeafKind = Leaf['kind'];

/** octets of a leaf */
export const leafBytesMax = 400;

/** Whether a leaf speaks of a message. */
export const isMessageLeaf = (leaf: Leaf): leaf is MessageLeaf =>
  leaf.kind === 'received' || leaf.kind === 'submitted' || leaf.kind === 'added';

/** The octets of a leaf, which are the ledger's entry; the grammar is in `docs/formats/leaf.md`. */
export const encodeLeaf = (leaf: Leaf): Uint8Array => {
  let text = `${firstLine}\nkind ${leaf.kind}\nseq ${decimal(leaf.seq)}\ntime ${isoTime(leaf.timeMs)}\n`;
  for (const [name, value] of fieldsOf(leaf)) text += `${name} ${value}\n`;
  const octets = utf8(text);
  assert(octets.length <= leafBytesMax, 'a leaf has at most 400 octets');
  return octets;
};

/**
 * Reads a leaf; anything that `encodeLeaf` would have written differently is refused.
 *
 * @throws {FengniError} `leaf-malformed`
 */
export const parseLeaf = (octets: Uint8Array): Leaf => {
  if (octets.length > leafBytesMax) throw malformed('leaf', `more than ${leafBytesMax} octets`);
  const text = parseUtf8(octets);
  if (text === null || !text.endsWith('\n')) throw malformed('leaf', 'not lines of UTF-8');
  const lines = new Lines(text.slice(0, -1).split('\n'));
  if (lines.whole() !== firstLine) throw malformed('leaf', `the first line is not ${firstLine}`);
  const kind = lines.word('kind');
  const common: Numbered = { seq: lines.number('seq'), timeMs: lines.time('time') };
  const leaf = readFields(kind, common, lines);
  lines.end();
  return leaf;
};

const firstLine = 'fengni/leaf@v1';
const events: ReadonlySet<string> = new Set(eventLeafKinds);

const fieldsOf = (leaf: Leaf): [name: string, value: string][] => {
  switch (leaf.kind) {
    case 'received':
    case 'submitted':
    case 'added':
      assert.equal(equalBytes(leaf.rcp, emptyRoot), leaf.kind === 'added', 'added alone has no recipients');
      return [
        ['msg', hash(leaf.msg)],
        ['pre', hash(leaf.pre)],
        ['env', hash(leaf.env)],
        ['rcp', hash(leaf.rcp)],
        ['ses', hash(leaf.ses)],
        ['aut', hash(leaf.aut)],
      ];
    case 'genesis':
      if (leaf.previous === null) return [];
      assert(isOrigin(leaf.previous.origin), 'an origin fits into a leaf');
      return [
        ['previous', leaf.previous.origin],
        ['size', decimal(leaf.previous.size)],
        ['root', hash(leaf.previous.root)],
      ];
    case 'handover': {
      const key = parseVerifierKey(leaf.key);
      assert(isOrigin(key.name) && encodeVerifierKey(key) === leaf.key, 'the next key, named by its origin');
      return [['key', leaf.key]];
    }
    case 'frames':
      assert(leaf.first <= leaf.last, 'frames in order');
      return [
        ['first', decimal(leaf.first)],
        ['last', decimal(leaf.last)],
        ['root', hash(leaf.root)],
      ];
    case 'segment':
      return [
        ['number', decimal(leaf.number)],
        ['revision', decimal(leaf.revision)],
        ['sha256', hash(leaf.sha256)],
      ];
    case 'gap':
      assert(leaf.before < leaf.after, 'a gap goes forward');
      return [
        ['before', decimal(leaf.before)],
        ['after', decimal(leaf.after)],
        ['uids', decimal(leaf.uids)],
        ['modseqs', decimal(leaf.modSeqs)],
      ];
    case 'clock':
      return [['before', isoTime(leaf.beforeMs)]];
    case 'day':
      return [['count', decimal(leaf.count)]];
    default:
      return [['evt', hash(leaf.evt)]];
  }
};

const readFields = (kind: string, common: Numbered, lines: Lines): Leaf => {
  switch (kind) {
    case 'received':
    case 'submitted':
    case 'added': {
      const leaf: MessageLeaf = {
        kind,
        ...common,
        msg: lines.hash('msg'),
        pre: lines.hash('pre'),
        env: lines.hash('env'),
        rcp: lines.hash('rcp'),
        ses: lines.hash('ses'),
        aut: lines.hash('aut'),
      };
      if (equalBytes(leaf.rcp, emptyRoot) !== (kind === 'added'))
        throw malformed('leaf', 'recipients where there are none, or none where there are');
      return leaf;
    }
    case 'genesis': {
      if (lines.done()) return { kind, ...common, previous: null };
      const previous = {
        origin: lines.word('previous'),
        size: lines.number('size'),
        root: lines.hash('root'),
      };
      if (!isOrigin(previous.origin)) throw malformed('leaf', 'an impossible origin');
      return { kind, ...common, previous };
    }
    case 'handover':
      return { kind, ...common, key: lines.key('key') };
    case 'frames': {
      const leaf: FramesLeaf = {
        kind,
        ...common,
        first: lines.number('first'),
        last: lines.number('last'),
        root: lines.hash('root'),
      };
      if (leaf.first > leaf.last) throw malformed('leaf', 'frames backwards');
      return leaf;
    }
    case 'segment':
      return {
        kind,
        ...common,
        number: lines.number('number'),
        revision: lines.number('revision'),
        sha256: lines.hash('sha256'),
      };
    case 'gap': {
      const leaf: GapLeaf = {
        kind,
        ...common,
        before: lines.number('before'),
        after: lines.number('after'),
        uids: lines.number('uids'),
        modSeqs: lines.number('modseqs'),
      };
      if (leaf.before >= leaf.after) throw malformed('leaf', 'a gap backwards');
      return leaf;
    }
    case 'clock':
      return { kind, ...common, beforeMs: lines.time('before') };
    case 'day':
      return { kind, ...common, count: lines.number('count') };
    default:
      if (!events.has(kind)) throw malformed('leaf', 'an unknown kind');
      return { kind: kind as EventLeafKind, ...common, evt: lines.hash('evt') };
  }
};

/** Takes `name value` lines in order. */
class Lines {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  whole(): string {
    return this.#lines[this.#at++] ?? '';
  }

  word(name: string): string {
    const line = this.whole();
    const value = line.startsWith(`${name} `) ? line.slice(name.length + 1) : '';
    if (!/^[^\s\p{Cc}]+$/u.test(value)) throw malformed('leaf', `no line ${name}`);
    return value;
  }

  number(name: string): number {
    return this.#checked(name, parseDecimal);
  }

  hash(name: string): Uint8Array {
    return this.#checked(name, parseHash);
  }

  time(name: string): number {
    return this.#checked(name, parseIsoTime);
  }

  key(name: string): string {
    const text = this.word(name);
    try {
      if (isOrigin(parseVerifierKey(text).name)) return text;
    } catch {
      // said below
    }
    throw malformed('leaf', 'the next key is no verifier key');
  }

  done(): boolean {
    return this.#at === this.#lines.length;
  }

  end(): void {
    if (!this.done()) throw malformed('leaf', 'lines that do not belong to its kind');
  }

  #checked<T>(name: string, parse: (text: string) => T | null): T {
    const value = parse(this.word(name));
    if (value === null) throw malformed('leaf', `the value of ${name}`);
    return value;
  }
}

const isOrigin = (origin: string): boolean => isKeyName(origin) && utf8(origin).length <= originBytesMax;

const hash = (octets: Uint8Array): string => {
  assert.equal(octets.length, hashBytes);
  return base64(octets);
};

const decimal = (value: number): string => {
  assert(Number.isSafeInteger(value) && value >= 0, 'a number below 2^53');
  return String(value);
};
