import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Readable, Writable } from 'node:stream';

type Fields = Record<string, unknown>;

/** far more than any page needs, on however busy a machine */
const untilMsMax = 120_000;

/** Debian's Chromium without a window, spoken to over two pipes (Chrome DevTools Protocol): no port, no library. */
export class Chromium {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<
    number,
    { resolve: (result: Fields) => void; reject: (error: Error) => void }
  >();
  readonly #events: { method: string; params: Fields }[] = [];
  #session: string | null = null;
  #number = 0;
  #said = '';

  /** @param flags more of them, such as `--lang=zh-CN` */
  constructor(program: string, flags: readonly string[] = []) {
    this.#profile = fs.mkdtempSync(path.join(os.tmpdir(), 'fengni-chromium-'));
    const always = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-quic',
      '--remote-debugging-pipe',
      `--user-data-dir=${this.#profile}`,
    ];
    this.#child = spawn(program, [...always, ...flags, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-10_000);
    });
    const end = (why: string): void => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${why}\n${this.#said}`));
      this.#waiting.clear();
    };
    this.#child.once('error', (error) => end(error.message));
    this.#child.once('exit', (status) => end(`Chromium ended with status ${status}`));
    let text = '';
    (this.#child.stdio[4] as Readable).setEncoding('utf8').on('data', (part: string) => {
      text += part;
      for (let at = text.indexOf('\0'); at >= 0; at = text.indexOf('\0')) {
        this.#take(JSON.parse(text.slice(0, at)));
        text = text.slice(at + 1);
      }
    });
    this.#input.on('error', () => {});
  }

  /** Opens a page; every later command is for it. Its faults, refused requests and connections are kept as events. */
  async open(url: string): Promise<void> {
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    this.#session = String(sessionId);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'DOM'])
      await this.send(`${domain}.enable`, {});
    await this.send('Page.navigate', { url });
    await this.until('document.readyState === "complete"');
  }

  /** A command of the protocol. */
  send(method: string, params: Fields): Promise<Fields> {
    const id = ++this.#number;
    const message = { id, method, params, ...(this.#session === null ? {} : { sessionId: this.#session }) };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#input.write(`${JSON.stringify(message)}\0`);
    });
  }

  /** The value of an expression in the page, awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as { result: { value?: unknown }; exceptionDetails?: unknown };
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Waits until an expression in the page is true. */
  async until(expression: string): Promise<void> {
    const endsMs = performance.now() + untilMsMax;
    while ((await this.evaluate(expression)) !== true) {
      if (performance.now() > endsMs) throw new Error(`still not true in the page: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Gives a file to an `<input type="file">`. */
  async chooseFile(selector: string, file: string): Promise<void> {
    const { root } = (await this.send('DOM.getDocument', {})) as { root: { nodeId: number } };
    const { nodeId } = await this.send('DOM.querySelector', { nodeId: root.nodeId, selector });
    await this.send('DOM.setFileInputFiles', { nodeId, files: [file] });
  }

  /** What happened in the page so far: faults, messages of the console, requests. */
  events(method: string): Fields[] {
    return this.#events.filter((event) => event.method === method).map((event) => event.params);
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
      await ended;
    }
    fs.rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }

  get #input(): Writable {
    return this.#child.stdio[3] as Writable;
  }

  #take(message: { id?: number; method?: string; params?: Fields; result?: Fields; error?: unknown }): void {
    if (message.id === undefined) {
      this.#events.push({ method: message.method ?? '', params: message.params ?? {} });
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result ?? {});
    else waiting?.reject(new Error(JSON.stringify(message.error)));
  }
}
