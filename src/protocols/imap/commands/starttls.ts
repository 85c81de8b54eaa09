import { bad, no } from '../reply.ts';
import type { Command } from './command.ts';

/** @source RFC 9051 §6.2.1 */
export const startTls: Command = {
  name: 'STARTTLS',
  states: ['before-login'],
  tells: 'nothing',
  run: (session, args, tag) => {
    args.end();
    if (session.transport.secure) return bad('TLS is on already');
    if (!session.transport.canStartTls) return no('There is no certificate here', 'UNAVAILABLE');
    return session.startTls(tag);
  },
};
