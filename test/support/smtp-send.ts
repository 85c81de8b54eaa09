import net from 'node:net';

export interface SendOptions {
  port: number;
  to: string;
  /** the octets between DATA and the final dot, one octet a character; lines end in CRLF, dots are stuffed here */
  octets: string;
  /** before the final dot */
  beforeEnd?(): void | Promise<void>;
}

/** Sends one message; the first reply that refuses it, or the one to the final dot. @throws when the connection breaks */
export const sendMail = async (options: SendOptions): Promise<string> => {
  const socket = net.connect(options.port, '127.0.0.1');
  let text = '';
  let failed: Error | null = null;
  let wake = (): void => {};
  socket.setEncoding('latin1');
  socket.on('data', (part: string) => {
    text += part;
    wake();
  });
  socket.on('error', (error) => {
    failed = error;
    wake();
  });
  socket.on('close', () => {
    failed ??= new Error('closed');
    wake();
  });
  const reply = async (): Promise<string> => {
    for (;;) {
      const end = /^\d{3} .*\r\n/m.exec(text);
      if (end !== null) {
        const whole = text.slice(0, end.index + end[0].length);
        text = text.slice(whole.length);
        return end[0].trimEnd();
      }
      if (failed !== null) throw failed;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  try {
    await reply();
    for (const line of [
      'EHLO client.example',
      'MAIL FROM:<a@example.org>',
      `RCPT TO:<${options.to}>`,
      'DATA',
    ]) {
      socket.write(`${line}\r\n`);
      const said = await reply();
      if (!/^[23]/.test(said)) return said;
    }
    socket.write(options.octets.replace(/^\./gm, '..'), 'latin1');
    await options.beforeEnd?.();
    socket.write('.\r\n');
    return await reply();
  } finally {
    socket.destroy();
  }
};
