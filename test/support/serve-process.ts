import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { services } from '../../src/app/config/services.ts';
import { withoutDns } from './server.ts';

// `./fengni serve` as a bare process: for tests of how it starts, fails to start and ends.

const root = path.resolve(import.meta.dirname, '../..');
const readyMsMax = 90_000;

export interface ServeOptions {
  data: string;
  /** `fengni.toml`; every built service gets a free port unless the text has its section */
  toml?: string;
  lang?: string;
  uid?: number;
  /** after the three standard ones */
  descriptors?: readonly number[];
  env?: NodeJS.ProcessEnv;
  args?: readonly string[];
  /** a shell that ends in `exec "$@"` */
  shell?: string;
}

export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

const running = new Set<ServeProcess>();
after(async () => {
  for (const each of running) each.child.kill('SIGKILL');
  await Promise.all([...running].map(({ ended }) => ended));
});

/** A server, whether or not it comes up. */
export class ServeProcess {
  readonly child: ChildProcess;
  /** it and everything that writes to its standard error has ended */
  readonly ended: Promise<Ended>;
  /** it has ended; its roles may live on */
  readonly exited: Promise<void>;
  readonly data: string;
  stdout = '';
  stderr = '';

  constructor(options: ServeOptions) {
    const { data, toml = '', lang = 'C.UTF-8', uid, descriptors = [], env = {}, args = [], shell } = options;
    this.data = data;
    const config = writeConfig(toml);
    const command = [path.join(root, 'fengni'), 'serve', '--config', config, '--data', data, ...args];
    const [program = '', ...rest] = shell === undefined ? command : ['sh', '-c', shell, 'sh', ...command];
    const { LC_ALL, LC_MESSAGES, LANGUAGE, NODE_TEST_CONTEXT, NODE_OPTIONS, ...inherited } = process.env;
    this.child = spawn(program, rest, {
      cwd: '/',
      env: { ...inherited, LANG: lang, ...env },
      stdio: ['ignore', 'pipe', 'pipe', ...descriptors],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    running.add(this);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exited = new Promise((resolve) => this.child.once('exit', () => resolve()));
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (status, signal) => {
        running.delete(this);
        const { stdout, stderr } = this;
        resolve({ status, signal, stdout, stderr });
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Fulfilled with the ports at the line `ready`. @throws when it ends or is silent instead */
  async ready(): Promise<Readonly<Record<string, number>>> {
    let timer: NodeJS.Timeout | undefined;
    const outcome = await Promise.race([
      new Promise<'ready'>((resolve) => {
        this.child.stdout?.on('data', () => this.stdout.includes('\n') && resolve('ready'));
      }),
      this.ended,
      new Promise<'late'>((resolve) => {
        timer = setTimeout(() => resolve('late'), readyMsMax);
      }),
    ]);
    // Read at once: it has to be there by now.
    const file = path.join(this.data, 'run/ports.json');
    clearTimeout(timer);
    if (outcome !== 'ready')
      throw new Error(`not ready (${outcome === 'late' ? 'late' : outcome.status}):\n${this.stderr}`);
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal);
    return this.ended;
  }

  /** lines of the log with this event */
  events(event: string): Record<string, unknown>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['event'] === event);
  }

  get password(): string {
    const text = fs.readFileSync(path.join(this.data, 'first-login.txt'), 'utf8');
    return /^password: (.*)$/m.exec(text)?.[1] ?? '';
  }
}

const folders: string[] = [];
process.on('exit', () => {
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

/** A folder for one test; 0755 lets other users pass. */
export const makeFolder = (mode = 0o755): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-start-'));
  folders.push(folder);
  fs.chmodSync(folder, mode);
  return folder;
};

const writeConfig = (toml: string): string => {
  const file = path.join(makeFolder(), 'fengni.toml');
  const listen = Object.entries(services).flatMap(([name, { isBuilt }]) =>
    isBuilt && !toml.includes(`[listen.${name}]`) ? [`[listen.${name}]\nport = 0\n`] : [],
  );
  fs.writeFileSync(file, withoutDns(`${toml}\n${listen.join('')}`));
  fs.chmodSync(file, 0o644);
  return file;
};
