import { no } from '../reply.ts';
import { utf8Text } from '../wire.ts';
import type { Command } from './command.ts';

/** @source RFC 9051 §6.2.3 */
export const login: Command = {
  name: 'LOGIN',
  states: ['before-login'],
  tells: 'nothing',
  run: (session, args) => {
    args.space();
    const name = utf8Text(args.astring());
    args.space();
    const password = utf8Text(args.astring());
    args.end();
    if (!session.transport.secure) return no('TLS comes first', 'PRIVACYREQUIRED');
    if (name === null || password === null) return no('Wrong name or password', 'AUTHENTICATIONFAILED');
    return session.authenticate('', name, password);
  },
};
