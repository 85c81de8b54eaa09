import { base32 } from '#base/base32';
import type { AccountSession, Credentials, ImapLogin, Refused } from '#protocols/imap';
import type { LoginOutcome } from '#services/login';
import { MailboxAccount } from './account.ts';
import type { MailboxesContext, MailboxesOptions } from './context.ts';
import { HeldOctets } from './held-octets.ts';
import { SharedMailboxes } from './shared-mailboxes.ts';
import { TextsCache } from './texts-cache.ts';

const somebodyElse: Refused = {
  kind: 'refused',
  code: 'AUTHORIZATIONFAILED',
  text: 'Nobody logs in as somebody else here',
};
const unavailable: Refused = {
  kind: 'refused',
  code: 'UNAVAILABLE',
  text: 'Log-ins cannot be checked now, try again later',
};

/** Lets IMAP sessions into their accounts. `close` ends the watch on the writer. */
export const createImapLogin = (options: MailboxesOptions): ImapLogin & { close(): void } => {
  const shared = new SharedMailboxes(options.index, base32(options.random(10)), (error) => {
    options.logger.error('message cannot be read', { code: error.code, subject: error.subject });
  });
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
  const enter = (
    outcome: LoginOutcome,
    { connection, end }: Pick<Credentials, 'connection' | 'end'>,
  ): { kind: 'granted'; account: AccountSession } | Refused => {
    switch (outcome.kind) {
      case 'granted': {
        const release = (end === undefined ? undefined : outcome.hold?.(end)) ?? (() => {});
        const account = new MailboxAccount(
          context,
          outcome.account,
          { key: outcome.key, connection },
          release,
        );
        return { kind: 'granted', account };
      }
      case 'wrong':
        return { kind: 'refused', code: 'AUTHENTICATIONFAILED', text: 'Wrong user name or password' };
      case 'disabled':
        return { kind: 'refused', code: 'AUTHORIZATIONFAILED', text: 'This account is disabled' };
      case 'unavailable':
        return unavailable;
    }
  };
  const { scram } = options.login;
  return {
    verify: async ({ authorizationId, authenticationId, password, ...from }) => {
      if (authorizationId !== '' && authorizationId !== authenticationId) return somebodyElse;
      const outcome = await options.login.verify({
        user: authenticationId,
        password,
        address: from.connection.peer.address,
        protocol: 'imap',
      });
      return enter(outcome, from);
    },
    ...(scram === undefined
      ? {}
      : {
          scram: {
            offered: scram.offered,
            parameters: async (user) => {
              const outcome = await scram.parameters(user);
              return outcome.kind === 'unavailable' ? unavailable : outcome;
            },
            prove: async ({ user, authorizationId, authMessage, proof, ...from }) => {
              if (authorizationId !== '' && authorizationId !== user) return somebodyElse;
              const { address } = from.connection.peer;
              const outcome = await scram.prove({ user, authMessage, proof, address, protocol: 'imap' });
              const entered = enter(outcome, from);
              if (entered.kind === 'refused' || outcome.kind !== 'granted') return entered as Refused;
              return { ...entered, serverSignature: outcome.serverSignature };
            },
          },
        }),
    close: () => {
      unwatch();
      unwatchErased();
    },
  };
};
