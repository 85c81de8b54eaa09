import path from 'node:path';
import { FengniError } from '#base/errors';
import { createStandingConnection } from '#net/mailstore';
import type { PrepareOutcome, SealerCalls, SealerOutcome } from '#services/sealer';
import type { SealerLook, SealerPort } from '#services/writer';
import type { KnownHead } from '#store/log';
import { base64, parseBase64 } from '#trust/seal';
import { openSealerOver } from './serve-sealer.ts';

/** a look must not hold up who wants to know how the server is */
const lookMsMax = 2_000;

/** The sealer as those ask it who write: in this process or in its own. */
export interface SealerClient extends SealerPort {
  /** its calls as they are. @throws {FengniError} retryable while it does not answer */
  readonly calls: SealerCalls;
  look(): Promise<SealerLook>;
  /** what it signed last, for the comparison with the log at a start; null while it does not answer, refuses or knows nothing */
  knownHead(): Promise<KnownHead | null>;
  /**
   * The verifier key of a generation that is begun now, or was; null where the sealer refuses. A log that handed over and whose sealer did
   * not follow yet is followed.
   */
  begin(generation: number, origin: string): Promise<string | null>;
  close(): void;
}

interface PlainHead {
  generation: number;
  size: number;
  root: string;
  note: string;
  key: string;
  origin: string;
}
type PlainOutcome = { kind: 'signed'; head: PlainHead } | Extract<SealerOutcome, { kind: 'refused' }>;
type PlainPrepared =
  | { kind: 'prepared'; key: string; previous: { origin: string; size: number; root: string } | null }
  | Extract<PrepareOutcome, { kind: 'refused' }>;

/** The sealer behind a socket: a role of the server, or a service under a user of its own. */
export const createRemoteSealer = (socketPath: string, waitMs: number): SealerClient => {
  const connection = createStandingConnection({ path: socketPath, waitMs });
  const outcome = async (method: string, params: unknown): Promise<SealerOutcome> => {
    const answer = (await connection.call<PlainOutcome>(method, params)).result;
    if (answer.kind === 'refused') return answer;
    const { head } = answer;
    return { kind: 'signed', head: { ...head, root: octets(head.root), note: octets(head.note) } };
  };
  const calls: SealerCalls = {
    head: () => outcome('head', null),
    create: (request) => outcome('create', request),
    advance: (request) => outcome('advance', { ...request, root: base64(request.root) }),
    handover: (request) => outcome('handover', request),
    prepare: async (request) => {
      const answer = (await connection.call<PlainPrepared>('prepare', request)).result;
      if (answer.kind === 'refused' || answer.previous === null) return { ...answer, previous: null };
      return { ...answer, previous: { ...answer.previous, root: octets(answer.previous.root) } };
    },
  };
  return clientOf(calls, () => connection.close());
};

/** The sealer of a data folder in this process: no server runs, and the folder's lock is held. */
export const openLocalSealer = (dataFolder: string): SealerClient =>
  clientOf(openSealerOver(path.join(dataFolder, 'sealer'), dataFolder), () => {});

const clientOf = (calls: SealerCalls, close: () => void): SealerClient => ({
  calls,
  close,
  look: async () => {
    let timer: NodeJS.Timeout | undefined;
    let outcome: SealerOutcome | null;
    try {
      const late = new Promise<null>((resolve) => {
        timer = setTimeout(() => resolve(null), lookMsMax);
      });
      outcome = await Promise.race([calls.head(), late]);
    } catch (error) {
      return { kind: 'down', reason: error instanceof FengniError ? error.code : String(error) };
    } finally {
      clearTimeout(timer);
    }
    if (outcome === null) return { kind: 'down', reason: 'no-answer' };
    if (outcome.kind === 'refused') return { kind: 'refused', reason: reasonOf(outcome) };
    return { kind: 'signs', generation: outcome.head.generation, size: outcome.head.size };
  },
  knownHead: async () => {
    const outcome = await calls.head().catch(() => null);
    if (outcome === null || outcome.kind === 'refused') return null;
    const { generation, size, root } = outcome.head;
    return { source: 'the sealer', generation, size, root };
  },
  begin: async (generation, origin) => {
    let outcome = await calls.create({ generation, origin });
    if (outcome.kind === 'refused' && outcome.reason === 'generation-used')
      outcome = await calls.handover({ generation, origin, acceptLoss: false });
    return outcome.kind === 'refused' ? null : outcome.head.key;
  },
  advance: async (request) => {
    const outcome = await calls.advance(request);
    return outcome.kind === 'refused'
      ? { kind: 'refused', reason: reasonOf(outcome) }
      : { kind: 'signed', note: outcome.head.note };
  },
});

/** `CODE: words`: the code is what `fengni status` explains. */
const reasonOf = ({ reason, detail }: { reason: string; detail: string }): string => `${reason}: ${detail}`;

/** @throws {FengniError} `ipc-frame-invalid`: an answer that no sealer gives */
const octets = (text: string): Uint8Array => {
  const value = parseBase64(text);
  if (value !== null) return value;
  throw new FengniError('ipc-frame-invalid', {
    subject: 'an answer of the sealer that is no base 64',
    remedy: 'the two processes are not of the same build, or one is broken; restart the server',
    retryable: true,
  });
};
