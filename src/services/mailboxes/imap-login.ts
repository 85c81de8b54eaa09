import { base32 } from '#base/base32';
import type { ImapLogin } from '#protocols/imap';
import { MailboxAccount } from './account.ts';
import type { MailboxesContext, MailboxesOptions } from './context.ts';
import { HeldOctets } from './held-octets.ts';
import { SharedMailboxes } from './shared-mailboxes.ts';
import { TextsCache } from './texts-cache.ts';

/** Lets IMAP sessions into their accounts. `close` ends the watch on the writer. */
export const createImapLogin = (options: MailboxesOptions): ImapLogin & { close(): void } => {
  const shared = new SharedMailboxes(options.index, base32(options.random(10)));
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
  const unwatchErased = options.writer.onErased(() => context.texts.clear());
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
    close: () => {
      unwatch();
      unwatchErased();
    },
  };
};
