import type { StandingConnection } from '#net/mailstore';
import type { Grant, ProofVerdict, Verdict } from '#services/auth';
import type { AuthRole } from '#services/login';

/** What roles that let people in ask. Calls reject while the role cannot be reached. */
export interface AuthRoleClient extends AuthRole {
  standing(grants: readonly Grant[]): Promise<readonly boolean[]>;
  hasAppPasswords(): Promise<boolean>;
}

export const createAuthRoleClient = (connection: StandingConnection): AuthRoleClient => ({
  verify: async (attempt) => (await connection.call<Verdict>('verify', attempt)).result,
  scramParameters: async (user) => {
    const { result, attachments } = await connection.call<{ iterations: number }>('scramParameters', {
      user,
    });
    return { iterations: result.iterations, salt: Uint8Array.from(attachments[0] ?? []) };
  },
  prove: async ({ authMessage, proof, ...rest }) => {
    type Told = Exclude<ProofVerdict, { kind: 'granted' }> | Extract<Verdict, { kind: 'granted' }>;
    const { result, attachments } = await connection.call<Told>('prove', rest, [authMessage, proof]);
    if (result.kind !== 'granted') return result;
    return { ...result, serverSignature: Uint8Array.from(attachments[0] ?? []) };
  },
  standing: async (grants) => (await connection.call<boolean[]>('standing', { grants })).result,
  hasAppPasswords: async () => (await connection.call<boolean>('hasAppPasswords')).result,
});
