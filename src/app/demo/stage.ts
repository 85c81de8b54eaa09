import { hash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { services } from '#app/config';
import { FengniError } from '#base/errors';
import { type Language, type ParametersOf, say, type TextKey } from '#base/text';
import type { TlsSession } from './connection.ts';
import type { Letter } from './letters.ts';
import { type Fetched, type Login, readByImaps, readByPop3s, sendMail } from './mail-clients.ts';
import type { Outcome, Processes, Server } from './processes.ts';
import { failure } from './step-failure.ts';
import type { Telling } from './telling.ts';

/** of a command that did not do as it must */
const saidLinesMax = 12;

export interface StageOptions {
  language: Language;
  telling: Telling;
  /** holds everything, and nothing else does */
  folder: string;
  processes: Processes;
  signal: AbortSignal;
}

/** What the steps of the story are made of. Whatever does not go as it must ends in a `StepFailure`. */
export class Stage {
  readonly telling: Telling;
  readonly processes: Processes;
  /** the server's data folder */
  readonly data: string;
  /** its plain copy */
  readonly copy: string;
  readonly #options: StageOptions;
  readonly #ids = new Map<Letter, string>();
  #server: Server | null = null;
  #login: Login | null = null;

  constructor(options: StageOptions) {
    this.#options = options;
    this.telling = options.telling;
    this.processes = options.processes;
    this.data = this.file('data');
    this.copy = this.file('copy');
  }

  file(name: string): string {
    return path.join(this.#options.folder, name);
  }

  say<Key extends TextKey>(key: Key, ...parameters: ParametersOf<Key>): string {
    return say(this.#options.language, key, ...parameters);
  }

  get server(): Server {
    if (this.#server === null) throw new TypeError('no server runs in this step');
    return this.#server;
  }

  /** @throws {FengniError} `demo-server-not-started` (exit status 3) with what the server said: that is no verdict on anything */
  async serveFirst(): Promise<void> {
    const listen = Object.entries(services).flatMap(([name, { isBuilt }]) =>
      isBuilt ? [`[listen.${name}]\naddress = "127.0.0.1"\nport = 0\n`] : [],
    );
    // Who the author is stands for himself: nobody is asked for him in DNS.
    const authentication = '[authentication]\nexempt = ["127.0.0.0/8"]\n';
    fs.writeFileSync(this.file('fengni.toml'), `${listen.join('')}${authentication}`);
    const outcome = await this.processes.serve();
    if (outcome.kind === 'ready') {
      this.#server = outcome.server;
      return;
    }
    throw new FengniError('demo-server-not-started', {
      subject: wordsOf(outcome.said)[0]?.replace(/^fengni: /, '') ?? '',
      remedy: 'what keeps "fengni serve" from starting keeps the demo from it too; start that to see more',
    });
  }

  /** On a folder that was mended: not to start is a failure of the step. */
  async serveAgain(): Promise<void> {
    const outcome = await this.processes.serve();
    if (outcome.kind !== 'ready')
      throw wrongStatus('fengni serve', { status: outcome.status, stdout: '', stderr: outcome.said }, 0);
    this.#server = outcome.server;
  }

  async stop(): Promise<void> {
    const status = await this.server.stop();
    this.#server = null;
    if (status !== 0) throw wrongStatus('fengni serve', { status, stdout: '', stderr: '' }, 0);
  }

  idOf(letter: Letter): string {
    const id = this.#ids.get(letter);
    if (id === undefined) throw new TypeError('the letter was not sent yet');
    return id;
  }

  /** Sends a letter and compares the digest in the reply with our own. */
  async send(letter: Letter): Promise<{ tls: TlsSession; reply: string; digest: string }> {
    const { tls, reply } = await sendMail(
      { protocol: 'SMTP', port: this.server.ports.smtp, ...this.#client },
      { from: letter.from, to: this.#account.address, mail: letter.octets },
    );
    const digest = hash('sha256', letter.octets, 'hex');
    const [, id, said] = / id=([a-z2-7]{26}) sha256=([0-9a-f]{64})$/.exec(reply) ?? [];
    if (id === undefined || said !== digest) throw failure('demo.failure.reply', { reply });
    this.#ids.set(letter, id);
    return { tls, reply, digest };
  }

  /** @param number of the letter in the mailbox, from 1 */
  async read(number: number): Promise<{ imaps: Fetched; pop3s: Fetched }> {
    const { imaps, pop3s } = this.server.ports;
    const [byImap, byPop3] = await Promise.all([
      readByImaps({ protocol: 'IMAPS', port: imaps, ...this.#client }, this.#account, number),
      readByPop3s({ protocol: 'POP3S', port: pop3s, ...this.#client }, this.#account, number),
    ]);
    return { imaps: byImap, pop3s: byPop3 };
  }

  /**
   * The lines that Fengni put before a letter, when what follows them is the letter itself.
   *
   * @throws {StepFailure} when it is anything else
   */
  prefixOf(letter: Letter, { mail, reply }: Fetched, protocol: string): string {
    if (mail === null) throw failure('demo.failure.refused', { protocol, reply });
    const at = mail.length - letter.octets.length;
    if (at < 0 || !mail.subarray(at).equals(letter.octets))
      throw failure('demo.failure.changed', { protocol });
    return mail.toString('latin1', 0, at);
  }

  /** Reads a letter both ways, and shows that it is what it was. */
  async readAgain(letter: Letter, number: number): Promise<void> {
    const { imaps, pop3s } = await this.read(number);
    this.prefixOf(letter, imaps, 'IMAPS');
    this.prefixOf(letter, pop3s, 'POP3S');
    const digest = hash('sha256', letter.octets, 'hex').slice(0, 16);
    this.telling.show(
      'again',
      this.say('demo.read-again', { octets: letter.octets.length, digest }),
      'green',
    );
  }

  /** `./fengni ARGS` on the data folder, which must end with 0. */
  async must(args: readonly string[]): Promise<string> {
    const outcome = await this.processes.fengni(args);
    return expectStatus(`fengni ${args[0]}`, outcome, 0);
  }

  /** `fengni verify` must find something wrong and name all of `named`; in one sentence; its words are shown. */
  async verifyFinds(named: readonly string[], args: readonly string[] = []): Promise<void> {
    const outcome = await this.processes.fengni(['verify', ...args]);
    const words = wordsOf(expectStatus('fengni verify', outcome, 1));
    // The line that tells most of it, and the last one, which counts the others.
    const naming = (line: string): number => named.filter((name) => line.includes(name)).length;
    const [best = ''] = words.toSorted((a, b) => naming(b) - naming(a));
    this.telling.show('verify', words, 'red', [best, words.at(-1) ?? '']);
    const missing = named.find((name) => !best.includes(name));
    if (missing !== undefined) throw failure('demo.failure.not-named', { what: missing });
  }

  /** `fengni verify --repair --from COPY`, after which nothing may be wrong. */
  async repair(): Promise<void> {
    const words = wordsOf(await this.must(['verify', '--repair', '--from', this.copy]));
    // Before the repair it tells again what is wrong, and after it verifies all again: its last line says how that ended.
    const first = words.findIndex((line) => line.startsWith(this.say('verify.repair.done', { what: '' })));
    const again = words.indexOf(this.say('verify.repair.again'));
    const did = words.slice(Math.max(0, first), again < 0 ? -1 : again);
    this.telling.show('repair', words, 'green', [...did, words.at(-1) ?? '']);
  }

  /** The newest signed head, as soon as it covers a message. */
  async headOver(id: string): Promise<string> {
    // A receipt waits for the head that covers its message.
    await this.must(['receipt', id, '-o', this.file('newest.tlog-proof')]);
    return this.must(['log', 'checkpoint']);
  }

  get #client(): { ca: string; signal: AbortSignal } {
    return { ca: fs.readFileSync(path.join(this.data, 'tls/ca.pem'), 'utf8'), signal: this.#options.signal };
  }

  get #account(): Login {
    if (this.#login === null) {
      const text = fs.readFileSync(path.join(this.data, 'first-login.txt'), 'utf8');
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
      this.#login = { address: field('address'), password: field('password') };
    }
    return this.#login;
  }
}

/** What a command printed, when it ended with this status. @throws {StepFailure} */
export const expectStatus = (command: string, outcome: Outcome, status: number): string => {
  if (outcome.status !== status) throw wrongStatus(command, outcome, status);
  return outcome.stdout;
};

const wrongStatus = (command: string, { status, stdout, stderr }: Outcome, expected: number) =>
  failure('demo.failure.status', {
    command,
    status: status ?? '-',
    expected,
    said: [stdout, stderr].join('\n').trim().split('\n').slice(0, saidLinesMax).join('\n'),
  });

/** Lines of a command for the screen. */
export const wordsOf = (text: string): string[] => text.trim().split('\n');

export const lastLine = (text: string): string => wordsOf(text).at(-1) ?? '';

export const tlsWords = ({ protocol, cipher, group }: TlsSession): string =>
  [protocol, cipher, ...(group === null ? [] : [group])].join(' · ');
