import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { addressKey } from '#message/address';
import type { MailstoreOutcome } from '#services/mailstore';
import {
  type AccountRow,
  addAccount,
  addAlias,
  addDomain,
  addHold,
  type CommitQueue,
  changeAccount,
  type HoldRow,
  isHeld,
  purgeAccount,
  releaseHold,
  removeAlias,
} from '#services/writer';
import type { Directory } from '#store/index';

/** The `auth` role, as the writer asks it. */
export interface AuthPort {
  setPassword(account: { user: string; account: string; password: string }): Promise<AuthChange>;
  setPasswordHash(account: { user: string; account: string; hash: string }): Promise<AuthChange>;
  addAppPassword(account: { user: string; name: string }): Promise<{ password: string; change: AuthChange }>;
  /** null when there is none of this name */
  removeAppPassword(account: { user: string; name: string }): Promise<AuthChange | null>;
  appPasswords(user: string): Promise<readonly ListedAppPassword[]>;
  disable(user: string): Promise<AuthChange | null>;
  enable(user: string): Promise<AuthChange | null>;
  /** null when it has no verifier */
  removeAccount(user: string): Promise<AuthChange | null>;
  unconfirmed(): Promise<readonly AuthChange[]>;
  confirm(id: number): Promise<void>;
}

interface AuthChange {
  id: number;
  kind: string;
  user: string;
  account: string;
  version: number;
}

/** What is told of an app password once it was shown. */
export interface ListedAppPassword {
  name: string;
  createdMs: number;
}

/** A password, or the hash that another server made of one. */
export type NewPassword = { password: string } | { hash: string };

export interface ListedAccount {
  account: string;
  address: string;
  disabled: boolean;
  hasPassword: boolean;
  createdMs: number;
}

export interface Administration {
  /** @throws {FengniError} `domain-refused` */
  addDomain(domain: string): Promise<{ domain: string }>;
  domains(): string[];
  /** @throws {FengniError} `account-refused`, `password-not-allowed`, `password-hash-refused` */
  addAccount(address: string, password: NewPassword): Promise<{ account: string; address: string }>;
  setPassword(address: string, password: NewPassword): Promise<void>;
  /**
   * Makes a password for one program, and tells it this once.
   *
   * @throws {FengniError} `account-refused`, `app-password-refused`
   */
  addAppPassword(address: string, name: string): Promise<{ address: string; name: string; password: string }>;
  /** @throws {FengniError} `account-refused`, `app-password-refused` */
  removeAppPassword(address: string, name: string): Promise<{ address: string; name: string }>;
  appPasswords(address: string): Promise<readonly ListedAppPassword[]>;
  setDisabled(address: string, disabled: boolean): Promise<void>;
  accounts(): ListedAccount[];
  account(address: string): ListedAccount | null;
  addAlias(address: string, targets: readonly string[]): Promise<{ address: string }>;
  removeAlias(address: string): Promise<void>;
  aliases(): { address: string; targets: readonly string[] }[];
  /**
   * Erases an account and all that it had, for good: copies, names of mailboxes, rows, aliases that lead only to it, its verifier. What
   * others received stays theirs.
   *
   * @throws {FengniError} `account-refused`, `account-on-hold`
   */
  purge(
    address: string,
  ): Promise<{ account: string; address: string; aliases: readonly string[]; copies: number }>;
  /** @throws {FengniError} `hold-refused`, `account-refused` */
  addHold(address: string, reason: string): Promise<{ address: string }>;
  releaseHold(address: string): Promise<{ address: string }>;
  holds(): { address: string; account: string; createdMs: number; reason: string }[];
  /** writes the rows of changes that a crash cut off from theirs */
  finishChanges(): Promise<number>;
}

const reasonLengthMax = 1_000;

export const createAdministration = (options: {
  queue: Pick<CommitQueue, 'submit'>;
  directory: Directory;
  auth: AuthPort;
  /** erases what is due, and tells how many copies */
  eraseDue(): Promise<number>;
  logger: Logger;
}): Administration => {
  const { queue, directory, auth, logger } = options;

  const keyOf = (address: string): string => {
    const key = addressKey(address);
    if (key === null) throw refusedWith('account-refused', `${address} is not an address`);
    return key;
  };
  const rowOf = (address: string): { key: string; row: AccountRow } => {
    const key = keyOf(address);
    const row = directory.row('account', key);
    if (row === null) throw refusedWith('account-refused', `${address} is no account here`);
    return { key, row: row as unknown as AccountRow };
  };
  /** the row that a change of `secrets.db` asks for; then the change is done */
  const follow = async (change: AuthChange): Promise<void> => {
    if (change.kind === 'account-removed') {
      // A purge that a crash cut off goes on; the address may have gone meanwhile, and is somebody else's then.
      const outcome = await queue.submit(purgeAccount(change.user, change.account));
      if (outcome.kind === 'done') await options.eraseDue();
      await auth.confirm(change.id);
      return;
    }
    await queue.submit(
      changeAccount(change.user, change.kind, (row) => ({
        ...row,
        passwordVersion: Math.max(row.passwordVersion, change.version),
        disabled:
          change.kind === 'account-disabled'
            ? true
            : change.kind === 'account-enabled'
              ? false
              : row.disabled,
      })),
    );
    await auth.confirm(change.id);
  };
  const setVerifier = (user: string, account: string, given: NewPassword): Promise<AuthChange> =>
    'hash' in given
      ? auth.setPasswordHash({ user, account, hash: given.hash })
      : auth.setPassword({ user, account, password: given.password });
  const listed = (value: unknown): ListedAccount => {
    const row = value as AccountRow;
    return {
      account: row.id,
      address: row.address,
      disabled: row.disabled,
      hasPassword: row.passwordVersion > 0,
      createdMs: row.createdMs,
    };
  };

  return {
    addDomain: async (domain) => {
      const outcome = await queue.submit(addDomain(domain));
      return { domain: done(outcome, 'domain-refused').domain };
    },
    domains: () => directory.rows('domain').map(({ key }) => key),
    addAccount: async (address, password) => {
      const outcome = await queue.submit(addAccount(address));
      const { account, key } = done(outcome, 'account-refused');
      await follow(await setVerifier(key, account, password));
      return { account, address: key };
    },
    setPassword: async (address, password) => {
      const { key, row } = rowOf(address);
      await follow(await setVerifier(key, row.id, password));
    },
    addAppPassword: async (address, name) => {
      const { key } = rowOf(address);
      const { password, change } = await auth.addAppPassword({ user: key, name });
      await follow(change);
      return { address: key, name, password };
    },
    removeAppPassword: async (address, name) => {
      const { key } = rowOf(address);
      const change = await auth.removeAppPassword({ user: key, name });
      if (change === null) {
        throw new FengniError('app-password-refused', {
          subject: `${key} has none named ${name}`,
          remedy: `see "fengni account app-password list ${key}"`,
          exitStatus: 2,
        });
      }
      await follow(change);
      return { address: key, name };
    },
    appPasswords: async (address) => {
      const passwords = await auth.appPasswords(rowOf(address).key);
      return passwords.map(({ name, createdMs }) => ({ name, createdMs }));
    },
    setDisabled: async (address, disabled) => {
      const { key } = rowOf(address);
      const change = await (disabled ? auth.disable(key) : auth.enable(key));
      if (change !== null) await follow(change);
      else {
        // An account without a password has no verifier; mail for it stops all the same.
        const action = disabled ? 'account-disabled' : 'account-enabled';
        done(
          await queue.submit(changeAccount(key, action, (row) => ({ ...row, disabled }))),
          'account-refused',
        );
      }
    },
    accounts: () => directory.rows('account').map(({ value }) => listed(value)),
    account: (address) => {
      const row = directory.row('account', keyOf(address));
      return row === null ? null : listed(row);
    },
    addAlias: async (address, targets) => {
      const outcome = await queue.submit(addAlias(address, targets));
      return { address: done(outcome, 'alias-refused').key };
    },
    removeAlias: async (address) => {
      done(await queue.submit(removeAlias(address)), 'alias-refused');
    },
    aliases: () =>
      directory
        .rows('alias')
        .map(({ key, value }) => ({ address: key, targets: value['targets'] as readonly string[] })),
    purge: async (address) => {
      const { key, row } = rowOf(address);
      const onHold = (): FengniError =>
        new FengniError('account-on-hold', {
          subject: key,
          remedy: `see "fengni hold list"; "fengni hold release ${key}" ends it`,
          exitStatus: 1,
        });
      if (isHeld(directory, row.id)) throw onHold();
      // What is durable in secrets.db comes first: cut off here, the next start goes on (`follow`).
      const change = await auth.removeAccount(key);
      const outcome = await queue.submit(purgeAccount(key, row.id));
      if (outcome.kind === 'refused' && outcome.code === 'held') throw onHold();
      const { account, aliases } = done(outcome, 'account-refused');
      const copies = await options.eraseDue();
      if (change !== null) await auth.confirm(change.id);
      return { account, address: key, aliases, copies };
    },
    addHold: async (address, reason) => {
      const { key, row } = rowOf(address);
      if (reason.length > reasonLengthMax || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(reason))
        throw refusedWith('hold-refused', `the reason is no line of at most ${reasonLengthMax} characters`);
      held(await queue.submit(addHold(row.id, reason)), key);
      return { address: key };
    },
    releaseHold: async (address) => {
      const { key, row } = rowOf(address);
      held(await queue.submit(releaseHold(row.id)), key);
      return { address: key };
    },
    holds: () => {
      const addresses = new Map(directory.rows('account').map(({ key, value }) => [value['id'], key]));
      return directory.rows('hold').map(({ key, value }) => {
        const { createdMs, reason } = value as unknown as HoldRow;
        return { address: addresses.get(key) ?? key, account: key, createdMs, reason };
      });
    },
    finishChanges: async () => {
      let count = 0;
      for (;;) {
        const changes = await auth.unconfirmed();
        if (changes.length === 0) break;
        for (const change of changes) await follow(change);
        count += changes.length;
      }
      if (count > 0) logger.warn('rows of password changes were written after a crash', { count });
      return count;
    },
  };
};

const done = <T>(outcome: MailstoreOutcome<T>, code: string): T => {
  if (outcome.kind === 'refused') throw refusedWith(code, outcome.text);
  return outcome;
};

const held = (outcome: MailstoreOutcome<object>, address: string): void => {
  if (outcome.kind === 'refused') throw refusedWith('hold-refused', `${address}: ${outcome.text}`);
};

const refusedWith = (code: string, subject: string): FengniError =>
  new FengniError(code, {
    subject,
    remedy: 'see "fengni domain list", "fengni account list" and "fengni alias list"',
    exitStatus: 2,
  });
