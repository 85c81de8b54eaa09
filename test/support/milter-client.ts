import { once } from 'node:events';
import net from 'node:net';

// The side of a mail server in the milter protocol (version 6), for tests with milters that sign.

/** the milter gets what stands behind a field's colon with its blanks */
const headerLeadingSpace = 0x10_0000;
const addsAndChangesHeaders = 0x01 | 0x10;
const versionOffered = 6;

export interface SentMail {
  mailFrom: string;
  rcptTo: string;
  /** as latin1 text with CRLF */
  message: string;
}

/** Shows a mail to a milter as if it came from this machine. @returns the fields that it puts in front, unfolded as it gave them */
export const throughMilter = async (
  port: number,
  { mailFrom, rcptTo, message }: SentMail,
): Promise<string> => {
  const socket = net.connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  let held = Buffer.alloc(0);
  const take = async (octets: number): Promise<Buffer> => {
    while (held.length < octets) {
      const [piece] = (await once(socket, 'data')) as [Buffer];
      held = Buffer.concat([held, piece]);
    }
    const taken = held.subarray(0, octets);
    held = held.subarray(octets);
    return taken;
  };
  const send = (command: string, data: Buffer | string = ''): void => {
    const octets = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
    const head = Buffer.alloc(5);
    head.writeUInt32BE(octets.length + 1);
    head.write(command, 4, 'latin1');
    socket.write(Buffer.concat([head, octets]));
  };
  const reply = async (): Promise<{ what: string; data: Buffer }> => {
    const length = (await take(4)).readUInt32BE();
    const packet = await take(length);
    return { what: packet.toString('latin1', 0, 1), data: packet.subarray(1) };
  };
  const goOn = async (command: string, data: Buffer | string = ''): Promise<void> => {
    send(command, data);
    const { what } = await reply();
    if (what !== 'c') throw new Error(`the milter says ${JSON.stringify(what)} to ${command}`);
  };
  try {
    const offer = Buffer.alloc(12);
    offer.writeUInt32BE(versionOffered);
    offer.writeUInt32BE(addsAndChangesHeaders, 4);
    offer.writeUInt32BE(headerLeadingSpace, 8);
    send('O', offer);
    const negotiated = await reply();
    const keepsSpace = (negotiated.data.readUInt32BE(8) & headerLeadingSpace) !== 0;
    const port4 = Buffer.alloc(2);
    port4.writeUInt16BE(40_000);
    await goOn('C', Buffer.concat([Buffer.from('localhost\x004'), port4, Buffer.from('127.0.0.1\0')]));
    await goOn('H', 'localhost\0');
    await goOn('M', `<${mailFrom}>\0`);
    await goOn('R', `<${rcptTo}>\0`);
    const bodyStart = message.indexOf('\r\n\r\n');
    const fields = message.slice(0, bodyStart).split(/\r\n(?![ \t])/);
    for (const field of fields) {
      const colon = field.indexOf(':');
      const value = field.slice(colon + 1).replaceAll('\r\n', '\n');
      await goOn('L', `${field.slice(0, colon)}\0${keepsSpace ? value : value.replace(/^ /, '')}\0`);
    }
    await goOn('N');
    const body = Buffer.from(message.slice(bodyStart + 4), 'latin1');
    for (let at = 0; at < body.length; at += 65_535) await goOn('B', body.subarray(at, at + 65_535));
    send('E');
    let above = '';
    for (;;) {
      const { what, data } = await reply();
      if (what === 'i' || what === 'h') {
        const [name = '', value = ''] = data
          .subarray(what === 'i' ? 4 : 0)
          .toString('latin1')
          .split('\0');
        above += `${name}:${keepsSpace ? '' : ' '}${value.replaceAll(/\r?\n/g, '\r\n')}\r\n`;
      } else if (what === 'c' || what === 'a') return above;
      else if (what !== 'p') throw new Error(`the milter ends with ${JSON.stringify(what)}`);
    }
  } finally {
    socket.destroy();
  }
};
