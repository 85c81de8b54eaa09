import { FengniError } from '#base/errors';
import { createStandingConnection, type StandingConnection } from '#net/mailstore';
import type { ParseElsewhere } from '#services/writer';

/** Parses in the `parser` role, which is started when the first message comes. */
export const remoteParser = (path: string, wanted: () => void): { parse: ParseElsewhere; close(): void } => {
  let connection: StandingConnection | null = null;
  return {
    parse: async (octets) => {
      if (connection === null) {
        wanted();
        connection = createStandingConnection({ path, waitMs: 10_000 });
      }
      const pieces: Uint8Array[] = [];
      for await (const piece of octets) pieces.push(piece);
      const { result, attachments } = await connection.call<{ threadKeys: string[] }>('parse', null, pieces);
      const [envelope, bodyStructure, body, structure] = attachments.map((each) => each.slice());
      if (
        envelope === undefined ||
        bodyStructure === undefined ||
        body === undefined ||
        structure === undefined
      ) {
        throw new FengniError('ipc-params-malformed', {
          subject: 'an answer of the parser',
          remedy: 'the two processes are not of the same build; restart the server',
        });
      }
      return { envelope, bodyStructure, body, structure, threadKeys: result.threadKeys };
    },
    close: () => connection?.close(),
  };
};
