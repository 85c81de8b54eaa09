import { FengniError } from '#base/errors';
import { isMessageId } from '#trust/seal';

/** The id that a person gave, in any case and with what often stands before it. @throws {FengniError} `message-unknown` */
export const readMessageId = (given: string): string => {
  const id = given.trim().toLowerCase().replace(/^id=/, '').replace(/;$/, '');
  if (isMessageId(id)) return id;
  throw unknownMessage(given);
};

export const unknownMessage = (id: string): FengniError =>
  new FengniError('message-unknown', {
    subject: id,
    remedy:
      'the id is 26 letters and digits: in the reply to the sender and in the field Fengni-Seal of the mail',
    exitStatus: 2,
  });
