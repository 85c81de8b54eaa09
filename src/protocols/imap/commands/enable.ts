import { ok } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';

/** Nothing can be enabled yet; what is not known is passed over. @source RFC 9051 §6.3.1 */
export const enable: Command = {
  name: 'ENABLE',
  states: loggedIn,
  tells: 'all',
  run: (session, args) => {
    do {
      args.space();
      args.atom();
    } while (!args.atEnd);
    session.send('* ENABLED\r\n');
    return ok('Nothing of it is known here');
  },
};
