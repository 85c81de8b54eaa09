import type { Clock, Random } from '#base/clock';
import type { Logger } from '#base/logger';
import type { ImapLogin } from '#protocols/imap';
import type { AccessGate } from '#services/access';
import type { Login } from '#services/login';
import type { MailstoreWriter } from '#services/mailstore';
import type { MailIndex } from '#store/index';
import { MailboxAccount } from './account.ts';
import { HeldOctets } from './append.ts';
import { SharedMailboxes } from './shared-mailboxes.ts';
import { TextsCache } from './texts-cache.ts';

export interface MailboxesOptions {
  login: Login;
  index: MailIndex;
  gate: AccessGate;
  writer: MailstoreWriter;
  clock: Clock;
  random: Random;
  logger: Logger;
  /** octets of messages being appended that this process holds; beyond it an APPEND is refused for a while */
  heldBytesMax?: number;
}

/** What the sessions of a process share. */
export interface MailboxesContext extends MailboxesOptions {
  readonly shared: SharedMailboxes;
  readonly texts: TextsCache;
  readonly held: HeldOctets;
}

/** Lets IMAP sessions into their accounts. `close` ends the watch on the writer. */
export const createImapLogin = (options: MailboxesOptions): ImapLogin & { close(): void } => {
  const shared = new SharedMailboxes(options.index);
  const context: MailboxesContext = {
    ...options,
    shared,
    texts: new TextsCache(),
    held: new HeldOctets(options.heldBytesMax ?? 256 * 1024 * 1024),
  };
  const unwatch = options.writer.onChange((change) => {
    try {
      shared.changed(change);
    } catch (error) {
      // The sessions see the change at the next notice; a damaged row is refused to whoever asks for it.
      options.logger.error('mailbox cannot follow the writer', {
        mailbox: change.mailbox,
        cause: String(error),
      });
    }
  });
  return {
    verify: async ({ authorizationId, authenticationId, password, connection }) => {
      if (authorizationId !== '' && authorizationId !== authenticationId) {
        return { kind: 'refused', code: 'AUTHORIZATIONFAILED', text: 'Nobody logs in as somebody else here' };
      }
      const outcome = await options.login.verify({
        user: authenticationId,
        password,
        address: connection.peer.address,
        protocol: 'imap',
      });
      switch (outcome.kind) {
        case 'granted':
          return {
            kind: 'granted',
            account: new MailboxAccount(context, outcome.account, { key: outcome.key, connection }),
          };
        case 'wrong':
          return { kind: 'refused', code: 'AUTHENTICATIONFAILED', text: 'Wrong user name or password' };
        case 'disabled':
          return { kind: 'refused', code: 'AUTHORIZATIONFAILED', text: 'This account is disabled' };
        case 'unavailable':
          return {
            kind: 'refused',
            code: 'UNAVAILABLE',
            text: 'Log-ins cannot be checked now, try again later',
          };
      }
    },
    close: unwatch,
  };
};
