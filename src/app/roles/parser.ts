import net from 'node:net';
import { serveIpc } from '#net/ipc';
import { createMessageParser } from '#services/mailstore';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

/** Parses messages for an index that is made again: no file can be opened here, so what a message does to its parser stays here. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const server = net.createServer();
  let callers = 0;
  const ipc = serveIpc(server, {
    methods: {
      parse: (_params: null, octets) => {
        const parser = createMessageParser();
        for (const piece of octets) parser.write(piece);
        const { envelope, bodyStructure, body, structure, threadKeys } = parser.end();
        return { result: { threadKeys }, attachments: [envelope, bodyStructure, body, structure] };
      },
    },
    onConnect: () => {
      callers += 1;
    },
    onClose: () => {
      callers -= 1;
      // The index is made: nobody needs this process any more.
      if (callers === 0) process.exit(0);
    },
    onMistake: (error) => logger.error('message could not be parsed', { error: String(error) }),
  });
  await listenOn(server, start.internal.parser ?? -1);
  return { stop: () => ipc.close(1_000) };
};
