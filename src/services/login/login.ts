import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { addressKey } from '#message/address';
import type { Attempt, Grant, Proof, ProofVerdict, Verdict } from '#services/auth';
import type { Grants } from './grants.ts';

/** The `auth` role, as others ask it. */
export interface AuthRole {
  verify(attempt: Attempt): Promise<Verdict>;
  scramParameters(user: string): Promise<{ salt: Uint8Array; iterations: number }>;
  prove(proof: Proof): Promise<ProofVerdict>;
}

export type LoginOutcome =
  | {
      kind: 'granted';
      account: string;
      key: string;
      /**
       * Keeps the session in view: `end` is called once when what it logged in with holds no longer.
       *
       * @returns for when the session is over; left out where nothing can change
       */
      hold?(end: () => void): () => void;
    }
  | { kind: 'wrong' }
  | { kind: 'disabled' }
  /** a temporary answer: clients throw a password away that is called wrong */
  | { kind: 'unavailable' };

export type ProofOutcome =
  | (Extract<LoginOutcome, { kind: 'granted' }> & { serverSignature: Uint8Array })
  | Exclude<LoginOutcome, { kind: 'granted' }>;

/** SCRAM, for app passwords. @source RFC 5802 */
export interface ScramLogin {
  /** whether it leads anywhere: it is announced then */
  offered(): boolean;
  parameters(
    user: string,
  ): Promise<{ kind: 'parameters'; salt: Uint8Array; iterations: number } | { kind: 'unavailable' }>;
  prove(request: {
    user: string;
    authMessage: Uint8Array;
    proof: Uint8Array;
    address: string;
    protocol: Attempt['protocol'];
  }): Promise<ProofOutcome>;
}

export interface Login {
  verify(request: {
    user: string;
    password: string;
    address: string;
    protocol: Attempt['protocol'];
  }): Promise<LoginOutcome>;
  /** left out where only passwords are known */
  readonly scram?: ScramLogin;
}

export const createLogin = (options: {
  auth: AuthRole;
  grants: Grants;
  /** whether anybody has an app password */
  hasAppPasswords(): boolean;
  logger: Logger;
}): Login => {
  const { auth, grants, logger } = options;

  const held = (grant: Grant, begun: number) => ({
    hold: (end: () => void): (() => void) => grants.hold(grant, begun, end),
  });
  const told = (
    verdict: Verdict | ProofVerdict,
    { protocol, address }: { protocol: string; address: string },
  ): void => {
    if (verdict.kind === 'granted')
      logger.info('log-in', { account: verdict.account, protocol, peer: address });
    else logger.info('log-in refused', { protocol, peer: address, kind: verdict.kind });
  };
  const uncheckable = (error: unknown, protocol: string): { kind: 'unavailable' } => {
    logger.warn('log-in could not be checked', {
      protocol,
      code: error instanceof FengniError ? error.code : String(error),
    });
    return { kind: 'unavailable' };
  };

  return {
    verify: async ({ user, password, address, protocol }) => {
      const key = keyOf(user);
      const begun = grants.changes;
      try {
        const verdict = await auth.verify({ user: key, password, address, protocol });
        told(verdict, { protocol, address });
        if (verdict.kind === 'granted')
          return { kind: 'granted', account: verdict.account, key, ...held(verdict.grant, begun) };
        return verdict.kind === 'unavailable' ? { kind: 'unavailable' } : { kind: verdict.reason };
      } catch (error) {
        return uncheckable(error, protocol);
      }
    },
    scram: {
      offered: () => options.hasAppPasswords(),
      parameters: async (user) => {
        try {
          return { kind: 'parameters', ...(await auth.scramParameters(keyOf(user))) };
        } catch (error) {
          return uncheckable(error, 'scram');
        }
      },
      prove: async ({ user, authMessage, proof, address, protocol }) => {
        const key = keyOf(user);
        const begun = grants.changes;
        try {
          const verdict = await auth.prove({ user: key, authMessage, proof, address, protocol });
          told(verdict, { protocol, address });
          if (verdict.kind === 'granted') {
            const { account, grant, serverSignature } = verdict;
            return { kind: 'granted', account, key, serverSignature, ...held(grant, begun) };
          }
          return verdict.kind === 'unavailable' ? { kind: 'unavailable' } : { kind: verdict.reason };
        } catch (error) {
          return uncheckable(error, protocol);
        }
      },
    },
  };
};

/** A name that is no address is asked for all the same, so that it takes the same time. */
const keyOf = (user: string): string => addressKey(user) ?? `\0${user.slice(0, 320)}`;
