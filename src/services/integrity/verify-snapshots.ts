import type {
  MailboxRow,
  MailIndex,
  PlacementRow,
  SnapshotAccount,
  SnapshotContent,
  SnapshotEvent,
  SnapshotMailbox,
  SnapshotPage,
  SnapshotRef,
  SnapshotUnplaced,
  Tombstone,
  UnplacedEntry,
} from '#store/index';
import { seqPage, snapshotPageSeqs, snapshotPageUids, uidPage } from '#store/index';

const pageRows = 1_024;
const behind = Number.MAX_SAFE_INTEGER;

/**
 * Holds each frame of a snapshot against the projections as the frames before it make them.
 *
 * Pages are compared row by row. A root is compared with what changed since the root before it, so that a page that was left out, or
 * not written again although it should have been, is found too. Rows of copies that were erased since are no longer known.
 */
export class SnapshotCheck {
  readonly #index: MailIndex;
  /** newest root of each mailbox */
  readonly #roots = new Map<string, SnapshotMailbox>();

  constructor(index: MailIndex) {
    this.#index = index;
  }

  /**
   * @param erased copies before this frame can be read no more, whenever they were erased: numbers that they raised are lower now
   * @returns what is not so, or null
   */
  fault({ content }: SnapshotEvent, erased: boolean): string | null {
    const { account } = content;
    if (!this.#index.accounts().includes(account)) return 'its account is not there';
    const found = this.#faultOf(content, erased);
    if (content.kind === 'mailbox') this.#roots.set(content.mailbox, content);
    return found;
  }

  #faultOf(content: SnapshotContent, erased: boolean): string | null {
    switch (content.kind) {
      case 'page':
        return this.#page(content);
      case 'mailbox':
        return this.#mailbox(content, erased);
      case 'unplaced':
        return this.#unplacedPage(content);
      case 'account':
        return this.#account(content, erased);
    }
  }

  #page(page: SnapshotPage): string | null {
    const first = page.page * snapshotPageUids;
    const end = first + snapshotPageUids;
    const where = `page ${page.page} of mailbox ${page.mailbox}`;
    const outside = [...page.placements, ...page.tombstones].find(({ uid }) => uid < first || uid >= end);
    if (outside !== undefined) return `${where}: UID ${outside.uid} is of another page`;
    const placements = new Map(page.placements.map((row) => [row.uid, row]));
    const tombstones = new Map(page.tombstones.map((row) => [row.uid, row]));
    const known = new Set<number>();
    for (const row of this.#placements(page.mailbox, first, end)) {
      known.add(row.uid);
      const said = placements.get(row.uid);
      if (row.modSeq > page.base) continue;
      if (said === undefined || !this.#samePlacement(row, said)) return `${where}: UID ${row.uid}`;
    }
    for (const row of this.#tombstones(page.mailbox, first, end)) {
      known.add(row.uid);
      if (row.modSeq <= page.base && tombstones.get(row.uid)?.modSeq !== row.modSeq)
        return `${where}: tombstone of UID ${row.uid}`;
    }
    for (const { uid } of page.tombstones) if (!known.has(uid)) return `${where}: tombstone of UID ${uid}`;
    for (const { uid, emailSeq } of page.placements)
      if (!known.has(uid) && this.#isThere(emailSeq)) return `${where}: UID ${uid}`;
    return null;
  }

  #mailbox(root: SnapshotMailbox, erased: boolean): string | null {
    const { mailbox, base } = root;
    const where = `mailbox ${mailbox}`;
    const row = this.#index.mailbox(mailbox);
    if (row === null || row.account !== root.account) return `${where} is not there`;
    const wrong = wrongNumber(root, row, erased);
    if (wrong !== null) return `${where}: ${wrong}`;
    const since = this.#roots.get(mailbox)?.base ?? 0;
    const refs = this.#wrongPages(root.account, mailbox, root.pages);
    if (refs !== null) return `${where}: ${refs}`;
    const bases = new Map(
      this.#index
        .snapshotFrames(root.account)
        .flatMap((frame) => (frame.mailbox === mailbox ? [[frame.page, frame.base] as const] : [])),
    );
    const named = new Set(root.pages.map(({ page }) => page));
    const changed = { placement: new Map<number, PlacementRow>(), tombstone: new Map<number, Tombstone>() };
    for (const each of root.placements) changed.placement.set(each.uid, each);
    for (const each of root.tombstones) changed.tombstone.set(each.uid, each);
    for (const what of ['placement', 'tombstone'] as const) {
      let left = changed[what].size;
      for (const each of this.#changed(mailbox, what, since)) {
        const page = uidPage(each.uid);
        if (each.modSeq <= base) {
          if (!named.has(page) || (bases.get(page) ?? 0) < each.modSeq)
            return `${where}: page ${page} lacks what changed in UID ${each.uid}`;
          continue;
        }
        const said = changed[what].get(each.uid);
        if (said === undefined) return `${where}: UID ${each.uid} is left out`;
        if (what === 'tombstone' && said.modSeq !== each.modSeq)
          return `${where}: tombstone of UID ${each.uid}`;
        if (what === 'placement') {
          const [now] = this.#index.placementsByUid(mailbox, [each.uid]);
          if (now === undefined || !this.#samePlacement(now, said as PlacementRow))
            return `${where}: UID ${each.uid}`;
        }
        left -= 1;
      }
      if (left > 0 && (what === 'tombstone' || !erased)) return `${where}: more rows than there are`;
    }
    return null;
  }

  #unplacedPage(page: SnapshotUnplaced): string | null {
    const where = `copies without a placement, page ${page.page}`;
    const outside = page.unplaced.find(({ emailSeq }) => seqPage(emailSeq) !== page.page);
    if (outside !== undefined) return `${where}: ${outside.emailSeq} is of another page`;
    const said = new Map(page.unplaced.map((row) => [row.emailSeq, row]));
    for (let after = page.page * snapshotPageSeqs - 1; ; ) {
      const rows = this.#index.unplacedOf(page.account, after, pageRows);
      for (const row of rows) {
        if (seqPage(row.emailSeq) !== page.page) break;
        if (row.modSeq <= page.base && !sameUnplaced(row, said.get(row.emailSeq)))
          return `${where}: ${row.emailSeq}`;
      }
      after = rows.at(-1)?.emailSeq ?? 0;
      if (rows.length < pageRows || seqPage(after) !== page.page) return null;
    }
  }

  #account(root: SnapshotAccount, erased: boolean): string | null {
    const { account } = root;
    const counters = this.#index.accountCounters(account);
    if (root.modSeq < counters.modSeq || (root.modSeq > counters.modSeq && !erased))
      return `modseq ${root.modSeq} instead of ${counters.modSeq}`;
    if (counters.uidValidity !== root.uidValidity)
      return `uidvalidity ${root.uidValidity} instead of ${counters.uidValidity}`;
    if (this.#index.subscriptions(account).join('\0') !== [...root.subscriptions].sort().join('\0'))
      return 'subscriptions';
    const mailboxes = this.#index.mailboxes(account);
    const frames = this.#index.snapshotFrames(account);
    for (const mailbox of mailboxes) {
      const ref = root.mailboxes.find((each) => each.mailbox === mailbox.id);
      const frame = frames.find((each) => each.mailbox === mailbox.id && each.page === -1);
      const own = this.#roots.get(mailbox.id);
      if (ref === undefined || frame === undefined || own === undefined || !sameRef(ref, frame))
        return `mailbox ${mailbox.id} is not the newest one`;
      const wrong = wrongNumber(own, mailbox, erased);
      if (wrong !== null) return `mailbox ${mailbox.id}: ${wrong}`;
      const newest = Math.max(0, ...[...own.placements, ...own.tombstones].map(({ modSeq }) => modSeq));
      for (const what of ['placement', 'tombstone'] as const)
        for (const each of this.#changed(mailbox.id, what, Math.max(own.base, newest)))
          return `mailbox ${mailbox.id}: UID ${each.uid} changed since`;
    }
    if (root.mailboxes.length !== mailboxes.length) return 'more mailboxes than there are';
    const refs = this.#wrongPages(account, '', root.pages);
    if (refs !== null) return refs;
    return this.#allUnplaced(root);
  }

  /** Every row is beside the pages, or in a page that is newer than it. */
  #allUnplaced(root: SnapshotAccount): string | null {
    const named = new Map(root.pages.map((ref) => [ref.page, ref]));
    const said = new Map(root.unplaced.map((row) => [row.emailSeq, row]));
    const bases = new Map(
      this.#index
        .snapshotFrames(root.account)
        .flatMap((frame) => (frame.mailbox === '' ? [[frame.page, frame] as const] : [])),
    );
    const { clockSeq } = this.#index.marks();
    for (let after = 0; ; ) {
      const rows = this.#index.unplacedOf(root.account, after, pageRows);
      for (const row of rows) {
        if (row.modSeq > root.base) {
          if (!sameUnplaced(row, said.get(row.emailSeq))) return `copy ${row.emailSeq} without a placement`;
          continue;
        }
        const page = seqPage(row.emailSeq);
        const frame = bases.get(page);
        if (!named.has(page) || frame === undefined || frame.base < row.modSeq || frame.seq < clockSeq)
          return `page ${page} lacks the copy ${row.emailSeq} without a placement`;
      }
      after = rows.at(-1)?.emailSeq ?? 0;
      if (rows.length < pageRows) return null;
    }
  }

  /** Pages that are named and are not the newest of their number. */
  #wrongPages(
    account: string,
    mailbox: string,
    refs: readonly (SnapshotRef & { page: number })[],
  ): string | null {
    const frames = new Map(
      this.#index
        .snapshotFrames(account)
        .flatMap((frame) =>
          frame.mailbox === mailbox && frame.page >= 0 ? [[frame.page, frame] as const] : [],
        ),
    );
    for (const ref of refs) {
      const frame = frames.get(ref.page);
      if (frame === undefined || !sameRef(ref, frame)) return `page ${ref.page} is not the newest one`;
      frames.delete(ref.page);
    }
    // A page of a mailbox keeps its tombstones and never gets empty.
    for (const page of mailbox === '' ? [] : frames.keys()) return `page ${page} is left out`;
    return null;
  }

  #samePlacement(row: PlacementRow, said: PlacementRow): boolean {
    const same =
      row.emailSeq === said.emailSeq &&
      row.flags === said.flags &&
      row.keywords.join() === said.keywords.join() &&
      row.modSeq === said.modSeq &&
      row.dateMs === said.dateMs &&
      row.savedMs === said.savedMs &&
      row.uidl === said.uidl &&
      row.sizeBytes === said.sizeBytes;
    return same || !this.#isThere(row.emailSeq);
  }

  #isThere(emailSeq: number): boolean {
    return this.#index.emails([emailSeq]).length > 0;
  }

  *#placements(mailbox: string, first: number, end: number): Generator<PlacementRow> {
    for (let after = first - 1; ; ) {
      const rows = this.#index.placements(mailbox, after, pageRows);
      for (const row of rows) if (row.uid < end) yield row;
      after = rows.at(-1)?.uid ?? end;
      if (rows.length < pageRows || after >= end) return;
    }
  }

  *#tombstones(mailbox: string, first: number, end: number): Generator<Tombstone> {
    for (let after = first - 1; ; ) {
      const rows = this.#index.tombstones(mailbox, after, pageRows);
      for (const row of rows) if (row.uid < end) yield row;
      after = rows.at(-1)?.uid ?? end;
      if (rows.length < pageRows || after >= end) return;
    }
  }

  *#changed(mailbox: string, what: 'placement' | 'tombstone', since: number): Generator<Tombstone> {
    for (let after: Tombstone = { uid: behind, modSeq: since }; ; ) {
      const rows = this.#index.changedUids(mailbox, what, after.modSeq, after.uid, pageRows);
      yield* rows;
      after = rows.at(-1) ?? after;
      if (rows.length < pageRows) return;
    }
  }
}

const wrongNumber = (root: SnapshotMailbox, row: MailboxRow, erased: boolean): string | null => {
  if (root.name !== row.name) return 'name';
  if (root.role !== row.role) return 'role';
  if (root.uidValidity !== row.uidValidity) return 'uidvalidity';
  if (root.uidNext < row.uidNext || (root.uidNext > row.uidNext && !erased))
    return `uidnext ${root.uidNext} instead of ${row.uidNext}`;
  if (root.highestModSeq < row.highestModSeq || (root.highestModSeq > row.highestModSeq && !erased))
    return `modseq ${root.highestModSeq} instead of ${row.highestModSeq}`;
  if (root.recentBelow !== row.recentBelow) return 'recent';
  if (root.keywords.join(' ') !== row.keywords.join(' ')) return 'keywords';
  return null;
};

const sameRef = (ref: SnapshotRef, frame: SnapshotRef): boolean =>
  ref.seq === frame.seq && ref.commitment === frame.commitment;

const sameUnplaced = (row: UnplacedEntry, said: UnplacedEntry | undefined): boolean =>
  said !== undefined &&
  row.modSeq === said.modSeq &&
  row.dayCount === said.dayCount &&
  row.timeMs === said.timeMs;
