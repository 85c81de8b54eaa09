import type { IpcHandler } from '#net/ipc';
import type { Attempt, Auth, Grant, Proof } from '#services/auth';

/** The methods by which other roles reach `auth`. */
export const authMethods = (auth: Auth): Record<string, IpcHandler> => ({
  verify: async (attempt: Attempt) => ({ result: await auth.verify(attempt) }),
  scramParameters: ({ user }: { user: string }) => {
    const { salt, iterations } = auth.scramParameters(user);
    return { result: { iterations }, attachments: [salt] };
  },
  prove: async (
    rest: Omit<Proof, 'authMessage' | 'proof'>,
    [authMessage = new Uint8Array(0), proof = new Uint8Array(0)]: Uint8Array[],
  ) => {
    // attachments share memory with what comes next
    const verdict = await auth.prove({
      ...rest,
      authMessage: Uint8Array.from(authMessage),
      proof: Uint8Array.from(proof),
    });
    if (verdict.kind !== 'granted') return { result: verdict };
    const { serverSignature, ...told } = verdict;
    return { result: told, attachments: [serverSignature] };
  },
  standing: ({ grants }: { grants: Grant[] }) => ({ result: auth.standing(grants) }),
  hasAppPasswords: () => ({ result: auth.hasAppPasswords() }),
  setPassword: async (account: { user: string; account: string; password: string }) => ({
    result: await auth.setPassword(account),
  }),
  setPasswordHash: (account: { user: string; account: string; hash: string }) => ({
    result: auth.setPasswordHash(account),
  }),
  addAppPassword: (account: { user: string; name: string }) => ({ result: auth.addAppPassword(account) }),
  removeAppPassword: (account: { user: string; name: string }) => ({
    result: auth.removeAppPassword(account),
  }),
  appPasswords: ({ user }: { user: string }) => ({ result: auth.appPasswords(user) }),
  disable: ({ user }: { user: string }) => ({ result: auth.disable(user) }),
  enable: ({ user }: { user: string }) => ({ result: auth.enable(user) }),
  removeAccount: ({ user }: { user: string }) => ({ result: auth.removeAccount(user) }),
  unconfirmed: () => ({ result: auth.unconfirmed() }),
  confirm: ({ id }: { id: number }) => ({ result: auth.confirm(id) }),
  status: () => ({ result: auth.status() }),
});
