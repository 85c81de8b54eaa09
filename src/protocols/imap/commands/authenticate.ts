import type { CommandSession } from '../command-session.ts';
import { bad, no, type Reply } from '../reply.ts';
import { utf8Text } from '../wire.ts';
import type { Command } from './command.ts';

/** AUTHENTICATE PLAIN, with or without an initial response. @source RFC 9051 §6.2.2, RFC 4959, RFC 4616 */
export const authenticate: Command = {
  name: 'AUTHENTICATE',
  states: ['before-login'],
  tells: 'nothing',
  run: (session, args, tag) => {
    args.space();
    const mechanism = args.astring().toUpperCase();
    const initial = args.blanks() && !args.atEnd ? args.astring() : null;
    args.end();
    if (!session.transport.secure) return no('TLS comes first', 'PRIVACYREQUIRED');
    if (mechanism !== 'PLAIN') return no('The mechanism is not supported', 'CANNOT');
    if (initial !== null) return plain(session, initial === '=' ? '' : initial);
    session.send('+ \r\n');
    return session.awaitLine({ tag, tells: 'nothing', line: plain });
  },
};

const plain = (session: CommandSession, response: string): Reply | Promise<Reply> => {
  if (response === '*') return bad('Cancelled');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response)) {
    return bad('That is not base64');
  }
  const parts = Buffer.from(response, 'base64').toString('latin1').split('\0');
  if (parts.length !== 3) return bad('That is no response of PLAIN');
  const [authorizationId, authenticationId, password] = parts.map((part) => utf8Text(part));
  if (!authenticationId || !password || authorizationId === null || authorizationId === undefined) {
    return no('Wrong name or password', 'AUTHENTICATIONFAILED');
  }
  return session.authenticate(authorizationId, authenticationId, password);
};
