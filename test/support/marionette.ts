import net from 'node:net';

/**
 * Speaks Marionette, by which programs of Mozilla are driven: `length:json` frames of commands and answers.
 *
 * @source https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
 */
export class Marionette {
  readonly #socket: net.Socket;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #received = Buffer.alloc(0);
  #nextId = 1;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Marionette closed the connection'));
      this.#waiting.clear();
    });
    socket.on('error', () => {});
  }

  /** Connects and begins a session that may run scripts with the program's own rights. */
  static async connect(port: number): Promise<Marionette> {
    const socket = net.connect({ port, host: '127.0.0.1' });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    const marionette = new Marionette(socket);
    await marionette.#command('WebDriver:NewSession', {});
    await marionette.#command('Marionette:SetContext', { value: 'chrome' });
    return marionette;
  }

  /** Runs the body of an async function in the program's main window; what it returns comes back as JSON. */
  async run<Value>(body: string, args: readonly unknown[] = []): Promise<Value> {
    const script = `
      const [args, done] = [arguments[0], arguments[arguments.length - 1]];
      (async () => { ${body} })().then(
        (value) => done({ value: value === undefined ? null : value }),
        (error) => done({ error: String(error && error.message || error) + '\\n' + String(error && error.stack || '') }),
      );`;
    const answer = (await this.#command('WebDriver:ExecuteAsyncScript', {
      script,
      args: [args],
      newSandbox: false,
      sandbox: 'system',
      scriptTimeout: 120_000,
    })) as { value: { value?: Value; error?: string } };
    if (answer.value.error !== undefined) throw new Error(answer.value.error);
    return answer.value.value as Value;
  }

  async quit(): Promise<void> {
    await this.#command('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
    this.#socket.destroy();
  }

  #command(name: string, parameters: unknown): Promise<unknown> {
    const id = this.#nextId++;
    const body = Buffer.from(JSON.stringify([0, id, name, parameters]));
    this.#socket.write(Buffer.concat([Buffer.from(`${body.length}:`), body]));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const colon = this.#received.indexOf(':');
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#received.toString('latin1', 0, colon));
      if (this.#received.length < end) return;
      const message: unknown = JSON.parse(this.#received.toString('utf8', colon + 1, end));
      this.#received = this.#received.subarray(end);
      // the first frame is a greeting
      if (!Array.isArray(message)) continue;
      const [, id, error, result] = message as [number, number, { message?: string } | null, unknown];
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === null) waiting?.resolve(result);
      else waiting?.reject(new Error(error.message ?? JSON.stringify(error)));
    }
  }
}
