import { cutsOfSize, Dialogue, type DialogueOptions, testTls } from './dialogue.ts';

/**
 * The engines of SMTP and LMTP in each of their states: the first octet chooses the state that the others meet, the second how they are cut.
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
    before: 'EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 7\r\nA: b\r\n\r',
    options: { settings: { sizeBytesMax: 300 } },
  },
  {
    before: 'EHLO x\r\nMAIL FROM:<a@b> BODY=BINARYMIME\r\nRCPT TO:<c@d>\r\nBDAT 3\r\nabc',
    options: { settings: { binarymime: true, receivedMax: 1 } },
  },
  { before: '', options: { settings: { protocol: 'lmtp', mailsMax: 3 } } },
  {
    before: 'LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n',
    options: {
      settings: { protocol: 'lmtp', sizeBytesMax: 300 },
      outcome: () => ({
        kind: 'accepted',
        id: 'i',
        sha256Hex: 'h',
        except: new Map([[1, { kind: 'refused', code: 452, enhanced: '4.2.2', text: 'Over quota' }]]),
      }),
    },
  },
  {
    before: 'EHLO x\r\n',
    options: { peer: { address: '192.0.2.1', port: 25, isTrustedRelay: true }, tls: testTls },
  },
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
  text('\x07\x02BDAT 3\r\nxyzBDAT 0 LAST', 'MAIL FROM:<>', 'RCPT TO:<a@b>', 'BDAT 4 LAST', 'a', 'QUIT', ''),
  text('\x07\x01\nBDAT 2\r\n\r', '', 'RSET', 'BDAT 300', ''),
  text('\x08\x03BDAT 5 LAST\r\n\r\0\n\n\rNOOP', ''),
  text(
    '\x09\x02LHLO x',
    'MAIL FROM:<> RET=FULL ENVID=a+2B',
    'RCPT TO:<a@b> NOTIFY=NEVER ORCPT=rfc822;a+2Bb',
    'BDAT 1 LAST',
    'xRSET',
    '',
  ),
  text('\x0a\x01x', '.', 'MAIL FROM:<>', ''),
  text(
    '\x0b\x04XCLIENT ADDR=203.0.113.9 NAME=[UNAVAILABLE]',
    'EHLO y',
    'XFORWARD HELO=a+2Eb SOURCE=LOCAL',
    'MAIL FROM:<> REQUIRETLS',
    '',
  ),
  text('\x0c\x07MAIL FROM:<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@b>', 'NOOP', 'GET / HTTP/1.0', ''),
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
