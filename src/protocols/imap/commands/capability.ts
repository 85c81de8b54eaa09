import { ok } from '../reply.ts';
import { anyState, type Command } from './command.ts';

/** @source RFC 9051 §6.1.1 */
export const capability: Command = {
  name: 'CAPABILITY',
  states: anyState,
  tells: 'all',
  run: (session, args) => {
    args.end();
    session.send(`* CAPABILITY ${session.capabilities}\r\n`);
    return ok('Capabilities told');
  },
};
