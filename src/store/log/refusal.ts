import { FengniError } from '#base/errors';

/** A tree head somebody kept: nothing before it may be missing. */
export interface KnownHead {
  /** for people: `ledger/g1/checkpoint`, `the sealer`, `--checkpoint F` */
  source: string;
  generation: number;
  /** leaves */
  size: number;
  /** null where only the size is known */
  root: Uint8Array | null;
}

/** Why the log does not open: a value, because a caller must expect it; nothing was changed on the disk. */
export interface LogRefusal {
  kind: 'refused';
  /** `log-damaged`, `log-rolled-back`, `log-generation-unfinished`, `log-from-the-future` */
  error: FengniError;
  /** what could be believed */
  found: { generation: number; lastSeq: number; leaves: number };
  /** where it goes wrong, when it is a place in a file */
  place: { file: string; offset: number } | null;
  /** the head that knows more than what was found */
  head: KnownHead | null;
}

const acceptLoss =
  'bring the missing octets back ("fengni verify --repair --from DIR", or a restore); or accept the loss as a new generation: "fengni log new-generation"';

type Found = LogRefusal['found'];

export const damagedRefusal = (
  found: Found,
  place: LogRefusal['place'],
  what: string,
  because: string | null,
): LogRefusal => ({
  kind: 'refused',
  error: new FengniError('log-damaged', {
    subject: `${place === null ? '' : `${place.file} at offset ${place.offset}: `}${what}${because === null ? '' : `; this is no torn end: ${because}`}`,
    remedy: acceptLoss,
  }),
  found,
  place,
  head: null,
});

export const rolledBackRefusal = (found: Found, head: KnownHead, what: string): LogRefusal => ({
  kind: 'refused',
  error: new FengniError('log-rolled-back', { subject: what, remedy: acceptLoss }),
  found,
  place: null,
  head,
});

export const unfinishedRefusal = (found: Found): LogRefusal => ({
  kind: 'refused',
  error: new FengniError('log-generation-unfinished', {
    subject: `generation ${found.generation} was begun and says nothing yet`,
    remedy: 'run "fengni log new-generation" again',
  }),
  found,
  place: null,
  head: null,
});

export const futureRefusal = (found: Found, place: LogRefusal['place'], type: number): LogRefusal => ({
  kind: 'refused',
  error: new FengniError('log-from-the-future', {
    subject: `${place?.file} at offset ${place?.offset}: a critical frame of type ${type}, which this program does not know`,
    remedy: 'start the version of Fengni that wrote this data folder, or a newer one',
  }),
  found,
  place,
  head: null,
});
