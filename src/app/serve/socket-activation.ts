import fs from 'node:fs';
import { FengniError } from '#base/errors';
import { say } from '#base/text';

/** A socket that systemd opened before it started this process. */
export interface ActivatedSocket {
  /** of a listener: `FileDescriptorName=` of the socket unit */
  name: string;
  descriptor: number;
}

const firstDescriptor = 3;
const socketsMax = 256;

/**
 * The sockets that were handed over, by name; none where they are meant for another process.
 *
 * @param listeners names that the configuration knows
 * @throws {FengniError} `socket-unknown` (exit status 2): nobody would answer on a socket without a listener
 * @source sd_listen_fds(3), sd_listen_fds_with_names(3)
 */
export const activatedSockets = (
  env: NodeJS.ProcessEnv,
  pid: number,
  listeners: readonly string[],
): ActivatedSocket[] => {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = env;
  if (LISTEN_FDS === undefined || Number(LISTEN_PID) !== pid) return [];
  const count = /^\d{1,3}$/.test(LISTEN_FDS) ? Math.min(Number(LISTEN_FDS), socketsMax) : 0;
  const names = LISTEN_FDNAMES.split(':');
  return Array.from({ length: count }, (_, at) => {
    const name = names[at] ?? '';
    const descriptor = firstDescriptor + at;
    if (listeners.includes(name) && isSocket(descriptor)) return { name, descriptor };
    throw new FengniError('socket-unknown', {
      subject: `LISTEN_FDS ${descriptor} ${JSON.stringify(name)}`,
      remedy: say('en', 'remedy.socket-unknown'),
      exitStatus: 2,
    });
  });
};

const isSocket = (descriptor: number): boolean => {
  try {
    return fs.fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
};
