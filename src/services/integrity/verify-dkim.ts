import { arcResult, dkimResults } from '#services/authentication';
import { openBodyReaders } from '#store/bodies';
import type { Io } from '#store/durable';
import type { MailIndex } from '#store/index';
import { type ArcResult, beginArc } from '#trust/arc';
import { beginDkim, type DkimOutcome, SignedMessage } from '#trust/dkim';
import { storedDns } from '#trust/dns';
import { encodeResult, parseResults } from '#trust/results';
import { parseBase64 } from '#trust/seal';
import { evidenceLines } from './evidence-lines.ts';

/** Signatures of a stored message, checked again as of when it came. */
export interface DkimAgain {
  readonly timeMs: number;
  /** names of the key records that were kept */
  readonly keys: readonly string[];
  /** values as in Authentication-Results: of `dkim` and `arc` */
  readonly results: readonly string[];
  /** what was found then and is not found now, or the other way round */
  readonly differences: readonly string[];
}

/**
 * Repeats the check of a message's signatures with the key records that were kept with it.
 *
 * @returns null for an id that no message has
 * @throws {FengniError} `frame-damaged`, `payload-damaged`, `message-erased` (exit status 1)
 */
export const verifyDkimThen = async (
  source: { io: Io; folder: string; shard: number; index: MailIndex },
  id: string,
): Promise<DkimAgain | null> => {
  const row = source.index.messageById(id);
  if (row === null) return null;
  const bodies = openBodyReaders(source);
  try {
    const body = await bodies.message(row);
    const keys = body.head.keys ?? [];
    const records = new Map<string, Uint8Array[]>();
    for (const { name, record } of keys) records.set(name, [parseBase64(record) ?? new Uint8Array(0)]);
    const dns = storedDns(records);
    let dkim: () => Promise<DkimOutcome> = async () => ({ results: [], uncheckedCount: 0 });
    let arc: (() => Promise<ArcResult>) | null = null;
    const message = new SignedMessage((header, hashes) => {
      dkim = beginDkim(header, hashes, { dns, nowMs: row.timeMs });
      arc = beginArc(header, hashes, { dns });
    });
    for await (const piece of body.read(0, body.sizeBytes)) message.write(piece);
    message.end();
    const then = evidenceLines(body.head.aut).flatMap(([name, value]) => (name === 'results' ? [value] : []));
    const authservId = parseResults(then[0] ?? '')?.authservId ?? '-';
    const signatures = await dkim();
    const chain = await (arc as (() => Promise<ArcResult>) | null)?.();
    // Of a signature without a key that was kept there is nothing to repeat.
    const checked = signatures.results.filter(({ key }) => key !== null);
    const results = [
      ...(checked.length === 0 ? [] : dkimResults({ results: checked, uncheckedCount: 0 })),
      ...(chain === undefined || chain.keys.length === 0 ? [] : [arcResult(chain)]),
    ].map((result) => encodeResult(authservId, result));
    const passedThen = then.filter((value) =>
      parseResults(value)?.results.some(
        ({ method, result }) => (method === 'dkim' || method === 'arc') && result === 'pass',
      ),
    );
    return {
      timeMs: row.timeMs,
      keys: keys.map(({ name }) => name),
      results,
      differences: [
        ...results.filter((value) => !then.includes(value)),
        ...passedThen.filter((value) => !results.includes(value)),
      ],
    };
  } finally {
    await bodies.close();
  }
};
