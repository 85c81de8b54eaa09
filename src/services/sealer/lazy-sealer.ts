import { FengniError } from '#base/errors';
import { type PrepareOutcome, Sealer, type SealerOptions, type SealerOutcome } from './sealer.ts';

/** What a sealer can be asked. */
export type SealerCalls = Pick<Sealer, 'head' | 'create' | 'advance' | 'prepare' | 'handover'>;

/**
 * A sealer whose folder is opened when it is asked: one whose memory or key is lost refuses by that name instead of being away, and is
 * opened again at the next call, as it is after a failed write.
 */
export const openSealerAgain = (options: SealerOptions): SealerCalls => {
  let opened: Promise<Sealer> | null = null;
  const ask = async <Outcome extends SealerOutcome | PrepareOutcome>(
    call: (sealer: Sealer) => Promise<Outcome>,
  ): Promise<Outcome | (Outcome & { kind: 'refused' })> => {
    opened ??= Sealer.open(options);
    const own = opened;
    try {
      return await call(await own);
    } catch (error) {
      // What is on the disk now is for the next opening to find out.
      if (opened === own) opened = null;
      if (error instanceof FengniError && isLost(error.code))
        return { kind: 'refused', reason: error.code, detail: error.subject } as Outcome & {
          kind: 'refused';
        };
      throw error;
    }
  };
  return {
    head: () => ask((sealer) => sealer.head()),
    create: (request) => ask((sealer) => sealer.create(request)),
    advance: (request) => ask((sealer) => sealer.advance(request)),
    prepare: (request) => ask((sealer) => sealer.prepare(request)),
    handover: (request) => ask((sealer) => sealer.handover(request)),
  };
};

const isLost = (code: string): boolean =>
  code === 'sealer-state-damaged' || code === 'sealer-state-lost' || code === 'sealer-key-lost';
