import net from 'node:net';
import { type IpcPeer, serveIpc } from '#net/ipc';
import { createMessageParser, type MessageParser } from '#services/mailstore';
import { listenOn } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

/** more than a caller has on their way (`services/writer`, catching up) */
const begunMax = 128;

/** Parses messages for an index that is made again: no file can be opened here, so what a message does to its parser stays here. */
export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const server = net.createServer();
  let callers = 0;
  /** messages of each caller that came in part; what it gave up is forgotten when it has begun so many others */
  const begun = new Map<IpcPeer, Map<number, MessageParser>>();
  const parserOf = (peer: IpcPeer, message: number): MessageParser => {
    const known = begun.get(peer)?.get(message);
    if (known !== undefined) return known;
    const parser = createMessageParser();
    const parsers = begun.get(peer) ?? new Map<number, MessageParser>();
    begun.set(peer, parsers.set(message, parser));
    const [oldest] = parsers.keys();
    if (parsers.size > begunMax && oldest !== undefined) parsers.delete(oldest);
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
        begun.get(peer)?.delete(message);
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
