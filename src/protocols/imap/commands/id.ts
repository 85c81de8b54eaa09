import { ok } from '../reply.ts';
import { anyState, type Command } from './command.ts';

/** Answered before the log-in too: some programs ask first. @source RFC 2971 §3 */
export const id: Command = {
  name: 'ID',
  states: anyState,
  tells: 'all',
  run: (session, args) => {
    args.space();
    if (args.skip('(')) {
      args.blanks();
      while (!args.skip(')')) {
        args.string();
        args.space();
        args.nstring();
        if (!args.blanks() && args.peek !== ')') args.fail('a blank is missing');
      }
    } else if (args.nstring() !== null) args.fail('a list or NIL is missing');
    args.end();
    session.send('* ID ("name" "Fengni")\r\n');
    return ok('Pleased to meet you');
  },
};
