import path from 'node:path';
import type { Config } from '#app/config';
import { createRemoteSealer } from '#app/sealer';
import { FengniError } from '#base/errors';
import { parseState } from '#services/sealer';
import { nodeIo } from '#store/durable';
import { examineLog, type KnownHead } from '#store/log';
import { knownHeadsOf } from './new-generation.ts';

const shard = 0;
/** a sealer that is a service of its own answers at once or is down */
const sealerWaitMs = 300;

/**
 * Why a server would not start on this log, or null: what recovery would find, with every head that is at hand. Nothing is written.
 *
 * @throws {FengniError} of `Io`
 */
export const logFault = async (dataFolder: string, config: Config): Promise<FengniError | null> => {
  const heads: KnownHead[] = await knownHeadsOf(dataFolder, { kind: 'empty' });
  const sealed = await sealerHead(dataFolder, config);
  if (sealed !== null) heads.push(sealed);
  const found = await examineLog({ io: nodeIo, folder: dataFolder, shard, knownHeads: heads });
  return found.kind === 'refused' ? found.error : null;
};

/** Its folder is only looked at: a sealer may be at work in it. */
const sealerHead = async (dataFolder: string, config: Config): Promise<KnownHead | null> => {
  const { socket } = config.sealer;
  if (socket !== null) {
    const sealer = createRemoteSealer(socket, sealerWaitMs);
    try {
      return await sealer.knownHead();
    } finally {
      sealer.close();
    }
  }
  try {
    const { generation, range } = parseState(await nodeIo.readFile(path.join(dataFolder, 'sealer/state')));
    return { source: 'the sealer', generation, size: range.size, root: range.root() };
  } catch (error) {
    // One that cannot be read knows nothing; "fengni verify" tells of it.
    if (error instanceof FengniError) return null;
    throw error;
  }
};
