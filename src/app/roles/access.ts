import { serveSockets } from './listen.ts';
import type { RoleContext, RunningRole } from './role-main.ts';

export const run = async ({ start, logger }: RoleContext): Promise<RunningRole> => {
  const listening = await serveSockets(start.sockets, logger, (socket) => socket.destroy());
  return { stop: async () => listening.close() };
};
