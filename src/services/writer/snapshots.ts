import type { Logger } from '#base/logger';
import {
  type MailboxRow,
  type MailIndex,
  type PlacementRow,
  type SnapshotFrame,
  type SnapshotMailbox,
  type SnapshotRef,
  seqPage,
  snapshotPageSeqs,
  snapshotPageUids,
  type Tombstone,
  type UnplacedEntry,
  type UnplacedRow,
} from '#store/index';
import type { KeyReader, SegmentReader } from '#store/log';
import type { CommitQueue } from './commit-queue.ts';
import type { Decision, DecisionContext } from './decision.ts';
import type { GroupDraft } from './group-draft.ts';
import { openSnapshot } from './snapshot-plan.ts';

/** An account gets a snapshot after this many STATE frames, or as many as it has UIDs, whichever is more: so pages cost less than them. */
export const snapshotChangesMin = 10_000;
/** rows that are read at once: what a group may have to wait for */
const sliceRows = 512;
/** rows that may have changed while the pages were made; more, and they are made anew */
const changedRowsMax = 1_024;
/** the last try takes what there is up to here */
const changedRowsLast = 16_384;
const tries = 4;

/** Writes snapshots, each page a decision of its own, so that nobody waits for a large mailbox. */
export interface Snapshots {
  /** to be called when a group is durable and applied */
  committed(draft: GroupDraft): void;
  /** Makes one now. @returns whether there is a new one */
  run(account: string): Promise<boolean>;
  stop(): Promise<void>;
}

export const createSnapshots = (options: {
  queue: Pick<CommitQueue, 'submit'>;
  index: MailIndex;
  /** what the newest root of a mailbox says, or null */
  readMailbox(frame: SnapshotFrame, account: string): Promise<SnapshotMailbox | null>;
  logger: Logger;
  changesMin?: number;
  /** UIDs of a page (default 4,096, docs/formats/frames.md); fewer in tests, so that small mailboxes have many */
  pageUids?: number;
}): Snapshots => {
  const { queue, index, logger } = options;
  const changesMin = options.changesMin ?? snapshotChangesMin;
  const pageUids = options.pageUids ?? snapshotPageUids;
  const uidPage = (uid: number): number => Math.floor(uid / pageUids);
  /** STATE frames until it is worth looking again, by account */
  const until = new Map<string, number>();
  const due = new Set<string>();
  let stopped = false;

  /** STATE frames that are still missing for a snapshot. */
  const missing = (account: string): number => {
    const { changes } = index.accountCounters(account);
    if (changes < changesMin) return changesMin - changes;
    const pages = index.snapshotFrames(account).filter(({ page }) => page >= 0).length;
    // The first one goes by numbers; UIDs that somebody brought along may have large holes.
    const rows =
      pages > 0
        ? pages * pageUids
        : index
            .mailboxes(account)
            .reduce(
              (sum, { id, uidNext }) => sum + Math.min(uidNext - 1, index.countPlacements(id) + changes),
              0,
            );
    return Math.max(changesMin, rows) - changes;
  };

  const rounds = async (): Promise<void> => {
    for (const account of due) {
      if (stopped) return;
      due.delete(account);
      const made = await make(account);
      // Where too much changes at once, the next try waits for more.
      until.set(account, made ? missing(account) : Math.ceil(changesMin / 4));
    }
  };

  /** One snapshot at a time. */
  let running: Promise<void> = Promise.resolve();
  const turnOf = <T>(work: () => Promise<T>): Promise<T> => running.then(work);
  const ended = (): void => {};

  const kick = (): void => {
    running = turnOf(rounds)
      // A failed log stops the process; without a snapshot a rebuild takes longer, and the next change asks again.
      .catch((error: unknown) => logger.warn('no snapshot', { error: String(error) }));
  };

  const make = async (account: string): Promise<boolean> => {
    for (let attempt = 1; attempt <= tries && !stopped; attempt++) {
      const max = attempt === tries ? changedRowsLast : changedRowsMax;
      const outcome = await makeOnce(account, max);
      if (outcome !== 'again') return outcome;
    }
    return false;
  };

  const makeOnce = async (account: string, changedMax: number): Promise<boolean | 'again'> => {
    const base = index.accountCounters(account).modSeq;
    const begun = index.appliedSeq();
    const frames = index.snapshotFrames(account);
    const roots = new Map<string, SnapshotMailbox>();
    for (const mailbox of index.mailboxes(account)) {
      const rootFrame = frames.find((frame) => frame.mailbox === mailbox.id && frame.page === -1);
      const root = rootFrame === undefined ? null : await options.readMailbox(rootFrame, account);
      if (root !== null && sameNumbers(root, mailbox) && !hasChanged(index, mailbox.id, root.base)) {
        roots.set(mailbox.id, root);
        continue;
      }
      const known = new Set(
        frames.flatMap((frame) => (frame.mailbox === mailbox.id && frame.page >= 0 ? [frame.page] : [])),
      );
      for (const page of await pagesToMake(mailbox, root?.base ?? null, known)) {
        if (stopped) return false;
        const rows = await rowsOf(mailbox.id, page);
        if (rows === null) continue;
        const outcome = await queue.submit(
          pageDecision(account, mailbox, { page, base, ...rows, uidValidity: mailbox.uidValidity }),
        );
        if (outcome.kind !== 'done') return false;
      }
    }
    if (!(await makeUnplacedPages(account, base, frames))) return false;
    if (stopped) return false;
    const outcome = await queue.submit(rootDecision(account, base, begun, roots, changedMax));
    return outcome.kind !== 'done' ? false : outcome.made ? true : 'again';
  };

  /** Pages in which something changed since `base`, and those that no frame has. */
  const pagesToMake = async (
    mailbox: MailboxRow,
    base: number | null,
    known: ReadonlySet<number>,
  ): Promise<number[]> => {
    const pages = new Set<number>();
    for (let end = 0; ; ) {
      const [placed] = index.placements(mailbox.id, end - 1, 1);
      const [gone] = index.tombstones(mailbox.id, end - 1, 1);
      const uid = Math.min(placed?.uid ?? noneBehind, gone?.uid ?? noneBehind);
      if (uid === noneBehind) break;
      if (base === null || !known.has(uidPage(uid))) pages.add(uidPage(uid));
      end = (uidPage(uid) + 1) * pageUids;
      if (uidPage(uid) % 64 === 63) await turn();
    }
    if (base !== null) {
      for (const what of ['placement', 'tombstone'] as const) {
        for await (const changed of slices(sliceRows * 4, (after: Tombstone | null) =>
          index.changedUids(
            mailbox.id,
            what,
            after?.modSeq ?? base,
            after?.uid ?? Number.MAX_SAFE_INTEGER,
            sliceRows * 4,
          ),
        ))
          for (const { uid } of changed) pages.add(uidPage(uid));
      }
    }
    return [...pages].sort((a, b) => a - b);
  };

  /** What a page holds, read in slices; null when that is nothing. */
  const rowsOf = async (
    mailbox: string,
    page: number,
  ): Promise<{ placements: PlacementRow[]; tombstones: Tombstone[] } | null> => {
    const first = page * pageUids;
    const end = first + pageUids;
    const placements: PlacementRow[] = [];
    for await (const rows of slices(sliceRows, (after: PlacementRow | null) =>
      index.placements(mailbox, after?.uid ?? first - 1, sliceRows).filter(({ uid }) => uid < end),
    ))
      placements.push(...rows);
    const tombstones: Tombstone[] = [];
    for await (const rows of slices(sliceRows, (after: Tombstone | null) =>
      index.tombstones(mailbox, after?.uid ?? first - 1, sliceRows).filter(({ uid }) => uid < end),
    ))
      tombstones.push(...rows);
    return placements.length + tombstones.length === 0 ? null : { placements, tombstones };
  };

  const makeUnplacedPages = async (
    account: string,
    base: number,
    frames: readonly SnapshotFrame[],
  ): Promise<boolean> => {
    const root = frames.find((frame) => frame.mailbox === '' && frame.page === -1);
    const known = new Set(
      frames.flatMap((frame) => (frame.mailbox === '' && frame.page >= 0 ? [frame.page] : [])),
    );
    // A clock that was set back changed rows without a MODSEQ.
    const since = root === undefined || index.marks().clockSeq > root.seq ? null : root.base;
    const pages = new Map<number, UnplacedEntry[]>();
    const dirty = new Set<number>();
    for await (const rows of slices(sliceRows, (after: UnplacedRow | null) =>
      index.unplacedOf(account, after?.emailSeq ?? 0, sliceRows),
    )) {
      for (const { account: _, ...row } of rows) {
        const page = seqPage(row.emailSeq);
        const all = pages.get(page) ?? [];
        all.push(row);
        pages.set(page, all);
        if (since === null || row.modSeq > since || !known.has(page)) dirty.add(page);
      }
    }
    for (const page of dirty) {
      if (stopped) return false;
      const outcome = await queue.submit(unplacedDecision(account, page, base, pages.get(page) ?? []));
      if (outcome.kind !== 'done') return false;
    }
    return true;
  };

  return {
    committed: (draft) => {
      if (stopped) return;
      const changes = new Map<string, number>();
      for (const event of draft.events)
        if (event.type === 'state') changes.set(event.account, (changes.get(event.account) ?? 0) + 1);
      for (const [account, count] of changes) {
        const left = (until.get(account) ?? missing(account) + count) - count;
        until.set(account, left);
        if (left > 0 || due.has(account)) continue;
        const still = missing(account);
        until.set(account, still);
        if (still > 0) continue;
        due.add(account);
        kick();
      }
      if (until.size > accountsMax) until.clear();
    },
    run: (account) => {
      const own = turnOf(() => (stopped ? Promise.resolve(false) : make(account)));
      running = own.then(ended, ended);
      return own;
    },
    stop: async () => {
      stopped = true;
      await running;
    },
  };
};

/** accounts whose changes are counted in memory */
const accountsMax = 50_000;

/** Page after page of rows; others have their turn in between. */
async function* slices<Row>(
  limit: number,
  read: (after: Row | null) => Row[],
): AsyncGenerator<Row[], void, void> {
  for (let after: Row | null = null; ; ) {
    const rows: Row[] = read(after);
    if (rows.length > 0) yield rows;
    after = rows.at(-1) ?? null;
    if (rows.length < limit || after === null) return;
    await turn();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const noneBehind = Number.MAX_SAFE_INTEGER;

const hasChanged = (index: MailIndex, mailbox: string, base: number): boolean =>
  (['placement', 'tombstone'] as const).some(
    (what) => index.changedUids(mailbox, what, base, noneBehind, 1).length > 0,
  );

/** Everything that a root says beside rows. */
const sameNumbers = (root: SnapshotMailbox, row: MailboxRow): boolean =>
  root.name === row.name &&
  root.highestModSeq === row.highestModSeq &&
  root.uidNext === row.uidNext &&
  root.recentBelow === row.recentBelow;

const pageDecision = (
  account: string,
  { id }: MailboxRow,
  page: {
    page: number;
    base: number;
    uidValidity: number;
    placements: readonly PlacementRow[];
    tombstones: readonly Tombstone[];
  },
): Decision<object> => ({
  accounts: [account],
  reads: 'counters',
  bytes: 1_024 + 64 * (page.placements.length + page.tombstones.length),
  decide: ({ draft, state }) => {
    // Where the mailbox is gone the account may be too.
    const key = state.mailbox(id) === null ? null : state.account(account).key;
    if (key !== null) draft.snapshot(key, { kind: 'page', account, mailbox: id, ...page });
    return { kind: 'done' };
  },
});

const unplacedDecision = (
  account: string,
  page: number,
  base: number,
  unplaced: readonly UnplacedEntry[],
): Decision<object> => ({
  accounts: [account],
  reads: 'rows',
  bytes: 1_024 + 32 * unplaced.length,
  decide: ({ draft, state }) => {
    const { key } = state.account(account);
    if (key !== null) draft.snapshot(key, { kind: 'unplaced', account, page, base, unplaced });
    return { kind: 'done' };
  },
});

/** Roots of all mailboxes that have no newer one, then the account's: only now is it a snapshot, and one of this very moment. */
const rootDecision = (
  account: string,
  base: number,
  begun: number,
  known: ReadonlyMap<string, SnapshotMailbox>,
  changedMax: number,
): Decision<{ made: boolean }> => ({
  accounts: [account],
  reads: 'rows',
  bytes: 262_144,
  decide: (context) => {
    const { draft, state, index } = context;
    const { key } = state.account(account);
    const { uidValidity, modSeq } = index.accountCounters(account);
    if (key === null) return { kind: 'done', made: false };
    // A clock leaf changes rows without a MODSEQ; one of this very group is not in the index yet.
    const isClockNew =
      index.marks().clockSeq > begun ||
      draft.events.some((event) => event.type === 'leaf' && event.kind === 'clock');
    if (isClockNew) return { kind: 'done', made: false };
    const frames = index.snapshotFrames(account);
    const roots: { mailbox: string; root: SnapshotMailbox | SnapshotRef }[] = [];
    let changed = 0;
    for (const mailbox of index.mailboxes(account)) {
      const before = known.get(mailbox.id);
      const frame = frames.find((each) => each.mailbox === mailbox.id && each.page === -1);
      const isSame =
        before !== undefined &&
        frame !== undefined &&
        sameNumbers(before, mailbox) &&
        !hasChanged(index, mailbox.id, before.base);
      if (isSame) {
        roots.push({ mailbox: mailbox.id, root: frame });
        continue;
      }
      const from = before?.base ?? base;
      const rows = changedRows(index, mailbox, from, changedMax - changed);
      if (rows === null) return { kind: 'done', made: false };
      changed += rows.placements.length + rows.tombstones.length;
      roots.push({ mailbox: mailbox.id, root: mailboxRoot(mailbox, from, frames, rows) });
    }
    const unplaced = index.unplacedSince(account, base, noneBehind, changedMax + 1);
    if (unplaced.length + changed > changedMax) return { kind: 'done', made: false };
    const mailboxes = roots.map(({ mailbox, root }) => {
      const { seq, commitment } = 'seq' in root ? root : draft.snapshot(key, root);
      return { mailbox, seq, commitment };
    });
    draft.snapshot(key, {
      kind: 'account',
      account,
      base,
      modSeq,
      uidValidity,
      subscriptions: index.subscriptions(account),
      mailboxes,
      pages: pagesWithRows(context, account, frames),
      unplaced: unplaced.map(({ account: _, ...row }) => row).sort((a, b) => a.emailSeq - b.emailSeq),
    });
    state.touched.add(account);
    return { kind: 'done', made: true };
  },
});

const pagesOf = (frames: readonly SnapshotFrame[], mailbox: string): (SnapshotRef & { page: number })[] =>
  frames
    .filter((frame) => frame.mailbox === mailbox && frame.page >= 0)
    .map(({ page, seq, commitment }) => ({ page, seq, commitment }))
    .sort((a, b) => a.page - b.page);

/** Pages of copies without a placement, those that still have one. */
const pagesWithRows = (
  { index }: DecisionContext,
  account: string,
  frames: readonly SnapshotFrame[],
): (SnapshotRef & { page: number })[] =>
  pagesOf(frames, '').filter(({ page }) => {
    const [row] = index.unplacedOf(account, page * snapshotPageSeqs - 1, 1);
    return row !== undefined && seqPage(row.emailSeq) === page;
  });

const mailboxRoot = (
  row: MailboxRow,
  base: number,
  frames: readonly SnapshotFrame[],
  rows: { placements: readonly PlacementRow[]; tombstones: readonly Tombstone[] },
): SnapshotMailbox => ({
  kind: 'mailbox',
  account: row.account,
  mailbox: row.id,
  base,
  name: row.name,
  role: row.role,
  uidValidity: row.uidValidity,
  uidNext: row.uidNext,
  highestModSeq: row.highestModSeq,
  recentBelow: row.recentBelow,
  keywords: row.keywords,
  pages: pagesOf(frames, row.id),
  ...rows,
});

/** Rows with a MODSEQ above `base`, by UID; null when there are too many. */
const changedRows = (
  index: MailIndex,
  { id }: MailboxRow,
  base: number,
  max: number,
): { placements: PlacementRow[]; tombstones: Tombstone[] } | null => {
  const placed = index.changedUids(id, 'placement', base, noneBehind, max + 1);
  const gone = index.changedUids(id, 'tombstone', base, noneBehind, max + 1);
  if (placed.length + gone.length > max) return null;
  const uids = placed.map(({ uid }) => uid).sort((a, b) => a - b);
  return { placements: index.placementsByUid(id, uids), tombstones: gone.sort((a, b) => a.uid - b.uid) };
};

/** Reads the newest root of a mailbox; null where it cannot be read, and then everything is written anew. */
export const readMailboxRoot =
  ({ segments, keys, index }: { segments: SegmentReader; keys: KeyReader; index: MailIndex }) =>
  async ({ at, seq, commitment }: SnapshotFrame, account: string): Promise<SnapshotMailbox | null> => {
    const ref = index.accountKey(account);
    const found = ref === null ? null : await keys.fileKey(ref);
    if (found?.kind !== 'clear') return null;
    const frame = await openSnapshot(segments, at, seq, found.fileKey);
    return frame?.commitment === commitment && frame.content.kind === 'mailbox' ? frame.content : null;
  };
