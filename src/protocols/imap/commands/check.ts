import { ok } from '../reply.ts';
import type { Command } from './command.ts';

/** Everything is durable already. @source RFC 3501 §6.4.1 */
export const check: Command = {
  name: 'CHECK',
  states: ['selected'],
  tells: 'all',
  run: (_session, args) => {
    args.end();
    return ok('Checked');
  },
};
