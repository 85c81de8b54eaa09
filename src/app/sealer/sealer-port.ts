import { createStandingConnection } from '#net/mailstore';
import type { SealerPort } from '#services/writer';
import type { KnownHead } from '#store/log';
import { base64, parseBase64 } from '#trust/seal';

interface SignedHead {
  generation: number;
  size: number;
  root: string;
  note: string;
  key: string;
}

type Answer = { kind: 'signed'; head: SignedHead } | { kind: 'refused'; reason: string; detail: string };

/** The sealer as the writer asks it, in its own process. */
export interface RemoteSealer extends SealerPort {
  /** what it signed last, for the comparison with the log at a start; null while it does not answer or knows nothing */
  knownHead(): Promise<KnownHead | null>;
  /** the verifier key of a generation that is begun now, or was; null where the sealer refuses */
  begin(generation: number, origin: string): Promise<string | null>;
  close(): void;
}

export const createRemoteSealer = (path: string, waitMs: number): RemoteSealer => {
  const connection = createStandingConnection({ path, waitMs });
  const call = async (method: string, params: unknown): Promise<Answer> =>
    (await connection.call<Answer>(method, params)).result;
  return {
    knownHead: async () => {
      const answer = await call('head', null).catch(() => null);
      if (answer === null || answer.kind === 'refused') return null;
      const { generation, size, root } = answer.head;
      return { source: 'the sealer', generation, size, root: parseBase64(root) };
    },
    begin: async (generation, origin) => {
      const answer = await call('create', { generation, origin });
      return answer.kind === 'refused' ? null : answer.head.key;
    },
    advance: async ({ generation, origin, size, root }) => {
      const answer = await call('advance', { generation, origin, size, root: base64(root) });
      if (answer.kind === 'refused') return { kind: 'refused', reason: `${answer.reason}: ${answer.detail}` };
      const note = parseBase64(answer.head.note);
      if (note === null)
        return { kind: 'refused', reason: 'the sealer answered with something that is no note' };
      return { kind: 'signed', note };
    },
    close: () => connection.close(),
  };
};
