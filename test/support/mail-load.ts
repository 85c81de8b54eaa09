import { createHash } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

/** What a sender was promised: the hash and the id that stood in the `250`. */
export interface Acknowledged {
  id: string;
  sha256Hex: string;
  octets: string;
}

/**
 * Sends mail over plain SMTP on loopback, one session after the other, until it is told to stop; a session that breaks is begun again.
 *
 * `refused` counts connections that nobody took: a role that restarts must not cause any.
 */
export class MailLoad {
  readonly acknowledged: Acknowledged[] = [];
  refused = 0;
  broken = 0;
  temporary = 0;
  readonly #port: number;
  readonly #to: string;
  readonly #running: Promise<void>[];
  #stopped = false;
  #number = 0;

  constructor(options: { port: number; to: string; senders: number; tag: string }) {
    this.#port = options.port;
    this.#to = options.to;
    this.#running = Array.from({ length: options.senders }, (_, sender) =>
      this.#run(`${options.tag}-${sender}`),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #run(tag: string): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#session(tag);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.refused += 1;
        else this.broken += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  async #session(tag: string): Promise<void> {
    const socket = net.connect(this.#port, '127.0.0.1');
    try {
      const ask = dialogue(socket);
      await ask(null);
      await ask('EHLO load.example');
      for (let message = 0; message < 20 && !this.#stopped; message++) {
        const octets = `Subject: ${tag} ${this.#number++}\r\nMessage-ID: <${this.#number}@${tag}>\r\n\r\n${'text of the load\r\n'.repeat(this.#number % 40)}`;
        await ask('MAIL FROM:<load@example.org>');
        await ask(`RCPT TO:<${this.#to}>`);
        await ask('DATA');
        const reply = await ask(`${octets}.`);
        const match = /^250 2\.0\.0 Ok id=([a-z2-7]{26}) sha256=([0-9a-f]{64})$/m.exec(reply);
        if (match === null) {
          this.temporary += 1;
          continue;
        }
        const [, id = '', sha256Hex = ''] = match;
        this.acknowledged.push({ id, sha256Hex, octets });
        if (createHash('sha256').update(octets).digest('hex') !== sha256Hex)
          throw new Error('another hash in the reply');
      }
      await ask('QUIT');
    } finally {
      socket.destroy();
    }
  }
}

/** Sends a line and gives the reply; null waits for the greeting. Rejects when the connection ends. */
const dialogue = (socket: net.Socket): ((line: string | null) => Promise<string>) => {
  let text = '';
  let wake: (() => void) | null = null;
  let failed: Error | null = null;
  socket.setEncoding('latin1');
  socket.on('data', (part: string) => {
    text += part;
    wake?.();
  });
  socket.on('error', (error) => {
    failed = error;
    wake?.();
  });
  socket.on('close', () => {
    failed ??= new Error('closed');
    wake?.();
  });
  return async (line) => {
    if (line !== null) socket.write(`${line}\r\n`);
    for (;;) {
      const end = /^\d{3} .*\r\n/m.exec(text);
      if (end !== null) {
        const reply = text.slice(0, end.index + end[0].length);
        text = text.slice(reply.length);
        return reply.trimEnd();
      }
      if (failed !== null) throw failed;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
};

/** Every message of a POP3S maildrop, as octets in latin1. */
export const fetchAll = async (options: {
  port: number;
  ca: string;
  user: string;
  password: string;
}): Promise<string[]> => {
  const socket = tls.connect({
    port: options.port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: options.ca,
  });
  socket.setEncoding('latin1');
  let text = '';
  let wake: (() => void) | null = null;
  let failed: Error | null = null;
  socket.on('data', (part: string) => {
    text += part;
    wake?.();
  });
  socket.on('error', (error) => {
    failed = error;
    wake?.();
  });
  socket.on('close', () => {
    failed ??= new Error('POP3 connection closed');
    wake?.();
  });
  const until = async (end: string): Promise<string> => {
    for (;;) {
      const at = text.indexOf(end);
      if (at >= 0) {
        const reply = text.slice(0, at + end.length);
        text = text.slice(reply.length);
        return reply;
      }
      if (failed !== null) throw failed;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const ask = async (line: string): Promise<string> => {
    socket.write(`${line}\r\n`);
    const reply = await until('\r\n');
    if (!reply.startsWith('+OK')) throw new Error(`${line.split(' ')[0]}: ${reply}`);
    return reply;
  };
  try {
    await until('\r\n');
    await ask(`USER ${options.user}`);
    await ask(`PASS ${options.password}`);
    const count = Number(/^\+OK (\d+)/.exec(await ask('STAT'))?.[1]);
    const messages: string[] = [];
    for (let number = 1; number <= count; number++) {
      await ask(`RETR ${number}`);
      const stuffed = await until('\r\n.\r\n');
      messages.push(stuffed.slice(0, -3).replace(/^\./gm, ''));
    }
    return messages;
  } finally {
    socket.destroy();
  }
};

/** The id in a message's own seal, and what lies behind it: the original. */
export const original = (message: string): { id: string; octets: string } | null => {
  const match = /^Fengni-Seal: id=([a-z2-7]{26}); sha256=[0-9a-f]{64}; o=\S+\r\n/m.exec(message);
  if (match === null) return null;
  return { id: match[1] ?? '', octets: message.slice(match.index + match[0].length) };
};
