import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { services } from '../../src/app/config/services.ts';

// Real servers for tests: `./fengni serve` in a folder of its own, on free loopback ports, any number side by side.

const root = path.resolve(import.meta.dirname, '../..');
const readyMsMax = 60_000;
const stopMsMax = 20_000;
const logCharsMax = 200_000;

export type ServiceName = keyof typeof services;

export interface ServerOptions {
  /** more of `fengni.toml`; sections `[listen.NAME]` of the built services are there already */
  toml?: string;
  /** a folder to hold DATA, which stays behind; without it one is made and removed at the end */
  folder?: string;
  env?: NodeJS.ProcessEnv;
}

export interface CommandOutcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export interface TestServer {
  /** holds `fengni.toml` and `data` */
  readonly folder: string;
  readonly data: string;
  readonly toml: string;
  /** by service, of the present run */
  readonly ports: Readonly<Record<ServiceName, number>>;
  /** certificate of the local authority, PEM, and where it lies */
  readonly ca: string;
  readonly caFile: string;
  /** the first account */
  readonly address: string;
  readonly password: string;
  /** of the supervisor */
  readonly pid: number;
  /** what it wrote so far: standard error of all processes */
  log(): string;
  /** starts it again on the same folder, after `stop` or `kill` */
  start(): Promise<void>;
  /** SIGTERM; the exit status */
  stop(): Promise<number | null>;
  /** SIGKILL to the supervisor; its roles end by themselves */
  kill(): Promise<void>;
  /** runs `./fengni ARGS --config … --data …` */
  fengni(args: readonly string[], options?: CommandOptions): Promise<CommandOutcome>;
}

export interface CommandOptions {
  stdin?: string | Uint8Array;
  lang?: string;
  cwd?: string;
}

/**
 * Starts a server and waits for `ready`. It ends with the test file, and its log is printed when the file fails.
 *
 * @throws when it ends or is silent instead, with its log
 */
export const startServer = async (options: ServerOptions = {}): Promise<TestServer> => {
  const folder = options.folder ?? fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-server-'));
  const server = new Server(folder, options);
  running.add(server);
  await server.start();
  return server;
};

/** Runs `./fengni` with these arguments, in English unless `lang` says otherwise. */
export const runFengni = (args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(path.join(root, 'fengni'), [...args], {
      cwd: options.cwd ?? root,
      env: cleanEnvironment({ LANG: options.lang ?? 'C.UTF-8' }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
    // A command that ends without reading its input closes it.
    child.stdin.on('error', () => {});
    child.stdin.end(options.stdin ?? '');
  });

const running = new Set<Server>();

after(async () => {
  await Promise.all([...running].map((server) => server.end()));
});
process.on('exit', (status) => {
  for (const server of running) {
    server.killNow();
    if (status !== 0) process.stderr.write(`log of the server in ${server.folder}:\n${server.log()}\n`);
    server.clean();
  }
});

class Server implements TestServer {
  readonly folder: string;
  readonly data: string;
  readonly toml: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | null = null;
  #exited: Promise<number | null> = Promise.resolve(null);
  #log = '';
  #ports: Record<ServiceName, number> | null = null;
  #password = '';

  constructor(folder: string, options: ServerOptions) {
    this.folder = folder;
    this.#options = options;
    this.data = path.join(folder, 'data');
    this.toml = path.join(folder, 'fengni.toml');
    const listen = Object.entries(services).flatMap(([name, { isBuilt }]) =>
      isBuilt ? [`[listen.${name}]\nport = 0\n`] : [],
    );
    fs.writeFileSync(this.toml, withoutDns(`${listen.join('')}${options.toml ?? ''}`));
  }

  get ports(): Readonly<Record<ServiceName, number>> {
    if (this.#ports === null) throw new Error('the server has not been started');
    return this.#ports;
  }
  get caFile(): string {
    return path.join(this.data, 'tls/ca.pem');
  }
  get ca(): string {
    return fs.readFileSync(this.caFile, 'utf8');
  }
  readonly address = 'admin@fengni.test';
  get password(): string {
    return this.#password;
  }
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  log(): string {
    return this.#log;
  }

  async start(): Promise<void> {
    const child = spawn(path.join(root, 'fengni'), ['serve', '--config', this.toml, '--data', this.data], {
      cwd: this.folder,
      env: cleanEnvironment({ LANG: 'C.UTF-8', ...this.#options.env }),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', (status) => resolve(status)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-logCharsMax);
    });
    const isReady = new Promise<'ready'>((resolve) => {
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/^ready$/m.test(said)) resolve('ready');
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), readyMsMax);
    });
    const outcome = await Promise.race([isReady, late, this.#exited.then(() => 'ended' as const)]);
    clearTimeout(timer);
    if (outcome !== 'ready') {
      child.kill('SIGKILL');
      const status = await this.#exited;
      throw new Error(`the server is not ready (${outcome}, status ${status}):\n${this.#log}`);
    }
    this.#ports = JSON.parse(fs.readFileSync(path.join(this.data, 'run/ports.json'), 'utf8'));
    const first = path.join(this.data, 'first-login.txt');
    if (fs.existsSync(first))
      this.#password = /^password: (.*)$/m.exec(fs.readFileSync(first, 'utf8'))?.[1] ?? '';
  }

  async stop(): Promise<number | null> {
    const child = this.#child;
    if (child === null) return null;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    const status = await this.#exited;
    clearTimeout(timer);
    this.#child = null;
    return status;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
    this.#child = null;
  }

  fengni(args: readonly string[], options: CommandOptions = {}): Promise<CommandOutcome> {
    return runFengni([...args, '--config', this.toml, '--data', this.data], options);
  }

  /** The test file is over: whether it stops in order is the business of tests that ask for it. */
  async end(): Promise<void> {
    await this.stop();
  }

  killNow(): void {
    this.#child?.kill('SIGKILL');
  }

  clean(): void {
    if (this.#options.folder === undefined)
      fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * A resolver where nobody listens, unless the test names one: who sent it is then unknown at once, on machines with DNS and without.
 * Real domains that tests borrow may ask to refuse mail from here.
 */
export const withoutDns = (toml: string): string =>
  /^\[dns\]/m.test(toml) ? toml : `${toml}\n[dns]\nresolvers = ["127.0.0.1:1"]\n`;

/** Nothing of the language or the test runner of whoever started the tests. */
const cleanEnvironment = (own: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  const { LC_ALL, LC_MESSAGES, LANGUAGE, NODE_TEST_CONTEXT, NODE_OPTIONS, ...rest } = process.env;
  return { ...rest, ...own };
};

/** How many commands of this protocol were answered how since the start: by `ok`, `no` and `bad`, or `ok` and `err`. */
export const repliesOf = async (
  server: TestServer,
  protocol: 'imap' | 'pop3',
): Promise<Record<string, number>> => {
  const answer = await fetch(`http://127.0.0.1:${server.ports.metrics}/metrics`);
  const lines = (await answer.text()).matchAll(
    /^fengni_replies_total\{protocol="(\w+)",class="(\w+)"\} (\d+)$/gm,
  );
  return Object.fromEntries(
    [...lines].flatMap(([, of, kind = '', count]) => (of === protocol ? [[kind, Number(count)]] : [])),
  );
};
