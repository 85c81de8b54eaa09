import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { addressKey } from '#message/address';
import type { Attempt, Verdict } from '#services/auth';

/** The `auth` role. */
export type PasswordCheck = (attempt: Attempt) => Promise<Verdict>;

export type LoginOutcome =
  | { kind: 'granted'; account: string; key: string }
  | { kind: 'wrong' }
  | { kind: 'disabled' }
  /** a temporary answer: clients throw a password away that is called wrong */
  | { kind: 'unavailable' };

export interface Login {
  verify(request: {
    user: string;
    password: string;
    address: string;
    protocol: Attempt['protocol'];
  }): Promise<LoginOutcome>;
}

export const createLogin = (options: { check: PasswordCheck; logger: Logger }): Login => ({
  verify: async ({ user, password, address, protocol }) => {
    // A name that is no address is asked for all the same, so that it takes the same time.
    const key = addressKey(user) ?? `\0${user.slice(0, 320)}`;
    try {
      const verdict = await options.check({ user: key, password, address, protocol });
      if (verdict.kind === 'granted') {
        options.logger.info('log-in', { account: verdict.account, protocol, peer: address });
        return { kind: 'granted', account: verdict.account, key };
      }
      options.logger.info('log-in refused', { protocol, peer: address, kind: verdict.kind });
      if (verdict.kind === 'unavailable') return { kind: 'unavailable' };
      return { kind: verdict.reason };
    } catch (error) {
      options.logger.warn('log-in could not be checked', {
        protocol,
        code: error instanceof FengniError ? error.code : String(error),
      });
      return { kind: 'unavailable' };
    }
  },
});
