import fs from 'node:fs';
import path from 'node:path';
import { lockHolder } from '#store/lock';

export interface RunningServer {
  /** of the supervisor */
  pid: number;
  /** its roles that live now */
  roles: readonly { role: string; pid: number }[];
}

/** The server that runs on a data folder, as the kernel tells it, or null: no file of ours says who lives. @source proc(5) */
export const runningServer = (dataFolder: string): RunningServer | null => {
  const pid = lockHolder(path.join(dataFolder, 'run', 'serve.lock'));
  if (pid === null) return null;
  const roles: { role: string; pid: number }[] = [];
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(parent) !== pid || state === 'Z') continue;
      const role = /^fengni: ([a-z]+)/.exec(fs.readFileSync(`/proc/${name}/cmdline`, 'utf8'))?.[1];
      if (role !== undefined) roles.push({ role, pid: Number(name) });
    } catch {
      // It ended while we looked.
    }
  }
  return { pid, roles };
};
