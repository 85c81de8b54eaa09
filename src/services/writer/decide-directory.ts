import { addressKey, parseEnvelopeAddress } from '#message/address';
import { idOf } from '#store/index';
import type { AccountRow } from './addresses.ts';
import { addMailbox } from './decide-mailboxes.ts';
import { type Decision, type DecisionContext, refused } from './decision.ts';

/** Mailboxes that every account has (WIRE, “Mailboxes”), in English whatever the language. */
const firstMailboxes = [
  ['INBOX', null],
  ['Archive', 'Archive'],
  ['Drafts', 'Drafts'],
  ['Junk', 'Junk'],
  ['Sent', 'Sent'],
  ['Trash', 'Trash'],
] as const;

export const addDomain = (domain: string): Decision<{ domain: string }> => ({
  accounts: [],
  reads: 'rows',
  bytes: 1_024,
  decide: ({ draft, addresses, nowMs }) => {
    const asciiDomain = parseEnvelopeAddress(`postmaster@${domain}`)?.asciiDomain ?? null;
    if (asciiDomain === null || asciiDomain.startsWith('['))
      return refused('invalid', `${domain} is not a domain`);
    if (addresses.hasDomain(asciiDomain)) return refused('exists', `${asciiDomain} is here already`);
    draft.row('domain', asciiDomain, { createdMs: nowMs });
    draft.administrative('config', { action: 'domain-add', domain: asciiDomain });
    return { kind: 'done', domain: asciiDomain };
  },
});

/** An account with its mailboxes, in one group. It has no password yet. */
export const addAccount = (address: string): Decision<{ account: string; key: string }> => ({
  accounts: [],
  reads: 'rows',
  bytes: 8_192,
  decide: (context) => {
    const { draft, state, nowMs, notify } = context;
    const found = freeAddress(context, address);
    if (found.kind === 'refused') return found;
    const id = idOf('a', draft.nextSeq);
    const row: AccountRow = { id, address, createdMs: nowMs, disabled: false, passwordVersion: 0 };
    draft.row('account', found.key, { ...row });
    state.openAccount(id, draft.freshKey());
    for (const [name, role] of firstMailboxes) {
      addMailbox(context, id, { name, role, actor: 'admin', subscribed: true });
    }
    draft.administrative('config', { action: 'account-add', account: id });
    notify({ account: id, mailbox: '', modSeq: state.account(id).modSeq, origin: '' });
    return { kind: 'done', account: id, key: found.key };
  },
});

/** A change of one account's row: password set, disabled, enabled. */
export const changeAccount = (
  key: string,
  action: string,
  change: (row: AccountRow) => AccountRow,
): Decision<{ account: string }> => ({
  accounts: [],
  reads: 'rows',
  bytes: 1_024,
  decide: ({ draft, addresses }) => {
    const row = addresses.account(key);
    if (row === null) return refused('unknown', `${key} is no account here`);
    draft.row('account', key, { ...change(row) });
    draft.administrative('config', { action, account: row.id });
    return { kind: 'done', account: row.id };
  },
});

export const addAlias = (address: string, targets: readonly string[]): Decision<{ key: string }> => ({
  accounts: [],
  reads: 'rows',
  bytes: 4_096,
  decide: (context) => {
    const found = freeAddress(context, address);
    if (found.kind === 'refused') return found;
    const keys: string[] = [];
    for (const target of targets) {
      const key = addressKey(target);
      if (key === null || !context.addresses.isTaken(key))
        return refused('unknown', `${target} is no account or alias here`);
      keys.push(key);
    }
    if (keys.length === 0) return refused('invalid', 'an alias leads to at least one account');
    context.draft.row('alias', found.key, { address, targets: keys });
    context.draft.administrative('config', { action: 'alias-add' });
    return { kind: 'done', key: found.key };
  },
});

export const removeAlias = (address: string): Decision<{ key: string }> => ({
  accounts: [],
  reads: 'rows',
  bytes: 1_024,
  decide: ({ draft, directory }) => {
    const key = addressKey(address);
    if (key === null || directory.row('alias', key) === null)
      return refused('unknown', `${address} is no alias here`);
    draft.row('alias', key, null);
    draft.administrative('config', { action: 'alias-remove' });
    return { kind: 'done', key };
  },
});

const freeAddress = (
  { addresses }: DecisionContext,
  address: string,
): { kind: 'free'; key: string } | ReturnType<typeof refused> => {
  const key = addressKey(address);
  const domain = parseEnvelopeAddress(address)?.asciiDomain ?? '';
  if (key === null) return refused('invalid', `${address} is not an address`);
  if (!addresses.hasDomain(domain)) return refused('no-domain', `${domain} is not a domain of this server`);
  if (addresses.isTaken(key)) return refused('exists', `${address} is taken`);
  return { kind: 'free', key };
};
