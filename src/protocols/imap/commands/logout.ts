import { anyState, type Command } from './command.ts';

/** @source RFC 9051 §6.1.3 */
export const logout: Command = {
  name: 'LOGOUT',
  states: anyState,
  tells: 'nothing',
  run: (session, args, tag) => {
    args.end();
    return session.logOut(tag);
  },
};
