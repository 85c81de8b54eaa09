import { separator } from '../mailbox-name.ts';
import { ok } from '../reply.ts';
import { type Command, loggedIn } from './command.ts';

/** @source RFC 9051 §6.3.10 */
export const namespace: Command = {
  name: 'NAMESPACE',
  states: loggedIn,
  tells: 'all',
  run: (session, args) => {
    args.end();
    session.send(`* NAMESPACE (("" "${separator}")) NIL NIL\r\n`);
    return ok('Namespaces told');
  },
};
