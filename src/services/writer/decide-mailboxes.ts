import {
  flagNames,
  formatUidSet,
  idOf,
  type MailboxRow,
  type MailIndex,
  type PlacementRow,
} from '#store/index';
import { type Decision, type DecisionContext, noSuchMailbox, refused } from './decision.ts';

const mailboxesMax = 10_000;
const levelsMax = 20;
const levelBytesMax = 255;

/** Names that WIRE keeps for other people's mail. */
const reservedTops = ['Other Users', 'Shared Folders'];

/** Why a name cannot be a mailbox, or null. @source WIRE “Mailboxes” */
export const nameFault = (name: string): string | null => {
  const levels = name.split('/');
  if (name.normalize('NFC') !== name || !name.isWellFormed()) return 'The name is not NFC UTF-8';
  if (levels.some((level) => level === '')) return 'A level of the name is empty';
  if (levels.length > levelsMax) return `More than ${levelsMax} levels`;
  if (levels.some((level) => Buffer.byteLength(level) > levelBytesMax))
    return `A level of more than ${levelBytesMax} octets`;
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(name)) return 'The name has control characters';
  if (reservedTops.includes(levels[0] ?? '')) return 'The name is reserved';
  // INBOX folds case at the top alone; a second spelling would be a second mailbox of that name.
  if (/^inbox$/i.test(levels[0] ?? '') && levels[0] !== 'INBOX') return 'INBOX is written in capitals';
  return null;
};

/** CREATE: missing upper levels are made too (RFC 9051 §6.3.4). */
export const createMailbox = (request: {
  account: string;
  name: string;
  role: string | null;
  origin: string;
}): Decision<{ mailbox: string }> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 4_096,
  decide: (context) => {
    const { state, index } = context;
    const fault = nameFault(request.name);
    if (fault !== null) return refused('CANNOT', fault);
    const existing = index.mailboxes(request.account);
    const names = new Set(existing.map(({ name }) => name));
    if (names.has(request.name)) return refused('ALREADYEXISTS', 'Mailbox already exists');
    if (request.role !== null && existing.some(({ role }) => role === request.role)) {
      return refused('USEATTR', 'Another mailbox has this use');
    }
    const levels = request.name.split('/');
    const missing = levels
      .map((_, at) => levels.slice(0, at + 1).join('/'))
      .filter((name) => !names.has(name));
    if (existing.length + missing.length > mailboxesMax)
      return refused('LIMIT', `No more than ${mailboxesMax} mailboxes`);
    if (state.account(request.account).key === null) return noSuchMailbox;
    let mailbox = '';
    for (const name of missing) {
      mailbox = addMailbox(context, request.account, {
        name,
        role: name === request.name ? request.role : null,
        actor: 'owner',
        subscribed: false,
      });
    }
    context.notify({
      account: request.account,
      mailbox: '',
      modSeq: state.account(request.account).modSeq,
      origin: request.origin,
    });
    return { kind: 'done', mailbox };
  },
});

/** Logs a new mailbox; its id is the frame's number. */
export const addMailbox = (
  { draft, state, nowMs }: Pick<DecisionContext, 'draft' | 'state' | 'nowMs'>,
  account: string,
  mailbox: { name: string; role: string | null; actor: string; subscribed: boolean },
): string => {
  const { key } = state.account(account);
  if (key === null) throw new Error(`account ${account} has no key`);
  const id = idOf('m', draft.nextSeq);
  const modSeq = state.nextModSeq(account, draft.nextSeq);
  const uidValidity = state.nextUidValidity(account, nowMs);
  const { name, role, actor, subscribed } = mailbox;
  draft.state(
    { id: account, key },
    { mailbox: id, modSeq, actor, change: { op: 'create', name, role, uidValidity, subscribed } },
  );
  state.touched.add(account);
  return id;
};

/** DELETE: what lies below it stays (RFC 9051 §6.3.5); INBOX cannot go. */
export const deleteMailbox = (request: {
  account: string;
  mailbox: string;
  origin: string;
}): Decision<object> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 4_096,
  decide: ({ draft, state, index, notify }) => {
    const mailbox = index.mailbox(request.mailbox);
    if (mailbox === null || mailbox.account !== request.account) return noSuchMailbox;
    if (mailbox.name === 'INBOX') return refused('CANNOT', 'INBOX cannot be deleted');
    const { key } = state.account(request.account);
    if (key === null) return noSuchMailbox;
    const modSeq = state.nextModSeq(request.account, draft.nextSeq);
    draft.state(
      { id: request.account, key },
      { mailbox: mailbox.id, modSeq, actor: 'owner', change: { op: 'delete' } },
    );
    state.dropMailbox(mailbox);
    state.touched.add(request.account);
    notify({ account: request.account, mailbox: mailbox.id, modSeq, origin: request.origin });
    notify({ account: request.account, mailbox: '', modSeq, origin: request.origin });
    return { kind: 'done' };
  },
});

/** RENAME with everything below; of INBOX the mail only (RFC 9051 §6.3.6). */
export const renameMailbox = (request: {
  account: string;
  mailbox: string;
  name: string;
  origin: string;
}): Decision<object> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 65_536,
  decide: (context) => {
    const { draft, state, index, notify } = context;
    const { account, name, origin } = request;
    const fault = nameFault(name);
    if (fault !== null) return refused('CANNOT', fault);
    const all = index.mailboxes(account);
    const names = new Set(all.map((each) => each.name));
    const source = all.find(({ id }) => id === request.mailbox);
    if (source === undefined) return noSuchMailbox;
    if (names.has(name)) return refused('ALREADYEXISTS', 'Mailbox already exists');
    if (name.startsWith(`${source.name}/`))
      return refused('CANNOT', 'A mailbox cannot be moved below itself');
    const { key } = state.account(account);
    if (key === null) return noSuchMailbox;
    const below =
      source.name === 'INBOX' ? [] : all.filter((each) => each.name.startsWith(`${source.name}/`));
    const renamed = below.map((each) => ({ row: each, name: name + each.name.slice(source.name.length) }));
    const clash = renamed.find((each) => names.has(each.name) || nameFault(each.name) !== null);
    if (clash !== undefined) return refused('CANNOT', 'A mailbox below it cannot have its new name');
    const levels = name.split('/').slice(0, -1);
    const missing = levels
      .map((_, at) => levels.slice(0, at + 1).join('/'))
      .filter((upper) => !names.has(upper));
    for (const upper of missing)
      addMailbox(context, account, { name: upper, role: null, actor: 'owner', subscribed: false });
    if (source.name === 'INBOX') moveAll(context, account, source, name, origin);
    else {
      for (const each of [{ row: source, name }, ...renamed]) {
        const modSeq = state.nextModSeq(account, draft.nextSeq);
        draft.state(
          { id: account, key },
          { mailbox: each.row.id, modSeq, actor: 'owner', change: { op: 'rename', name: each.name } },
        );
      }
    }
    state.touched.add(account);
    notify({ account, mailbox: '', modSeq: state.account(account).modSeq, origin });
    return { kind: 'done' };
  },
});

const moveAll = (
  context: DecisionContext,
  account: string,
  source: MailboxRow,
  name: string,
  origin: string,
): void => {
  const { draft, state, index, nowMs, notify } = context;
  const target = addMailbox(context, account, { name, role: null, actor: 'owner', subscribed: false });
  const placements = everyPlacement(index, source.id);
  const { key } = state.account(account);
  if (placements.length === 0 || key === null) return;
  let modSeq = state.nextModSeq(account, draft.nextSeq);
  const placed = placements.map((placement, at) => ({
    uid: at + 1,
    emailId: idOf('e', placement.emailSeq),
    flags: flagNames(placement.flags, placement.keywords, source.keywords),
    dateMs: placement.dateMs,
    savedMs: nowMs,
    uidl: placement.uidl,
  }));
  draft.state(
    { id: account, key },
    { mailbox: target, modSeq, actor: 'owner', change: { op: 'place', placements: placed } },
  );
  modSeq = state.nextModSeq(account, draft.nextSeq);
  const uids = formatUidSet(placements.map(({ uid }) => uid));
  draft.state(
    { id: account, key },
    { mailbox: source.id, modSeq, actor: 'owner', change: { op: 'expunge', uids } },
  );
  notify({ account, mailbox: source.id, modSeq, origin });
};

const everyPlacement = (index: MailIndex, mailbox: string): PlacementRow[] => {
  const all: PlacementRow[] = [];
  for (let after = 0; ; ) {
    const page = index.placements(mailbox, after, 1_000);
    all.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < 1_000) return all;
    after = last.uid;
  }
};

/** SUBSCRIBE and UNSUBSCRIBE: by name, which need not exist. */
export const subscribe = (request: {
  account: string;
  name: string;
  subscribed: boolean;
  origin: string;
}): Decision<object> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 2_048,
  decide: ({ draft, state, index, notify }) => {
    const { account, name, subscribed } = request;
    const subscriptions = index.subscriptions(account);
    if (subscriptions.includes(name) === subscribed) return { kind: 'done' };
    const fault = nameFault(name);
    if (fault !== null) return refused('CANNOT', fault);
    if (subscribed && subscriptions.length >= mailboxesMax)
      return refused('LIMIT', `No more than ${mailboxesMax} subscriptions`);
    const { key } = state.account(account);
    if (key === null) return noSuchMailbox;
    const modSeq = state.nextModSeq(account, draft.nextSeq);
    const mailbox = index.mailboxByName(account, name)?.id ?? '';
    draft.state(
      { id: account, key },
      { mailbox, modSeq, actor: 'owner', change: { op: 'subscribe', name, subscribed } },
    );
    state.touched.add(account);
    notify({ account, mailbox: '', modSeq, origin: request.origin });
    return { kind: 'done' };
  },
});

/** `\Recent`: the mark moves and never goes back. It is no change that a session is told of, so it has no MODSEQ of its own. */
export const markRecent = (request: {
  account: string;
  mailbox: string;
  below: number;
}): Decision<{ recentFrom: number }> => ({
  accounts: [request.account],
  reads: 'rows',
  bytes: 1_024,
  decide: ({ draft, state, index }) => {
    const mailbox = index.mailbox(request.mailbox);
    if (mailbox === null || mailbox.account !== request.account) return noSuchMailbox;
    if (mailbox.recentBelow >= request.below) return { kind: 'done', recentFrom: mailbox.recentBelow };
    const { key, modSeq } = state.account(request.account);
    if (key === null) return noSuchMailbox;
    draft.state(
      { id: request.account, key },
      { mailbox: mailbox.id, modSeq, actor: 'owner', change: { op: 'recent', below: request.below } },
    );
    state.touched.add(request.account);
    return { kind: 'done', recentFrom: mailbox.recentBelow };
  },
});
