import fs from 'node:fs';
import path from 'node:path';
import { FengniError } from '#base/errors';
import { addressKey } from '#message/address';
import type { IpcHandler } from '#net/ipc';
import { deliverMethod } from '#net/mailstore';
import type { Administration, NewPassword } from '#services/administration';
import { generatePassword, preparePassword, requireVerifier } from '#services/auth';
import { deliverOnce } from '#services/local-mail';
import type { AttemptLog } from '#services/trace';
import type { Writer } from '#services/writer';
import { nodeIo } from '#store/durable';
import { addressRange, subaddressRange } from '#store/trace';

const firstDomain = 'fengni.test';
const firstAddress = `admin@${firstDomain}`;

/** What the command line asks, over `run/control`: who can open that socket owns the data folder. */
export const controlMethods = (
  writer: Writer,
  administration: Administration,
  dataFolder: string,
  attempts: Pick<AttemptLog, 'forget'>,
): Record<string, IpcHandler> => ({
  /** the first log-in of an empty folder; again until `bootstrapped` says that it was written down */
  bootstrap: async () => {
    if (writer.directory.row('setting', 'bootstrap') !== null) return { result: null };
    const accounts = administration.accounts();
    if (accounts.some(({ address }) => address !== firstAddress)) return { result: null };
    const password = generatePassword(nodeIo.random);
    if (!administration.domains().includes(firstDomain)) await administration.addDomain(firstDomain);
    if (accounts.length === 0) await administration.addAccount(firstAddress, { password });
    else await administration.setPassword(firstAddress, { password });
    return { result: { address: firstAddress, password } };
  },
  bootstrapped: async () => {
    await writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 512,
      decide: ({ draft }) => {
        draft.row('setting', 'bootstrap', { done: true });
        return { kind: 'done' };
      },
    });
  },
  domainAdd: async ({ domain }: { domain: string }) => ({ result: await administration.addDomain(domain) }),
  domainList: () => ({ result: administration.domains() }),
  accountAdd: async ({ address, ...given }: { address: string } & NewPassword) => {
    // Before anything is written: an account whose password was refused would be there without one.
    if ('hash' in given) requireVerifier(given.hash);
    else requirePassword(given.password);
    return { result: await administration.addAccount(address, given) };
  },
  appPasswordAdd: async ({ address, name }: { address: string; name: string }) => ({
    result: await administration.addAppPassword(address, name),
  }),
  appPasswordRemove: async ({ address, name }: { address: string; name: string }) => ({
    result: await administration.removeAppPassword(address, name),
  }),
  appPasswordList: async ({ address }: { address: string }) => ({
    result: await administration.appPasswords(address),
  }),
  accountList: () => ({ result: administration.accounts() }),
  accountShow: ({ address }: { address: string }) => ({ result: administration.account(address) }),
  accountPassword: async ({ address, ...given }: { address: string } & NewPassword) => {
    await administration.setPassword(address, given);
    forgetFirstLogin(dataFolder, address);
  },
  accountDisabled: async ({ address, disabled }: { address: string; disabled: boolean }) => {
    await administration.setDisabled(address, disabled);
  },
  accountPurge: async ({ address }: { address: string }) => {
    const result = await administration.purge(address);
    forgetFirstLogin(dataFolder, address);
    // Last: where that file is damaged the command says so, and all else is done.
    attempts.forget(
      [result.address, ...result.aliases].flatMap((each) => [addressRange(each), subaddressRange(each)]),
    );
    return { result };
  },
  holdAdd: async ({ address, reason }: { address: string; reason: string }) => ({
    result: await administration.addHold(address, reason),
  }),
  holdRelease: async ({ address }: { address: string }) => ({
    result: await administration.releaseHold(address),
  }),
  aliasAdd: async ({ address, targets }: { address: string; targets: string[] }) => ({
    result: await administration.addAlias(address, targets),
  }),
  aliasRemove: async ({ address }: { address: string }) => {
    await administration.removeAlias(address);
  },
  aliasList: () => ({ result: administration.aliases() }),
  /** whether the log has a message: whoever did not hear what became of one asks before it hands it in again */
  messageKnown: ({ id }: { id: string }) => ({ result: writer.index.messageById(id) !== null }),
  /** in place of the other roles' `deliver`: the same message again is the same message */
  deliver: deliverMethod(deliverOnce(writer.deliver, (id) => writer.index.messageById(id)?.seq ?? null)),
  /** what "fengni verify --repair" did, in the sealed log */
  repaired: async ({ files, from }: { files: readonly string[]; from: string }) => {
    let seq = 0;
    await writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 65_536,
      decide: ({ draft }) => {
        seq = draft.nextSeq;
        draft.administrative('repair', { action: 'verify-repair', files, from });
        return { kind: 'done' };
      },
    });
    return { result: { seq } };
  },
  /** waits until a head covers what is durable now */
  settle: async () => {
    await writer.settleHeads();
    return { result: await writer.status() };
  },
});

const requirePassword = (password: string): void => {
  if (preparePassword(password) !== null) return;
  throw new FengniError('password-not-allowed', {
    subject: 'the new password',
    remedy: 'use 1 to 1,024 octets without control characters',
    exitStatus: 2,
  });
};

/** The file with the first password goes when that password is changed, or its account (DESIGN §3). */
const forgetFirstLogin = (dataFolder: string, address: string): void => {
  const file = path.join(dataFolder, 'first-login.txt');
  if (!fs.existsSync(file)) return;
  const first = /^address: (.*)$/m.exec(fs.readFileSync(file, 'utf8'))?.[1] ?? '';
  if (addressKey(first) === addressKey(address)) fs.rmSync(file);
};
