import { bad, ok } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';

/** Also without a selected mailbox: there is nothing to tell then. @source RFC 9051 §6.3.13 */
export const idle: Command = {
  name: 'IDLE',
  states: loggedIn,
  tells: 'nothing',
  run: (session, args, tag) => {
    args.end();
    session.send('+ Idling\r\n');
    session.idling = true;
    return session.awaitLine({
      tag,
      tells: 'all',
      line: (_session, text) => (/^done$/i.test(text) ? ok('Done idling') : bad('DONE ends IDLE')),
    });
  },
};
