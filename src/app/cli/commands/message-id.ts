import type { ReadOnlyData } from '#app/connect';
import { FengniError } from '#base/errors';
import { erasedMessage } from '#services/integrity';
import { nodeIo } from '#store/durable';
import { isMessageId } from '#trust/seal';
import { shownTime } from './field-lines.ts';

/** The id that a person gave, in any case and with what often stands before it. @throws {FengniError} `message-unknown` */
export const readMessageId = (given: string): string => {
  const id = given.trim().toLowerCase().replace(/^id=/, '').replace(/;$/, '');
  if (isMessageId(id)) return id;
  throw unknownMessage(given);
};

/** Why the index has no message of this id: it was erased, as the log proves, or never was here. */
export const absentMessage = async (
  { folder, index }: ReadOnlyData,
  shard: number,
  id: string,
): Promise<FengniError> => {
  const erased = await erasedMessage({ io: nodeIo, folder, shard }, id, index.appliedSeq());
  if (erased === null) return unknownMessage(id);
  const { timeMs, leafIndex, generation, seq } = erased;
  return new FengniError('message-erased', {
    subject: `${id}, taken ${shownTime(timeMs)}; leaf ${leafIndex} of generation ${generation}, seq ${seq}`,
    remedy: 'nothing can bring it back; its place in the log and its proof remain',
    exitStatus: 1,
  });
};

/**
 * What `work` makes of a message that the index has.
 *
 * @throws {FengniError} `message-erased` only where the row goes too; a key that is gone while it stays is `key-missing`
 */
export const ofMessage = async <Result>(
  data: ReadOnlyData,
  shard: number,
  id: string,
  work: () => Promise<Result>,
): Promise<Result> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FengniError) || error.code !== 'message-erased') throw error;
    // Between slot and row an erasure takes a moment.
    for (let waited = 0; waited < rowStaysMs; waited += 100) {
      if (data.index.messageById(id) === null) throw await absentMessage(data, shard, id);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new FengniError('key-missing', {
      subject: `message ${id}: a key of it is destroyed, and nothing erased it`,
      remedy: 'run "fengni verify"; put the key file back from a copy',
      exitStatus: 1,
      cause: error,
    });
  }
};

const rowStaysMs = 1_000;

export const unknownMessage = (id: string): FengniError =>
  new FengniError('message-unknown', {
    subject: id,
    remedy:
      'the id is 26 letters and digits: in the reply to the sender and in the field Fengni-Seal of the mail',
    exitStatus: 2,
  });
