import { type ChildProcess, spawn } from 'node:child_process';

const timeoutMs = 30_000;
const rows = 40;
const columns = 120;

/** What a terminal is told besides text: places, colours, modes, titles. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const escapes = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007]*\u0007|[()][0-9A-Z]|[=>78]|[A-Z])/g;

/** A program in a terminal that nobody sees: keys are typed, and what it writes is waited for. */
export class Terminal {
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  #written = '';
  #from = 0;
  #wake: () => void = () => {};

  /** @param command for `sh`, in which it is the last thing */
  constructor(command: string, env: NodeJS.ProcessEnv) {
    this.#child = spawn(
      'script',
      ['-qfec', `stty rows ${rows} cols ${columns}; exec ${command}`, '/dev/null'],
      { stdio: 'pipe', env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', TERM: 'xterm', ...env }, cwd: '/' },
    );
    this.#child.stdin?.on('error', () => {});
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#written += text;
      this.#wake();
    });
    this.ended = new Promise((resolve) => this.#child.once('close', (status) => resolve(status)));
    void this.ended.then(() => this.#wake());
  }

  /** All that it wrote, without what moves the cursor. */
  get written(): string {
    return this.#written.replace(escapes, ' ').replace(/[ \r\n]+/g, ' ');
  }

  /** Types, then waits until something like `pattern` is written behind all that was waited for before; returns what was written until then. */
  async type(keys: string, pattern: RegExp): Promise<string> {
    this.#child.stdin?.write(keys);
    return await this.until(pattern);
  }

  async until(pattern: RegExp): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const fresh = this.written.slice(this.#from);
      const found = pattern.exec(fresh);
      if (found !== null) {
        this.#from += found.index + found[0].length;
        return fresh.slice(0, found.index + found[0].length);
      }
      const leftMs = deadline - Date.now();
      if (leftMs <= 0 || this.#child.exitCode !== null)
        throw new Error(`nothing like ${pattern} in ${JSON.stringify(fresh.slice(-3_000))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Types the last keys and waits for the end; its status. */
  async close(keys = ''): Promise<number | null> {
    if (keys !== '') this.#child.stdin?.write(keys);
    const timer = setTimeout(() => this.kill(), timeoutMs);
    const status = await this.ended;
    clearTimeout(timer);
    return status;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
