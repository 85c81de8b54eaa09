import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { programFolder } from '#app/roles';
import type { Language } from '#base/text';

const readyMsMax = 60_000;
const stopMsMax = 20_000;
const commandMsMax = 60_000;
const outputCharsMax = 200_000;

/** The ports that the demo uses, by service. */
export interface Ports {
  smtp: number;
  imaps: number;
  pop3s: number;
}

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Starts other programs of the story, and leaves none of them behind. */
export class Processes {
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;
  readonly #children = new Set<ChildProcess>();
  #servers = 0;

  /** @param folder holds `fengni.toml` and `data` */
  constructor(folder: string, env: NodeJS.ProcessEnv, language: Language, signal: AbortSignal) {
    this.#folder = folder;
    this.#signal = signal;
    const { LC_ALL, LC_MESSAGES, ...others } = env;
    this.#env = {
      ...others,
      LANG: language === 'zh' ? 'zh_CN.UTF-8' : 'C.UTF-8',
      PYTHONDONTWRITEBYTECODE: '1',
    };
  }

  /** `./fengni serve` on the data folder, until it says `ready` or ends. */
  async serve(): Promise<ServeOutcome> {
    const log = this.#file(`server-${++this.#servers}.log`);
    const child = this.#spawnServer(log);
    const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
    const ready = new Promise<'ready'>((resolve) => {
      let line = '';
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        line = (line + text).slice(-100);
        if (/^ready$/m.test(line)) resolve('ready');
      });
    });
    const first = await within(readyMsMax, Promise.race([ready, exited.then((status) => ({ status }))]));
    this.#signal.throwIfAborted();
    if (first === 'ready') {
      const ports = JSON.parse(fs.readFileSync(this.#file('data/run/ports.json'), 'utf8')) as Ports;
      return { kind: 'ready', server: { ports, stop: () => this.#stop(child, exited) } };
    }
    if (first === 'late') child.kill('SIGKILL');
    // Log lines stand before the words that a person reads.
    const said = fs.readFileSync(log, 'utf8').slice(-outputCharsMax);
    const words = /^fengni: [\s\S]*/m.exec(said)?.[0].trim() ?? said.trim();
    return { kind: 'refused', status: first === 'late' ? null : first.status, said: words };
  }

  /** `./fengni ARGS`, with these words added that tell it where. */
  fengni(args: readonly string[], where: 'data' | 'nowhere' = 'data'): Promise<Outcome> {
    const given = where === 'data' ? ['--config', 'fengni.toml', '--data', 'data'] : [];
    return this.#run(path.join(programFolder, 'fengni'), [...args, ...given]);
  }

  /** Another program. @returns null where it is not installed */
  async other(program: string, args: readonly string[]): Promise<Outcome | null> {
    try {
      return await this.#run(program, args);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Ends at once what still runs, without waiting: for a process that is ending itself. */
  killAll(): void {
    for (const child of this.#children) {
      // The roles would end by themselves within a second, but what they write meanwhile would stay behind.
      for (const pid of [child.pid ?? 0, ...childrenOf(child.pid ?? 0)]) kill(pid);
    }
  }

  /** Ends what still runs, in order where it can. */
  async stopAll(): Promise<void> {
    await Promise.all(
      [...this.#children].map((child) => {
        const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
        return this.#stop(child, exited);
      }),
    );
  }

  async #stop(child: ChildProcess, exited: Promise<number | null>): Promise<number | null> {
    if (!this.#children.has(child)) return child.exitCode;
    child.kill('SIGTERM');
    const status = await within(stopMsMax, exited);
    if (status !== 'late') return status;
    child.kill('SIGKILL');
    await exited;
    return null;
  }

  #spawnServer(log: string): ChildProcess {
    const descriptor = fs.openSync(log, 'w', 0o600);
    try {
      const given = ['--config', this.#file('fengni.toml'), '--data', this.#file('data')];
      return this.#spawn(path.join(programFolder, 'fengni'), ['serve', ...given], descriptor);
    } finally {
      fs.closeSync(descriptor);
    }
  }

  /** @throws the fault of starting it, such as ENOENT */
  async #run(program: string, args: readonly string[]): Promise<Outcome> {
    const child = this.#spawn(program, args, 'pipe');
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const said = { text: '' };
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said.text = (said.text + text).slice(-outputCharsMax);
      });
      return said;
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const status = await within(commandMsMax, ended);
    if (status === 'late') child.kill('SIGKILL');
    return {
      status: status === 'late' ? null : status,
      stdout: stdout?.text ?? '',
      stderr: stderr?.text ?? '',
    };
  }

  #spawn(program: string, args: readonly string[], stderr: 'pipe' | number): ChildProcess {
    this.#signal.throwIfAborted();
    const child = spawn(program, args, {
      cwd: this.#folder,
      env: this.#env,
      stdio: ['ignore', 'pipe', stderr],
      // Ctrl-C is for the demo alone: it ends the others in order, and none of them looks as if it had failed.
      detached: true,
    });
    this.#children.add(child);
    child.once('error', () => this.#children.delete(child));
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  #file(name: string): string {
    return path.join(this.#folder, name);
  }
}

export type ServeOutcome =
  | { kind: 'ready'; server: Server }
  /** with the words that it ended with */
  | { kind: 'refused'; status: number | null; said: string };

export interface Server {
  ports: Ports;
  /** in order; the exit status */
  stop(): Promise<number | null>;
}

const within = async <T>(ms: number, promise: Promise<T>): Promise<T | 'late'> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};

/** @source proc_pid_task_tid_children(5) */
const childrenOf = (pid: number): number[] => {
  try {
    const text = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text
      .split(' ')
      .filter((word) => word !== '')
      .map(Number);
  } catch {
    return [];
  }
};

const kill = (pid: number): void => {
  try {
    // 0 would be this process's own group.
    if (pid > 0) process.kill(pid, 'SIGKILL');
  } catch {
    // It ended before.
  }
};
