import { hash } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';

// The client of bench/read.ts, in a process of its own: fetches all messages of an INBOX in one command and compares each with its
// `Fengni-Seal`. Told what to do, and answering, over the channel to its parent.

interface Task {
  port: number;
  /** null: without TLS */
  ca: string | null;
  address: string;
}

process.on('message', ({ port, ca, address }: Task) => {
  const socket =
    ca === null
      ? net.connect(port, '127.0.0.1')
      : tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost' });
  let held: Buffer = Buffer.alloc(0);
  let octets = 0;
  let messages = 0;
  let wrong: string | undefined;
  socket.write(`a LOGIN ${address} secret\r\nb EXAMINE INBOX\r\nc UID FETCH 1:* BODY.PEEK[]\r\n`);
  socket.on('data', (piece: Buffer) => {
    // Of what came before, at most a part of one message is left.
    const all = Buffer.concat([held, piece]);
    let at = 0;
    for (;;) {
      const end = all.indexOf('\r\n', at);
      if (end === -1) break;
      const line = all.toString('latin1', at, end);
      const literal = /\{(\d+)\}$/.exec(line);
      if (literal !== null) {
        const length = Number(literal[1]);
        if (end + 2 + length > all.length) break;
        const body = all.subarray(end + 2, end + 2 + length);
        const seal = /^Fengni-Seal:.*sha256=([0-9a-f]{64}).*\r\n/m.exec(body.toString('latin1', 0, 2_000));
        const start = seal === null ? 0 : seal.index + seal[0].length;
        if (seal === null || hash('sha256', body.subarray(start)) !== seal[1]) wrong ??= line;
        messages += 1;
        octets += length;
        at = end + 2 + length;
        continue;
      }
      at = end + 2;
      if (!line.startsWith('c ')) continue;
      if (!line.startsWith('c OK')) wrong ??= line;
      socket.destroy();
      process.send?.({ octets, messages, wrong });
      return;
    }
    held = all.subarray(at);
  });
});
