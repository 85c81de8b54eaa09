import { addressKey, localPartKey, parseEnvelopeAddress, splitSubaddress } from '#message/address';
import type { RecipientVerdict } from '#services/mailstore';
import type { Directory, RowEvent } from '#store/index';

/** A row of the table `account`; its key is the address's key (docs/formats/tables.md). */
export interface AccountRow {
  /** `a` and a number */
  id: string;
  /** the address as it was typed */
  address: string;
  createdMs: number;
  disabled: boolean;
  /** how often its password was set */
  passwordVersion: number;
}

/** Who is here, by address: what RCPT TO asks, without a look into a database. */
export interface Addresses {
  /** takes the effect of rows that are durable */
  apply(rows: readonly RowEvent[]): void;
  /** takes what the directory has, after rows were erased */
  reload(): void;
  resolve(address: string): RecipientVerdict;
  account(key: string): AccountRow | null;
  accountCount(): number;
  hasDomain(asciiDomain: string): boolean;
  isTaken(key: string): boolean;
}

/** Addresses that work in every domain of ours whether or not an account has them (RFC 5321 §4.5.1, RFC 2142 §4). */
const roleLocalParts = ['postmaster', 'abuse'];

const separators = ['+'];
const aliasDepthMax = 10;

export const createAddresses = (directory: Directory): Addresses => {
  const domains = new Set<string>();
  const accounts = new Map<string, AccountRow>();
  const aliases = new Map<string, readonly string[]>();

  const take = ({ table, key, value }: Pick<RowEvent, 'table' | 'key' | 'value'>): void => {
    switch (table) {
      case 'domain':
        if (value === null) domains.delete(key);
        else domains.add(key);
        break;
      case 'account':
        if (value === null) accounts.delete(key);
        else accounts.set(key, value as unknown as AccountRow);
        break;
      case 'alias':
        if (value === null) aliases.delete(key);
        else aliases.set(key, value['targets'] as readonly string[]);
        break;
      default:
    }
  };
  const reload = (): void => {
    for (const map of [domains, accounts, aliases]) map.clear();
    for (const table of ['domain', 'account', 'alias']) for (const row of directory.rows(table)) take(row);
  };
  reload();

  /** keys of accounts behind an address's key; an alias may lead to aliases, and a loop ends */
  const expand = (key: string, depth = 0): string[] => {
    if (accounts.has(key)) return [key];
    if (depth > aliasDepthMax) return [];
    return (aliases.get(key) ?? []).flatMap((target) => expand(target, depth + 1));
  };

  /** the account that answers for a domain: the oldest that is not disabled */
  const postmaster = (): string[] => {
    let oldest: [string, AccountRow] | null = null;
    for (const entry of accounts) {
      if (!entry[1].disabled && (oldest === null || entry[1].createdMs < oldest[1].createdMs)) oldest = entry;
    }
    return oldest === null ? [] : [oldest[0]];
  };

  const verdict = (keys: readonly string[], detail: string | null): RecipientVerdict => {
    const found = [...new Set(keys)].map((key) => accounts.get(key) as AccountRow);
    const open = found.filter((account) => !account.disabled);
    if (open.length === 0) return { kind: found.length > 0 ? 'disabled' : 'unknown' };
    return { kind: 'accepted', recipients: open.map(({ id }) => ({ account: id, detail })) };
  };

  return {
    apply: (rows) => rows.forEach(take),
    reload,
    account: (key) => accounts.get(key) ?? null,
    accountCount: () => accounts.size,
    hasDomain: (domain) => domains.has(domain),
    isTaken: (key) => accounts.has(key) || aliases.has(key),
    resolve: (address) => {
      const parsed = parseEnvelopeAddress(address);
      if (parsed === null) return { kind: 'unknown' };
      const isBare = parsed.asciiDomain === '';
      if (!isBare && !domains.has(parsed.asciiDomain)) return { kind: 'relay' };
      const key = isBare ? null : addressKey(address);
      const literal = key === null ? [] : expand(key);
      if (literal.length > 0) return verdict(literal, null);
      const split = isBare ? null : splitSubaddress(parsed.localPart, separators);
      if (split !== null) {
        const base = expand(`${localPartKey(split.user)}@${parsed.asciiDomain}`);
        if (base.length > 0) return verdict(base, split.detail);
      }
      if (roleLocalParts.includes(parsed.localPart.toLowerCase())) return verdict(postmaster(), null);
      return { kind: 'unknown' };
    },
  };
};
