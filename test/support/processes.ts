import fs from 'node:fs';

/** The roles of a server by name: its child processes, as they call themselves. */
export const rolesOf = (supervisor: number): Map<string, number> => {
  const roles = new Map<string, number>();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = /\) \S (\d+) /.exec(fs.readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1];
      if (Number(parent) !== supervisor) continue;
      const role = /^fengni: (\w+)/.exec(fs.readFileSync(`/proc/${name}/cmdline`, 'utf8'))?.[1];
      if (role !== undefined) roles.set(role, Number(name));
    } catch {
      // It ended while we looked.
    }
  }
  return roles;
};

/** What a process has open: paths, and `socket:[…]` and its like. */
export const openFiles = (pid: number): string[] =>
  fs.readdirSync(`/proc/${pid}/fd`).flatMap((name) => {
    try {
      return [fs.readlinkSync(`/proc/${pid}/fd/${name}`)];
    } catch {
      return [];
    }
  });

export const isAlive = (pid: number): boolean => {
  try {
    // A process that ended and was not waited for is a zombie: it runs no more.
    return !/\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

/** Waits until something holds; @throws when it does not within the time. */
export const eventually = async (
  what: string,
  holds: () => boolean | Promise<boolean>,
  msMax = 30_000,
): Promise<void> => {
  const until = performance.now() + msMax;
  while (!(await holds())) {
    if (performance.now() > until) throw new Error(`not within ${msMax} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};
