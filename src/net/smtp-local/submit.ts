import net from 'node:net';

export interface SubmitRequest {
  /** tried in this order on 127.0.0.1, then ::1 */
  ports: readonly number[];
  /** what EHLO says */
  hostname: string;
  mailFrom: string;
  parameters: readonly string[];
  recipients: readonly { address: string; notify: string | null }[];
  /** lines end in CRLF */
  pieces: readonly Uint8Array[];
}

export interface SmtpReply {
  code: number;
  /** of all lines, without the code */
  text: string;
}

export type SubmitOutcome =
  | { kind: 'accepted'; reply: SmtpReply }
  /** for good; `recipient` is null where it is the message or its sender */
  | { kind: 'refused'; refused: readonly { recipient: string | null; reply: SmtpReply }[] }
  /** for now; null: nobody answered, or the connection ended before the answer */
  | { kind: 'later'; reply: SmtpReply | null };

const hosts = ['127.0.0.1', '::1'];
const connectMs = 10_000;
/** RFC 5321 §4.5.3.2.6 has 10 minutes for the answer to the final dot */
const replyMs = 600_000;
const replyBytesMax = 65_536;

/** Hands one message to the server of this machine. Never rejects. */
export const submitBySmtp = async (request: SubmitRequest): Promise<SubmitOutcome> => {
  const opened = await open(request.ports);
  if (opened === null) return { kind: 'later', reply: null };
  const { socket, replies, greeting } = opened;
  try {
    if (greeting.code !== 220) return { kind: 'later', reply: greeting };
    return await converse(socket, replies, request);
  } catch {
    return { kind: 'later', reply: null };
  } finally {
    socket.destroy();
  }
};

const converse = async (
  socket: net.Socket,
  replies: Replies,
  request: SubmitRequest,
): Promise<SubmitOutcome> => {
  const ask = async (line: string): Promise<SmtpReply> => {
    socket.write(`${line}\r\n`);
    return replies.next();
  };
  const ehlo = await ask(`EHLO ${request.hostname}`);
  if (ehlo.code !== 250) return outcomeOf(null, ehlo);
  const offers = new Set(ehlo.text.split('\n').map((line) => line.split(' ')[0]?.toUpperCase() ?? ''));
  const parameters = request.parameters.filter(
    (parameter) => !/^(?:RET|ENVID)=/.test(parameter) || offers.has('DSN'),
  );
  const mail = await ask([`MAIL FROM:<${request.mailFrom}>`, ...parameters].join(' '));
  if (mail.code !== 250) return outcomeOf(null, mail);
  const refused: { recipient: string | null; reply: SmtpReply }[] = [];
  for (const { address, notify } of request.recipients) {
    const asked = notify !== null && offers.has('DSN') ? ` NOTIFY=${notify}` : '';
    const rcpt = await ask(`RCPT TO:<${address}>${asked}`);
    if (rcpt.code >= 500) refused.push({ recipient: address, reply: rcpt });
    else if (rcpt.code !== 250) return { kind: 'later', reply: rcpt };
  }
  if (refused.length > 0) {
    socket.end('QUIT\r\n');
    return { kind: 'refused', refused };
  }
  const data = await ask('DATA');
  if (data.code !== 354) return outcomeOf(null, data);
  await sendStuffed(socket, request.pieces);
  const done = await replies.next();
  socket.end('QUIT\r\n');
  return done.code === 250 ? { kind: 'accepted', reply: done } : outcomeOf(null, done);
};

const outcomeOf = (recipient: string | null, reply: SmtpReply): SubmitOutcome =>
  reply.code >= 500 ? { kind: 'refused', refused: [{ recipient, reply }] } : { kind: 'later', reply };

/** @source RFC 5321 §4.5.2 */
const sendStuffed = async (socket: net.Socket, pieces: readonly Uint8Array[]): Promise<void> => {
  let isAtLineStart = true;
  let isAfterCr = false;
  for (const piece of pieces) {
    let text = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1');
    if (text === '') continue;
    const endsInCr = text.endsWith('\r');
    const endsLine = text.endsWith('\r\n') || (isAfterCr && text === '\n');
    // A line may begin with this piece, or behind the LF that it begins with.
    if (isAfterCr && text.startsWith('\n.')) text = `\n.${text.slice(1)}`;
    else if (isAtLineStart && text.startsWith('.')) text = `.${text}`;
    await send(socket, text.replaceAll('\r\n.', '\r\n..'));
    isAtLineStart = endsLine;
    isAfterCr = endsInCr;
  }
  await send(socket, isAtLineStart ? '.\r\n' : '\r\n.\r\n');
};

const send = async (socket: net.Socket, text: string): Promise<void> => {
  if (socket.write(text, 'latin1')) return;
  await new Promise<void>((resolve, reject) => {
    const done = (error?: Error): void => {
      socket.off('drain', done);
      socket.off('close', closed);
      if (error instanceof Error) reject(error);
      else resolve();
    };
    const closed = (): void => done(new Error('closed'));
    socket.once('drain', done);
    socket.once('close', closed);
  });
};

/** A connection whose greeting is Fengni's, or null. */
const open = async (
  ports: readonly number[],
): Promise<{ socket: net.Socket; replies: Replies; greeting: SmtpReply } | null> => {
  for (const port of ports)
    for (const host of hosts) {
      const socket = net.connect({ host, port, noDelay: true });
      socket.on('error', () => {});
      const replies = createReplies(socket);
      const timer = setTimeout(() => socket.destroy(), connectMs);
      try {
        const greeting = await replies.next();
        // Whatever else has the port would get somebody's mail.
        if (/^\S+ ESMTP Fengni$/.test(greeting.text) || greeting.code === 421)
          return { socket, replies, greeting };
        socket.destroy();
      } catch {
        socket.destroy();
      } finally {
        clearTimeout(timer);
      }
    }
  return null;
};

interface Replies {
  /** @throws when the connection ends before one, or none comes in time */
  next(): Promise<SmtpReply>;
}

const createReplies = (socket: net.Socket): Replies => {
  let text = '';
  let isOver = false;
  let waiting: { resolve(reply: SmtpReply): void; reject(error: Error): void } | null = null;
  const end = (): void => {
    isOver = true;
    waiting?.reject(new Error('the connection ended'));
    waiting = null;
  };
  const step = (): void => {
    if (waiting === null) return;
    const reply = takeReply(text);
    if (reply !== null) {
      text = text.slice(reply.length);
      waiting.resolve(reply.reply);
      waiting = null;
    } else if (isOver || text.length > replyBytesMax) socket.destroy();
  };
  socket.setEncoding('utf8');
  socket.setTimeout(replyMs, () => socket.destroy());
  socket.on('data', (piece: string) => {
    text += piece;
    step();
  });
  socket.on('end', end);
  socket.on('close', end);
  return {
    next: () =>
      new Promise((resolve, reject) => {
        if (isOver) {
          reject(new Error('the connection ended'));
          return;
        }
        waiting = { resolve, reject };
        step();
      }),
  };
};

/** @source RFC 5321 §4.2.1 */
const takeReply = (text: string): { reply: SmtpReply; length: number } | null => {
  const match = /^(?:(\d{3})-[^\r\n]*\r?\n)*(\d{3})(?: [^\r\n]*)?\r?\n/.exec(text);
  if (match === null) return null;
  const whole = match[0];
  const lines = whole.trimEnd().split(/\r?\n/);
  return {
    reply: { code: Number(match[2]), text: lines.map((line) => line.slice(4)).join('\n') },
    length: whole.length,
  };
};

/** Joins a program's input and output to the server of this machine (`-bs`). @returns false when it is not there */
export const splice = async (
  ports: readonly number[],
  input: NodeJS.ReadableStream,
  output: { write(text: string | Uint8Array): boolean },
): Promise<boolean> => {
  const opened = await open(ports);
  if (opened === null) return false;
  const { socket, greeting } = opened;
  output.write(`${greeting.code} ${greeting.text}\r\n`);
  socket.removeAllListeners('data');
  socket.on('data', (piece: string) => output.write(piece));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  input.on('data', (piece: Uint8Array | string) => void socket.write(piece));
  input.on('end', () => socket.end());
  await closed;
  return true;
};
