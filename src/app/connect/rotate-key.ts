import path from 'node:path';
import type { Config } from '#app/config';
import { ledgerIo } from '#app/sealer';
import { FengniError } from '#base/errors';
import type { Logger } from '#base/logger';
import { allowNext, type SealerHead } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { LedgerReader } from '#store/ledger';
import { nextGeneration } from '#store/log';
import { encodeLeaf, encodeOrigin, type Leaf, parseLeaf, parseOrigin } from '#trust/seal';
import { requireFolderLock } from './connect.ts';
import { openLocalWriter } from './local-writer.ts';
import {
  answered,
  knownHeadsOf,
  lookAtLog,
  refusedBy,
  sayBegin,
  sealerFor,
  segmentLeaf,
} from './new-generation.ts';

export interface RotatedKey {
  /** whether an earlier run had begun the generation in the log, and only the sealer followed now */
  followed: boolean;
  generation: number;
  /** verifier key of the new generation */
  key: string;
  /** leaves of the generation that is over, all under its last head */
  sealedLeaves: number;
}

interface Options {
  dataFolder: string;
  config: Config;
  logger: Logger;
}

/**
 * Gives the log another key: the last leaf of the present generation, `handover`, names the next key and is signed by the old one; the
 * next generation begins with `genesis`, which names that last head. Nothing is lost, and numbers go on without a gap. The old key is
 * destroyed. Cut short at any point, it can be run again.
 *
 * @throws {FengniError} `data-folder-in-use`; the log's refusal; `sealer-away`, `sealer-not-allowed`, `sealer-refuses`
 */
export const rotateKey = async (options: Options): Promise<RotatedKey> => {
  const lock = await requireFolderLock(options.dataFolder);
  const sealer = sealerFor(options);
  try {
    process.umask(0o077);
    return await rotate(options, sealer);
  } finally {
    sealer.close();
    lock.release();
  }
};

const rotate = async (options: Options, sealer: ReturnType<typeof sealerFor>): Promise<RotatedKey> => {
  const { dataFolder, config } = options;
  const now = await answered(sealer.calls.head());
  if (now.kind === 'refused')
    throw new FengniError('sealer-refuses', {
      subject: `${now.reason}: ${now.detail}`,
      remedy: 'only a key that signs can hand over: see "fengni status"',
    });
  const parts = parseOrigin(now.head.origin);
  if (parts === null) throw new TypeError('a head has an origin');
  const { generation: old } = now.head;
  const next = {
    generation: old + 1,
    origin: encodeOrigin({ ...parts, generation: old + 1 }),
    acceptLoss: false,
  };
  const heads = await knownHeadsOf(dataFolder, { kind: 'agrees', head: now.head });
  const found = await lookAtLog(dataFolder, heads);
  const isUnfinished = found.kind === 'loss' && found.error.code === 'log-generation-unfinished';
  if (found.kind === 'loss' && !isUnfinished) throw found.error;
  if (config.sealer.socket === null) await allowNext(nodeIo, path.join(dataFolder, 'sealer'), 'rotation');
  const prepared = await answered(sealer.calls.prepare(next));
  if (prepared.kind === 'refused') throw refusedBy(prepared, 'rotation');
  const follow = async (sealedLeaves: number, followed: boolean): Promise<RotatedKey> => {
    const outcome = await answered(sealer.calls.handover(next));
    if (outcome.kind === 'refused') throw refusedBy(outcome, 'rotation');
    // Its key goes into the log, and its first head is signed.
    await (await openLocalWriter({ ...options, sealer })).close();
    return { followed, generation: next.generation, key: outcome.head.key, sealedLeaves };
  };
  if (found.kind === 'whole' && found.generation === next.generation) return follow(now.head.size, true);

  let last = await handoverLeaf(dataFolder, now.head, prepared.key);
  if (found.kind === 'loss' && last === null) throw found.error;
  if (last === null || (found.kind === 'whole' && found.leaves !== now.head.size)) {
    const writer = await openLocalWriter({ ...options, sealer });
    try {
      await writer.handOver(prepared.key);
    } finally {
      await writer.close();
    }
    const handed = await answered(sealer.calls.head());
    last = handed.kind === 'signed' ? await handoverLeaf(dataFolder, handed.head, prepared.key) : null;
    if (last === null)
      throw new FengniError('sealer-refuses', {
        subject: 'the last head does not end with the next key',
        remedy: 'run the command again',
        retryable: true,
      });
  }
  const { head, leaf } = last;
  const begun = await nextGeneration({
    io: config.sealer.socket === null ? nodeIo : ledgerIo(nodeIo, dataFolder),
    folder: dataFolder,
    shard: parts.shard,
    knownHeads: heads.filter(({ source }) => source !== 'the sealer'),
    sealedLeaves: head.size,
    // No leaf's time is lower than that of the one before, whatever the clock does.
    segmentLeaf: (closed, { seq, timeMs }) =>
      segmentLeaf(closed, { seq, timeMs: Math.max(timeMs, leaf.timeMs), leafIndex: 0 }),
    genesisLeaf: ({ seq, timeMs }) =>
      encodeLeaf({
        kind: 'genesis',
        seq,
        timeMs: Math.max(timeMs, leaf.timeMs),
        previous: { origin: head.origin, size: head.size, root: head.root },
      }),
    alsoSay: (group, { generation, firstSeq }) => sayBegin(group, generation, firstSeq),
  });
  if (begun.kind === 'refused') throw begun.error;
  return follow(head.size, false);
};

/** The last leaf under a head when it hands over to this key. */
const handoverLeaf = async (
  dataFolder: string,
  head: SealerHead,
  key: string,
): Promise<{ head: SealerHead; leaf: Leaf } | null> => {
  if (head.size === 0) return null;
  const reader = new LedgerReader(nodeIo, path.join(dataFolder, 'ledger', `g${head.generation}`));
  for await (const entry of reader.entries(head.size - 1, head.size, head.size)) {
    await reader.inclusion(head.size - 1, entry, head);
    const leaf = parseLeaf(entry);
    if (leaf.kind === 'handover' && leaf.key === key) return { head, leaf };
  }
  return null;
};
