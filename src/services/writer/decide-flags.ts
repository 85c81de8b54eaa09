import type { Copied } from '#services/mailstore';
import {
  applyFlags,
  type FlagMode,
  flagBits,
  flagNames,
  formatUidSet,
  idOf,
  type MailIndex,
  type PlacementRow,
  parseUidSet,
} from '#store/index';
import { type Decision, noSuchMailbox, refused } from './decision.ts';
import { keywordsMax, tooManyKeywords } from './keywords.ts';
import { uidlOf } from './uidl.ts';
import type { PlacementFlags } from './working-state.ts';

/** messages that one command may change at once: what a frame holds */
const placementsMax = 1_000_000;

/** changes beyond which a command of flags has the rest of its group to itself: what they make of each message is kept until then */
const sharedChangesMax = 1_000;

const deletedBit = flagBits(['\\Deleted']).bits;

/** STORE: one STATE frame, the UIDs whose flags really change. */
export const changeFlags = (request: {
  account: string;
  mailbox: string;
  uids: string;
  mode: FlagMode;
  flags: readonly string[];
  unchangedSince?: number;
  origin: string;
}): Decision<{ modSeq: number; uids: string; modified?: string }> => ({
  accounts: [request.account],
  reads: 'flags',
  bytes: 4_096,
  decide: ({ draft, state, index, notify }) => {
    const mailbox = state.row(request.mailbox);
    if (mailbox === null || mailbox.account !== request.account) return noSuchMailbox;
    const { bits, keywords } = flagBits(request.flags);
    if (request.mode !== 'remove' && tooManyKeywords(request.flags, mailbox.keywords)) {
      return refused('LIMIT', `No more than ${keywordsMax} keywords in a mailbox`);
    }
    const known = mailbox.keywords.map((keyword) => keyword.toLowerCase());
    const positions = keywords.map((keyword) => known.indexOf(keyword.toLowerCase()));
    // A keyword that the mailbox has never seen changes every message that gets it.
    const hasNew = positions.includes(-1) && request.mode !== 'remove';
    const change = { bits, keywords: positions.filter((position) => position >= 0) };
    const since = request.unchangedSince ?? Number.POSITIVE_INFINITY;
    const pending = state.pendingFlags(request.mailbox);
    const modifiedUids: number[] = [];
    const changed: [uid: number, flags: PlacementFlags][] = [];
    for (const { uid, flags, keywords, modSeq } of placementsIn(index, request.mailbox, request.uids)) {
      const before = pending?.after.get(uid) ?? { bits: flags, keywords, modSeq };
      if (before.modSeq > since) {
        modifiedUids.push(uid);
        continue;
      }
      const after = applyFlags(before, request.mode, change);
      if (hasNew || after.bits !== before.bits || after.keywords.join() !== before.keywords.join())
        changed.push([uid, after]);
    }
    const modified = request.unchangedSince === undefined ? {} : { modified: formatUidSet(modifiedUids) };
    if (changed.length === 0) {
      const modSeq = Math.max(mailbox.highestModSeq, pending?.modSeq ?? 0);
      return { kind: 'done', modSeq, uids: '', ...modified };
    }
    const key = state.account(request.account).key;
    if (key === null) return noSuchMailbox;
    const uids = formatUidSet(changed.map(([uid]) => uid));
    const modSeq = state.nextModSeq(request.account, draft.nextSeq);
    draft.state(
      { id: request.account, key },
      {
        mailbox: request.mailbox,
        modSeq,
        actor: 'owner',
        change: { op: 'flags', mode: request.mode, flags: request.flags, uids },
      },
    );
    if (hasNew || changed.length > sharedChangesMax) state.touched.add(request.account);
    else state.changeFlags(request.account, request.mailbox, modSeq, changed);
    notify({ account: request.account, mailbox: request.mailbox, modSeq, origin: request.origin });
    return { kind: 'done', modSeq, uids, ...modified };
  },
});

export const expunge = (request: {
  account: string;
  mailbox: string;
  uids: string;
  deletedOnly: boolean;
  origin: string;
}): Decision<{ modSeq: number; uids: string }> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 4_096,
  decide: ({ draft, state, index, notify }) => {
    const mailbox = index.mailbox(request.mailbox);
    if (mailbox === null || mailbox.account !== request.account) return noSuchMailbox;
    const gone = placementsIn(index, request.mailbox, request.uids).filter(
      ({ flags }) => !request.deletedOnly || (flags & deletedBit) !== 0,
    );
    if (gone.length === 0) return { kind: 'done', modSeq: mailbox.highestModSeq, uids: '' };
    const key = state.account(request.account).key;
    if (key === null) return noSuchMailbox;
    const uids = formatUidSet(gone.map(({ uid }) => uid));
    const modSeq = state.nextModSeq(request.account, draft.nextSeq);
    draft.state(
      { id: request.account, key },
      { mailbox: request.mailbox, modSeq, actor: 'owner', change: { op: 'expunge', uids } },
    );
    state.touched.add(request.account);
    notify({ account: request.account, mailbox: request.mailbox, modSeq, origin: request.origin });
    return { kind: 'done', modSeq, uids };
  },
});

/** COPY keeps emailId and INTERNALDATE and makes a new UIDL; MOVE keeps the UIDL too (FORMATS §3). */
export const copy = (request: {
  account: string;
  mailbox: string;
  uids: string;
  target: string;
  move: boolean;
  origin: string;
}): Decision<Copied> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 65_536,
  decide: ({ draft, state, index, nowMs, notify }) => {
    const { account } = request;
    const source = index.mailbox(request.mailbox);
    const target = index.mailbox(request.target);
    if (source === null || source.account !== account) return noSuchMailbox;
    if (target === null || target.account !== account) return refused('TRYCREATE', 'No such target mailbox');
    const placements = placementsIn(index, request.mailbox, request.uids);
    const done = { kind: 'done' as const, targetMailbox: target.id, uidValidity: target.uidValidity };
    if (placements.length === 0) return { ...done, from: [], to: [] };
    const names = placements.map((each) => flagNames(each.flags, each.keywords, source.keywords));
    if (tooManyKeywords(names.flat(), target.keywords)) {
      return refused('LIMIT', `No more than ${keywordsMax} keywords in a mailbox`);
    }
    const key = state.account(account).key;
    if (key === null) return noSuchMailbox;
    const placed = placements.map((placement, at) => {
      const uid = state.takeUid(target.id);
      return {
        uid,
        emailId: idOf('e', placement.emailSeq),
        flags: names[at] ?? [],
        dateMs: placement.dateMs,
        savedMs: nowMs,
        uidl: request.move ? placement.uidl : uidlOf(target.uidValidity, uid),
      };
    });
    let modSeq = state.nextModSeq(account, draft.nextSeq);
    draft.state(
      { id: account, key },
      { mailbox: target.id, modSeq, actor: 'owner', change: { op: 'place', placements: placed } },
    );
    notify({ account, mailbox: target.id, modSeq, origin: request.origin });
    const from = placements.map(({ uid }) => uid);
    if (request.move) {
      modSeq = state.nextModSeq(account, draft.nextSeq);
      draft.state(
        { id: account, key },
        { mailbox: source.id, modSeq, actor: 'owner', change: { op: 'expunge', uids: formatUidSet(from) } },
      );
      notify({ account, mailbox: source.id, modSeq, origin: request.origin });
    }
    state.touched.add(account);
    return { ...done, from, to: placed.map(({ uid }) => uid) };
  },
});

/** Those of a set that are there, ascending. */
const placementsIn = (index: MailIndex, mailbox: string, uids: string): PlacementRow[] => {
  const found: PlacementRow[] = [];
  for (const { first, last } of parseUidSet(uids) ?? []) {
    let after = first - 1;
    while (after < last && found.length < placementsMax) {
      const page = index.placements(mailbox, after, Math.min(1_000, last - after));
      for (const placement of page) if (placement.uid <= last) found.push(placement);
      const end = page.at(-1)?.uid;
      if (end === undefined || end >= last || page.length < Math.min(1_000, last - after)) break;
      after = end;
    }
  }
  return found;
};
