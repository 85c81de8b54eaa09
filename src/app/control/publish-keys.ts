import path from 'node:path';
import { utf8 } from '#base/bytes';
import { keyLines } from '#services/integrity';
import { generationStart, type Writer } from '#services/writer';
import { nodeIo, replaceFileDurable } from '#store/durable';

/**
 * The verifier key of this generation stands in the log, and in `ledger/keys` for those who may read no more than the ledger.
 *
 * @param begin asks the sealer for the key of a generation; null where it refuses
 */
export const publishKeys = async (
  writer: Writer,
  dataFolder: string,
  begin: (generation: number, origin: string) => Promise<string | null>,
): Promise<void> => {
  const { generation, origin } = await writer.status();
  const name = `key-g${generation}`;
  if (writer.directory.row('setting', name) === null) {
    const key = await begin(generation, origin).catch(() => null);
    if (key === null) return;
    await writer.queue.submit({
      accounts: [],
      reads: 'rows',
      bytes: 1_024,
      decide: ({ draft }) => {
        draft.row('setting', name, {
          firstSeq: generationStart(writer.directory, generation),
          generation,
          key,
        });
        return { kind: 'done' };
      },
    });
  }
  await replaceFileDurable(nodeIo, path.join(dataFolder, 'ledger/keys'), [utf8(keyLines(writer.directory))]);
};
