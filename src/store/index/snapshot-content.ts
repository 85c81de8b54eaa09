import { utf8 } from '#base/bytes';
import { canonicalJson, type Json } from '#base/canonical-json';
import { Fields } from './fields.ts';
import type { PlacementRow, Tombstone, UnplacedRow } from './rows.ts';
import { formatUidSet, parseUidSet } from './uid-set.ts';

/** UIDs of a page: page p holds p × 4,096 to p × 4,096 + 4,095. */
export const snapshotPageUids = 4_096;
/** copies without a placement stand in pages of this many `seq`s of their frames */
export const snapshotPageSeqs = 65_536;

export const uidPage = (uid: number): number => Math.floor(uid / snapshotPageUids);
export const seqPage = (emailSeq: number): number => Math.floor(emailSeq / snapshotPageSeqs);

/** A frame of a snapshot as another one names it. */
export interface SnapshotRef {
  seq: number;
  /** bodyCommitment of its record, 64 hexadecimal digits */
  commitment: string;
}

/** As UnplacedRow, of one account. */
export type UnplacedEntry = Omit<UnplacedRow, 'account'>;

/** Every row of a page whose MODSEQ is at most `base`; a row that changed since stands as it is, or was, at will. */
export interface SnapshotPage {
  kind: 'page';
  account: string;
  mailbox: string;
  uidValidity: number;
  page: number;
  base: number;
  placements: readonly PlacementRow[];
  tombstones: readonly Tombstone[];
}

/** One mailbox as it is: its pages, and every row whose MODSEQ is above `base`. */
export interface SnapshotMailbox {
  kind: 'mailbox';
  account: string;
  mailbox: string;
  base: number;
  name: string;
  role: string | null;
  uidValidity: number;
  uidNext: number;
  highestModSeq: number;
  recentBelow: number;
  keywords: readonly string[];
  pages: readonly (SnapshotRef & { page: number })[];
  placements: readonly PlacementRow[];
  tombstones: readonly Tombstone[];
}

/** Copies without a placement whose MODSEQ is at most `base`. */
export interface SnapshotUnplaced {
  kind: 'unplaced';
  account: string;
  page: number;
  base: number;
  unplaced: readonly UnplacedEntry[];
}

/** The root: everything that an account's STATE frames up to this frame said. */
export interface SnapshotAccount {
  kind: 'account';
  account: string;
  base: number;
  modSeq: number;
  uidValidity: number;
  subscriptions: readonly string[];
  mailboxes: readonly (SnapshotRef & { mailbox: string })[];
  pages: readonly (SnapshotRef & { page: number })[];
  unplaced: readonly UnplacedEntry[];
}

export type SnapshotContent = SnapshotPage | SnapshotMailbox | SnapshotUnplaced | SnapshotAccount;

/** @param salt 32 random octets in base64 @source docs/formats/frames.md, “SNAP” */
export const encodeSnapshot = (content: SnapshotContent, salt: string): Uint8Array =>
  utf8(canonicalJson({ ...membersOf(content), account: content.account, base: content.base, salt, v: 1 }));

/** @throws {FengniError} `frame-content-damaged` */
export const decodeSnapshot = (octets: Uint8Array): SnapshotContent => {
  const fields = new Fields(octets, 'SNAP');
  const account = fields.text('account');
  const base = fields.number('base');
  const kind = fields.text('kind');
  switch (kind) {
    case 'page': {
      const uidValidity = fields.number('uidvalidity');
      const mailbox = fields.text('mailbox');
      return {
        kind,
        account,
        mailbox,
        uidValidity,
        page: fields.number('page'),
        base,
        ...rowsIn(fields, uidValidity),
      };
    }
    case 'mailbox': {
      const uidValidity = fields.number('uidvalidity');
      return {
        kind,
        account,
        mailbox: fields.text('mailbox'),
        base,
        name: fields.text('name'),
        role: fields.nullableText('role'),
        uidValidity,
        uidNext: fields.number('uidnext'),
        highestModSeq: fields.number('modseq'),
        recentBelow: fields.number('recent'),
        keywords: fields.texts('keywords'),
        pages: pagesIn(fields),
        ...rowsIn(fields, uidValidity),
      };
    }
    case 'unplaced':
      return {
        kind,
        account,
        page: fields.number('page'),
        base,
        unplaced: unplacedIn(fields.object('unplaced')),
      };
    case 'account':
      return {
        kind,
        account,
        base,
        modSeq: fields.number('modseq'),
        uidValidity: fields.number('uidvalidity'),
        subscriptions: fields.texts('subscriptions'),
        mailboxes: fields
          .objects('mailboxes')
          .map((each) => ({ mailbox: each.text('mailbox'), ...refIn(each) })),
        pages: pagesIn(fields),
        unplaced: unplacedIn(fields.object('unplaced')),
      };
    default:
      throw fields.wrong('kind');
  }
};

const membersOf = (content: SnapshotContent): Record<string, Json> => {
  const { kind } = content;
  switch (kind) {
    case 'page':
      return {
        kind,
        mailbox: content.mailbox,
        page: content.page,
        uidvalidity: content.uidValidity,
        ...rowMembers(content, content.uidValidity),
      };
    case 'mailbox':
      return {
        keywords: content.keywords,
        kind,
        mailbox: content.mailbox,
        modseq: content.highestModSeq,
        name: content.name,
        pages: content.pages.map(({ page, seq, commitment }) => ({ hash: commitment, page, seq })),
        recent: content.recentBelow,
        role: content.role,
        uidnext: content.uidNext,
        uidvalidity: content.uidValidity,
        ...rowMembers(content, content.uidValidity),
      };
    case 'unplaced':
      return { kind, page: content.page, unplaced: unplacedMembers(content.unplaced) };
    case 'account':
      return {
        kind,
        mailboxes: content.mailboxes.map(({ mailbox, seq, commitment }) => ({
          hash: commitment,
          mailbox,
          seq,
        })),
        modseq: content.modSeq,
        pages: content.pages.map(({ page, seq, commitment }) => ({ hash: commitment, page, seq })),
        subscriptions: content.subscriptions,
        uidvalidity: content.uidValidity,
        unplaced: unplacedMembers(content.unplaced),
      };
  }
};

/** Numbers that rise, or nearly so, stand as what they differ from the one before. */
const differences = (numbers: readonly number[]): number[] => {
  let before = 0;
  return numbers.map((number) => {
    const difference = number - before;
    before = number;
    return difference;
  });
};

const sums = (fields: Fields, name: string, count: number): number[] => {
  let sum = 0;
  return column(fields, name, count).map((difference) => {
    sum += difference;
    if (!Number.isSafeInteger(sum) || sum < 0) throw fields.wrong(name);
    return sum;
  });
};

const column = (fields: Fields, name: string, count: number): readonly number[] => {
  const numbers = fields.numbers(name);
  if (numbers.length !== count) throw fields.wrong(name);
  return numbers;
};

/** What a placement's UIDL is when nobody brought another (FORMATS §3). */
const ownUidl = (uidValidity: number, uid: number): string =>
  uidValidity.toString(16).padStart(8, '0') + uid.toString(16).padStart(8, '0');

const rowMembers = (
  { placements, tombstones }: { placements: readonly PlacementRow[]; tombstones: readonly Tombstone[] },
  uidValidity: number,
): Record<string, Json> => ({
  placements: {
    dates: differences(placements.map(({ dateMs }) => dateMs)),
    emails: differences(placements.map(({ emailSeq }) => emailSeq)),
    flags: placements.map(({ flags }) => flags),
    keywords: placements.flatMap(({ keywords }, at) => (keywords.length === 0 ? [] : [[at, ...keywords]])),
    modseqs: differences(placements.map(({ modSeq }) => modSeq)),
    saved: placements.map(({ savedMs, dateMs }) => savedMs - dateMs),
    sizes: placements.map(({ sizeBytes }) => sizeBytes),
    uidls: placements.map(({ uidl, uid }) => (uidl === ownUidl(uidValidity, uid) ? '' : uidl)),
    uids: formatUidSet(placements.map(({ uid }) => uid)),
  },
  tombstones: {
    modseqs: differences(tombstones.map(({ modSeq }) => modSeq)),
    uids: formatUidSet(tombstones.map(({ uid }) => uid)),
  },
});

const rowsIn = (
  fields: Fields,
  uidValidity: number,
): { placements: PlacementRow[]; tombstones: Tombstone[] } => {
  const placed = fields.object('placements');
  const uids = uidsIn(placed, 'uids');
  const { length } = uids;
  const dates = sums(placed, 'dates', length);
  const emails = sums(placed, 'emails', length);
  const modSeqs = sums(placed, 'modseqs', length);
  const flags = column(placed, 'flags', length);
  const saved = column(placed, 'saved', length);
  const sizes = column(placed, 'sizes', length);
  const uidls = placed.texts('uidls');
  if (uidls.length !== length) throw placed.wrong('uidls');
  const keywords = new Map<number, number[]>();
  for (const [at, ...positions] of placed.numberLists('keywords')) {
    if (at === undefined || at < 0 || at >= length) throw placed.wrong('keywords');
    keywords.set(at, positions);
  }
  const gone = fields.object('tombstones');
  const goneUids = uidsIn(gone, 'uids');
  const goneModSeqs = sums(gone, 'modseqs', goneUids.length);
  const number = (numbers: readonly number[], at: number): number => numbers[at] as number;
  if (!saved.every((after, at) => Number.isSafeInteger(number(dates, at) + after)))
    throw placed.wrong('saved');
  return {
    placements: uids.map((uid, at) => ({
      uid,
      emailSeq: number(emails, at),
      flags: number(flags, at),
      keywords: keywords.get(at) ?? [],
      modSeq: number(modSeqs, at),
      dateMs: number(dates, at),
      savedMs: number(dates, at) + number(saved, at),
      uidl: uidls[at] === '' ? ownUidl(uidValidity, uid) : (uidls[at] as string),
      sizeBytes: number(sizes, at),
    })),
    tombstones: goneUids.map((uid, at) => ({ uid, modSeq: number(goneModSeqs, at) })),
  };
};

/** rows of one frame: a page, or what changed beside the pages */
const rowsMax = 2 ** 20;

const uidsIn = (fields: Fields, name: string): number[] => {
  const uids: number[] = [];
  for (const { first, last } of parseUidSet(fields.text(name)) ?? []) {
    if (uids.length + last - first >= rowsMax) throw fields.wrong(name);
    for (let uid = first; uid <= last; uid++) uids.push(uid);
  }
  if (formatUidSet(uids) !== fields.text(name)) throw fields.wrong(name);
  return uids;
};

const unplacedMembers = (rows: readonly UnplacedEntry[]): Record<string, Json> => ({
  days: rows.map(({ dayCount }) => dayCount),
  emails: differences(rows.map(({ emailSeq }) => emailSeq)),
  modseqs: differences(rows.map(({ modSeq }) => modSeq)),
  times: differences(rows.map(({ timeMs }) => timeMs)),
});

const unplacedIn = (fields: Fields): UnplacedEntry[] => {
  const days = fields.numbers('days');
  const emails = sums(fields, 'emails', days.length);
  const modSeqs = sums(fields, 'modseqs', days.length);
  const times = sums(fields, 'times', days.length);
  return days.map((dayCount, at) => ({
    emailSeq: emails[at] as number,
    dayCount,
    timeMs: times[at] as number,
    modSeq: modSeqs[at] as number,
  }));
};

const refIn = (fields: Fields): SnapshotRef => {
  const commitment = fields.text('hash');
  if (!/^[0-9a-f]{64}$/.test(commitment)) throw fields.wrong('hash');
  return { seq: fields.number('seq'), commitment };
};

const pagesIn = (fields: Fields): (SnapshotRef & { page: number })[] =>
  fields.objects('pages').map((each) => ({ page: each.number('page'), ...refIn(each) }));
