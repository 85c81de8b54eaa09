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

export const unknownMessage = (id: string): FengniError =>
  new FengniError('message-unknown', {
    subject: id,
    remedy:
      'the id is 26 letters and digits: in the reply to the sender and in the field Fengni-Seal of the mail',
    exitStatus: 2,
  });
