import net from 'node:net';
import { type IpcPeer, serveIpc } from '#net/ipc';
import { createMessageParser, type MessageParser } from '#services/mailstore';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

/** Parses messages for an index that is made again: no file can be opened here, so what a message does to its parser stays here. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const server = net.createServer();
  let callers = 0;
  /** one message at a time of each caller; one that it gave up is forgotten with its next */
  const begun = new Map<IpcPeer, { message: number; parser: MessageParser }>();
  const parserOf = (peer: IpcPeer, message: number): MessageParser => {
    const known = begun.get(peer);
    if (known?.message === message) return known.parser;
    const parser = createMessageParser();
    begun.set(peer, { message, parser });
    return parser;
  };
  const ipc = serveIpc(server, {
    methods: {
      // A large message comes in several calls.
      write: ({ message }: { message: number }, octets, peer) => {
        const parser = parserOf(peer, message);
        for (const piece of octets) parser.write(piece);
      },
      parse: ({ message }: { message: number }, octets, peer) => {
        const parser = parserOf(peer, message);
        begun.delete(peer);
        for (const piece of octets) parser.write(piece);
        const { envelope, bodyStructure, body, structure, threadKeys, preview } = parser.end();
        return { result: { threadKeys, preview }, attachments: [envelope, bodyStructure, body, structure] };
      },
    },
    onConnect: () => {
      callers += 1;
    },
    onClose: (peer) => {
      begun.delete(peer);
      callers -= 1;
      // The index is made: nobody needs this process any more.
      if (callers === 0) process.exit(0);
    },
    onMistake: (error) => logger.error('message could not be parsed', { error: String(error) }),
  });
  await listenOn(server, start.internal.parser ?? -1);
  return { stop: () => ipc.close(1_000) };
};
