import type { JsonObject } from '#base/canonical-json';
import { addressKey } from '#message/address';
import type { Directory, KeyRef, MailIndex, UnplacedRow } from '#store/index';
import { type Decision, type DecisionContext, refused } from './decision.ts';

/** Why something was erased, as the ERASED frame says it in clear. */
export type EraseReason = 'expunged' | 'purged';

const dayMs = 86_400_000;

/** Whether the days of a copy are over: as many `day` leaves and as much time by the clock; at once for those of a purged account. */
export const isDue = (row: UnplacedRow, dayCount: number, nowMs: number, days: number): boolean =>
  row.dayCount === 0 && row.timeMs === 0
    ? true
    : dayCount - row.dayCount >= days && nowMs - row.timeMs >= days * dayMs;

/**
 * Erases copies that lie in no mailbox and whose days are over, and the messages that no copy is left of.
 *
 * @param candidates as they were planned: what is due, and what is held, is looked at again here
 */
export const eraseCopies = (
  candidates: readonly UnplacedRow[],
  days: number,
): Decision<{ copies: number; messages: number }> => ({
  accounts: [...new Set(candidates.map(({ account }) => account))],
  reads: 'rows',
  bytes: 128 * candidates.length + 65_536,
  decide: (context) => {
    const { index, directory, nowMs } = context;
    const { dayCount } = index.marks();
    const going = candidates.filter(({ emailSeq, account }) => {
      const [now] = index.unplaced(Number.MAX_SAFE_INTEGER, emailSeq - 1, 1);
      return now?.emailSeq === emailSeq && isDue(now, dayCount, nowMs, days) && !isHeld(directory, account);
    });
    if (going.length === 0) return { kind: 'done', copies: 0, messages: 0 };
    return { kind: 'done', ...erase(context, going) };
  },
});

const erase = (
  { draft, state, index }: DecisionContext,
  going: readonly UnplacedRow[],
): { copies: number; messages: number } => {
  const seqs = going.map(({ emailSeq }) => emailSeq);
  const gone = new Set(seqs);
  const keys: KeyRef[] = [];
  const messages = new Map<number, string>();
  for (const { key, message } of index.emails(seqs)) {
    keys.push(key);
    if (messages.has(message.seq)) continue;
    const isLast = index.emailsOfMessage(message.seq).every(({ emailSeq }) => gone.has(emailSeq));
    if (!isLast) continue;
    messages.set(message.seq, message.id);
    keys.push(message.key);
  }
  for (const account of new Set(going.map((row) => row.account))) keepNumbers(draft, state, index, account);
  const purged = going.every(({ dayCount, timeMs }) => dayCount === 0 && timeMs === 0);
  draft.erased(keys, purged ? 'purged' : 'expunged', [...messages.values()]);
  draft.administrative('erased', {
    copies: going.length,
    messages: messages.size,
    reason: purged ? 'purged' : 'expunged',
  });
  for (const { account } of going) state.touched.add(account);
  return { copies: going.length, messages: messages.size };
};

/** The frames that raised UIDNEXT can soon be read no more: a rebuild finds it here. */
const keepNumbers = (
  draft: DecisionContext['draft'],
  state: DecisionContext['state'],
  index: MailIndex,
  account: string,
): void => {
  const { key, modSeq } = state.account(account);
  const uidNexts = index
    .mailboxes(account)
    .filter(({ uidNext }) => uidNext > 1)
    .map(({ id, uidNext }) => ({ mailbox: id, uidNext }));
  if (key === null || uidNexts.length === 0) return;
  draft.state(
    { id: account, key },
    { mailbox: '', modSeq, actor: 'server', change: { op: 'numbers', uidNexts } },
  );
};

/** A row of the table `hold`; its key is the account's id. */
export interface HoldRow {
  createdMs: number;
  reason: string;
}

export const isHeld = (directory: Directory, account: string): boolean =>
  directory.row('hold', account) !== null;

/** From now on nothing of an account is erased. */
export const addHold = (account: string, reason: string): Decision<object> => ({
  accounts: [account],
  reads: 'rows',
  bytes: 4_096,
  decide: ({ draft, state, directory, nowMs }) => {
    if (isHeld(directory, account)) return refused('exists', 'there is a hold on it already');
    draft.row('hold', account, { createdMs: nowMs, reason });
    // The reason may name people: the ledger says only whose mail stays.
    draft.administrative('hold', { account });
    state.touched.add(account);
    return { kind: 'done' };
  },
});

export const releaseHold = (account: string): Decision<object> => ({
  accounts: [account],
  reads: 'rows',
  bytes: 4_096,
  decide: ({ draft, state, directory }) => {
    if (!isHeld(directory, account)) return refused('unknown', 'there is no hold on it');
    draft.row('hold', account, null);
    draft.administrative('release', { account });
    state.touched.add(account);
    return { kind: 'done' };
  },
});

/**
 * Takes an account away for good: its own key, all rows that name it, aliases that lead only to it. Its copies are due from then on.
 *
 * @param account the account's id, as it was looked up
 */
export const purgeAccount = (
  address: string,
  account: string,
): Decision<{ account: string; aliases: readonly string[] }> => ({
  accounts: [account],
  reads: 'rows',
  structural: true,
  bytes: 1_048_576,
  decide: ({ draft, state, index, directory, addresses, notify }) => {
    const key = addressKey(address);
    const row = key === null ? null : addresses.account(key);
    if (key === null || row?.id !== account) return refused('unknown', `${address} is no account here`);
    if (isHeld(directory, account))
      return refused('held', `${address} is on hold: nothing of it is erased before "fengni hold release"`);
    const { gone, rewritten, versions } = aliasesOf(directory, key);
    for (const [alias, value] of rewritten) draft.row('alias', alias, value);
    const ownKey = index.accountKey(account);
    const keys = [
      ...(ownKey === null ? [] : [ownKey]),
      ...directory.versions('account').flatMap((each) => (each.key === key ? [each.rowKey] : [])),
      ...directory.versions('hold').flatMap((each) => (each.key === account ? [each.rowKey] : [])),
      ...versions,
    ];
    draft.erased(keys, 'purged', []);
    draft.administrative('erased', { account, aliases: gone.length, reason: 'purged' });
    const modSeq = state.nextModSeq(account, draft.nextSeq);
    for (const mailbox of index.mailboxes(account)) {
      state.dropMailbox(mailbox);
      notify({ account, mailbox: mailbox.id, modSeq, origin: '' });
    }
    state.closeAccount(account);
    state.touched.add(account);
    notify({ account, mailbox: '', modSeq, origin: '' });
    return { kind: 'done', account, aliases: gone };
  },
});

/**
 * What an account's end means for aliases, those of earlier days too: which go with it, which go on without it, and the keys of all rows
 * that name its address or that of an alias that goes.
 */
const aliasesOf = (
  directory: Directory,
  account: string,
): { gone: string[]; rewritten: [string, JsonObject][]; versions: KeyRef[] } => {
  const targetsOf = (value: JsonObject | null): readonly string[] =>
    (value?.['targets'] ?? []) as readonly string[];
  const current = new Map(directory.rows('alias').map((row) => [row.key, row.value]));
  const all = directory.versions('alias');
  const names = new Set([account]);
  // An alias whose every target is the account, or such an alias; one that is no more, if it ever led nowhere else.
  for (let before = 0; before !== names.size; ) {
    before = names.size;
    for (const key of new Set(all.map((version) => version.key))) {
      const value = current.get(key);
      const targets =
        value !== undefined
          ? targetsOf(value)
          : all.flatMap((each) => (each.key === key ? targetsOf(each.value) : []));
      if (targets.length > 0 && targets.every((target) => names.has(target))) names.add(key);
    }
  }
  const isNamed = (value: JsonObject | null): boolean => targetsOf(value).some((target) => names.has(target));
  return {
    gone: [...current.keys()].filter((key) => names.has(key)),
    rewritten: [...current]
      .filter(([key, value]) => !names.has(key) && isNamed(value))
      .map(([key, value]) => [
        key,
        { ...value, targets: targetsOf(value).filter((target) => !names.has(target)) },
      ]),
    versions: all.filter(({ key, value }) => names.has(key) || isNamed(value)).map(({ rowKey }) => rowKey),
  };
};
