import { cutsOfSize, Dialogue, type DialogueOptions, testTls } from './dialogue.ts';

/**
 * The engine in each of its states: the first octet chooses the state that the others meet, the second how they are cut.
 *
 * `Dialogue` throws when the effects come in an order that the session promises not to give; the whole and the cut octets
 * must end in the same place.
 */
const states: readonly { before: string; options: DialogueOptions }[] = [
  { before: '', options: {} },
  { before: 'EHLO x\r\n', options: {} },
  { before: 'EHLO x\r\nMAIL FROM:<a@b>\r\n', options: {} },
  { before: 'EHLO x\r\nMAIL FROM:<a@b> SMTPUTF8\r\nRCPT TO:<c@d>\r\n', options: { late: true } },
  {
    before: 'EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n',
    options: { settings: { sizeBytesMax: 300 } },
  },
  {
    before: 'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\nA: b\r\n',
    options: { settings: { receivedMax: 1 } },
  },
  { before: 'EHLO x\r\nSTARTTLS\r\n', options: {} },
  {
    before: 'HELO x\r\n',
    options: { tls: testTls, settings: { lineBytesMax: 40, endlessLineBytesMax: 80 } },
  },
];

const text = (...lines: string[]): Uint8Array => Buffer.from(lines.join('\r\n'), 'latin1');

export const seeds: Uint8Array[] = [
  text(
    '\x00\x01EHLO a',
    'MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME',
    'RCPT TO:<"x y"@[127.0.0.1]>',
    'DATA',
    'x',
    '.',
    'QUIT',
    '',
  ),
  text('\x01\x03MAIL FROM:<@a,@b:c@d> SMTPUTF8', 'RSET', 'VRFY x', 'NOOP', 'HELP', 'EXPN', ''),
  text('\x02\x05RCPT TO:<unknown@x>', 'RCPT TO:<later@x>', 'RCPT TO:<a@b> X=Y', 'DATA', ''),
  text('\x03\x02DATA', 'a', '.', 'MAIL FROM:<>', 'RCPT TO:<Postmaster>', 'DATA', '', ''),
  text('\x04\x01Received: a', '', '..', '.x', '\0', '.', 'NOOP', ''),
  text('\x05\x04Received: a', 'Received: b', '', '.', 'RSET', ''),
  text('\x04\x01a\nb', '.\r.', '.', ''),
  text('\x06\x02EHLO y', 'MAIL FROM:<a@b>', ''),
  text('\x07\x07MAIL FROM:<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b>', 'NOOP', 'GET / HTTP/1.0', ''),
];

export const run = (data: Uint8Array): void => {
  const state = states[(data[0] ?? 0) % states.length];
  if (state === undefined) return;
  const octets = Buffer.concat([Buffer.from(state.before), data.subarray(2)]);
  const outcome = (cuts: readonly number[], late: boolean): string => {
    const dialogue = new Dialogue({ ...state.options, late });
    dialogue.send(octets, cuts);
    const { replies, delivered, closed } = dialogue;
    return JSON.stringify({ replies, delivered, closed });
  };
  const whole = outcome([], state.options.late ?? false);
  const cut = outcome(cutsOfSize(octets.length, 1 + ((data[1] ?? 0) % 32)), true);
  if (whole !== cut) throw new Error(`the chunks matter:\n${whole}\n${cut}`);
};
