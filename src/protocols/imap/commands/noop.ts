import { ok } from '../reply.ts';
import { anyState, type Command } from './command.ts';

/** @source RFC 9051 §6.1.2 */
export const noop: Command = {
  name: 'NOOP',
  states: anyState,
  tells: 'all',
  run: (_session, args) => {
    args.end();
    return ok('Nothing done');
  },
};
