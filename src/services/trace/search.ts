import type { RecipientVerdict } from '#services/mailstore';
import type { Directory, MailIndex } from '#store/index';
import {
  isInRange,
  pathKey,
  peerKey,
  searchKey,
  type TraceCriterion,
  type TraceEvent,
  type TraceQuery,
  type TraceStore,
  type TraceTally,
} from '#store/trace';
import { networkOfKey } from './attempt.ts';
import { putEmails } from './feed.ts';
import { tracedEmails } from './message-events.ts';
import { isOwn, ownTerm, type ReadQuery } from './query.ts';

/** Where one copy of a message is now. */
export type Fate =
  | { kind: 'placed'; mailbox: string; role: string | null; uid: number }
  /** in no mailbox any more since then; it can still be brought back, or waits to be erased */
  | { kind: 'deleted'; timeMs: number }
  /** its account was purged: it is about to be erased */
  | { kind: 'purged' }
  | { kind: 'erased' };

export interface TracedRecipient {
  address: string;
  /** of a refused attempt none */
  fates: Fate[];
}

export interface Traced {
  event: TraceEvent;
  /** those that the one who asks may know of */
  recipients: TracedRecipient[];
  /** null: it would tell that there are others */
  recipientCount: number | null;
}

export interface TraceResult {
  /** newest first */
  found: Traced[];
  /** there are more */
  isCut: boolean;
  /** refusals that were counted only, of the peers and days asked for */
  tallies: TraceTally[];
  /** copies that are in the index and could not be looked through: `trace.db` is still being made */
  behind: number;
}

export interface TraceSources {
  index: MailIndex;
  directory: Directory;
  /** null where the file is not there */
  messages: TraceStore | null;
  attempts: TraceStore | null;
  /** an empty store, in memory: for messages that `messages` does not have yet */
  fresh(): TraceStore;
}

/** Who asks, when it is not the administrator. */
export interface Own {
  accounts: string[];
  addresses: string[];
}

/** copies that came after `trace.db` was written last and are looked through as well */
const tailMax = 5_000;
const tailPage = 500;
const talliesMax = 100;
/** how many more rows are read where some may not be shown */
const hiddenFactor = 5;

/** An account's own addresses: its name, and aliases that lead to it alone or with others. Null where nobody has that address. */
export const ownOf = (
  directory: Directory,
  addresses: { resolve(address: string): RecipientVerdict },
  address: string,
): Own | null => {
  const verdict = addresses.resolve(address);
  if (verdict.kind !== 'accepted') return null;
  const accounts = verdict.recipients.map(({ account }) => account);
  const own = [...directory.rows('account')]
    .filter(({ value }) => accounts.includes(String(value['id'])))
    .map(({ value, key }) => (typeof value['address'] === 'string' ? value['address'] : key));
  for (const { key } of directory.rows('alias')) {
    const leads = addresses.resolve(key);
    if (leads.kind === 'accepted' && leads.recipients.some(({ account }) => accounts.includes(account)))
      own.push(key);
  }
  return { accounts, addresses: own };
};

/**
 * What is known of a query, newest first.
 *
 * @param own null for the administrator; else only mail to and from these is told, and of its recipients these alone
 */
export const searchTrace = (
  sources: TraceSources,
  read: Extract<ReadQuery, { kind: 'query' }>,
  own: Own | null,
  limit: number,
): TraceResult => {
  const query: TraceQuery =
    own === null ? read.query : { ...read.query, terms: [...read.query.terms, ownTerm(own)] };
  const wanted = (limit + 1) * (own === null ? 1 : hiddenFactor);
  const events: TraceEvent[] = [];
  let behind = 0;
  if (read.taken) {
    const seen = new Set<number>();
    const take = (store: TraceStore | null): void => {
      for (const event of store?.search(query, wanted) ?? []) {
        if (seen.has(event.seq)) continue;
        seen.add(event.seq);
        events.push(event);
      }
    };
    const tail = tailOf(sources);
    try {
      // The newer rows first: they have copies that came since.
      take(tail.store);
      take(sources.messages);
    } finally {
      tail.store?.close();
    }
    behind = tail.behind;
  }
  if (read.refused) events.push(...(sources.attempts?.search(query, wanted) ?? []));
  const traced = events
    .sort((a, b) => b.timeMs - a.timeMs || b.seq - a.seq)
    .map((event) => tracedOf(sources.index, event, own))
    .filter((each) => own === null || isStillMet(read.query, each));
  return {
    found: traced.slice(0, limit),
    isCut: traced.length > limit,
    tallies: read.refused && own === null ? talliesOf(sources.attempts, read.query) : [],
    behind,
  };
};

/** What the index has and `trace.db` has not, as far as it is little. */
const tailOf = ({ index, messages, fresh }: TraceSources): { store: TraceStore | null; behind: number } => {
  let after = messages?.appliedSeq() ?? 0;
  if (after >= index.appliedSeq()) return { store: null, behind: 0 };
  const store = fresh();
  for (let taken = 0; taken < tailMax; taken += tailPage) {
    const seqs = index.emailSeqs(after, tailPage);
    putEmails(store, tracedEmails(index, seqs), 0);
    if (seqs.length < tailPage) return { store, behind: 0 };
    after = seqs.at(-1) ?? after;
  }
  let behind = 0;
  for (;;) {
    const seqs = index.emailSeqs(after, 50_000);
    behind += seqs.length;
    if (seqs.length < 50_000) return { store, behind };
    after = seqs.at(-1) ?? after;
  }
};

const tracedOf = (index: MailIndex, event: TraceEvent, own: Own | null): Traced => {
  const isTold = ({ address, account }: TraceEvent['recipients'][number]): boolean =>
    own === null || (account === null ? isOwn(address, own.addresses) : own.accounts.includes(account));
  return {
    event,
    recipients: event.recipients.filter(isTold).map(({ address, account, emailSeq }) => ({
      address,
      fates: account === null || emailSeq === null ? [] : fatesOf(index, account, emailSeq),
    })),
    recipientCount: own === null ? Math.max(event.recipientCount, event.recipients.length) : null,
  };
};

const fatesOf = (index: MailIndex, account: string, emailSeq: number): Fate[] => {
  const placed = index.placementsOf(emailSeq).flatMap(({ mailbox, uid }): Fate[] => {
    const row = index.mailbox(mailbox);
    return row === null ? [] : [{ kind: 'placed', mailbox: row.name, role: row.role, uid }];
  });
  if (placed.length > 0) return placed;
  const [unplaced] = index.unplacedOf(account, emailSeq - 1, 1);
  if (unplaced?.emailSeq === emailSeq)
    return [unplaced.timeMs === 0 ? { kind: 'purged' } : { kind: 'deleted', timeMs: unplaced.timeMs }];
  return [{ kind: 'erased' }];
};

/**
 * Whether a query is met by what may be told: a recipient whom the one who asks must not know of is not found by a question for him
 * either.
 */
const isStillMet = (query: TraceQuery, { event, recipients }: Traced): boolean =>
  query.terms.every((term) =>
    term.some((way) =>
      isMet(way, {
        ...event,
        recipients: event.recipients.filter(({ address }) =>
          recipients.some((each) => each.address === address),
        ),
      }),
    ),
  );

/** Whether an event meets a criterion. */
export const isMet = (way: TraceCriterion, event: TraceEvent): boolean => {
  switch (way.field) {
    case 'from':
      return event.mailFrom !== null && isInRange(pathKey(event.mailFrom), way.range);
    case 'author':
      return event.author !== null && isInRange(searchKey(event.author), way.range);
    case 'to':
      return event.recipients.some(({ address }) => isInRange(searchKey(address), way.range));
    case 'account':
      return event.recipients.some(({ account }) => account === way.value);
    case 'peer': {
      const key = peerKey(event.peer);
      return key !== null && key >= way.first && key <= way.last;
    }
    case 'id':
      return event.id?.startsWith(way.prefix) ?? false;
    case 'sha256':
      return event.sha256Hex?.startsWith(way.prefix) ?? false;
    case 'messageId':
      return event.messageId === way.value;
    case 'session':
      return event.refusal?.session === way.value;
  }
};

/** Counts answer a question for one peer, or for a time alone; of whom else they were nobody knows. */
const talliesOf = (attempts: TraceStore | null, query: TraceQuery): TraceTally[] => {
  if (attempts === null || query.code !== null || query.reason !== null) return [];
  const { sinceMs, untilMs } = query;
  if (query.terms.length === 0) return attempts.tallies({ sinceMs, untilMs, network: null }, talliesMax);
  const [term] = query.terms;
  const [way] = term ?? [];
  if (query.terms.length > 1 || term?.length !== 1 || way?.field !== 'peer' || way.first !== way.last)
    return [];
  return attempts.tallies({ sinceMs, untilMs, network: networkOfKey(way.first) }, talliesMax);
};
