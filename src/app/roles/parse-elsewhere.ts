import { FengniError } from '#base/errors';
import type { IpcAnswer } from '#net/ipc';
import { createStandingConnection, type StandingConnection } from '#net/mailstore';
import type { ParseElsewhere } from '#services/writer';

/** of a message, sent in one call: a large one is never held as a whole */
const callBytes = 2 ** 20;

/** Parses by calls to a process that serves the methods of the `parser` role; any number of messages at a time. */
export const parseByCalls = (
  call: <Result>(
    method: string,
    params: unknown,
    attachments: readonly Uint8Array[],
  ) => Promise<IpcAnswer<Result>>,
): ParseElsewhere => {
  let messages = 0;
  return async (octets) => {
    const message = ++messages;
    let pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of octets) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < callBytes) continue;
      await call('write', { message }, pieces);
      pieces = [];
      bytes = 0;
    }
    const { result, attachments } = await call<{ threadKeys: string[]; preview: string }>(
      'parse',
      { message },
      pieces,
    );
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
    return {
      envelope,
      bodyStructure,
      body,
      structure,
      threadKeys: result.threadKeys,
      preview: result.preview,
    };
  };
};

/** Parses in the `parser` role, which is started when the first message comes. */
export const remoteParser = (path: string, wanted: () => void): { parse: ParseElsewhere; close(): void } => {
  let connection: StandingConnection | null = null;
  const parse = parseByCalls((method, params, attachments) => {
    if (connection === null) {
      wanted();
      connection = createStandingConnection({ path, waitMs: 10_000 });
    }
    return connection.call(method, params, attachments);
  });
  return { parse, close: () => connection?.close() };
};
