import { Pop3Dialogue, type Pop3DialogueOptions } from './dialogue.ts';

const messages = ['A: b\r\n\r\n.\r\n', 'x\n\n.\ny', null, undefined, ''];
const loggedIn = 'USER user\r\nPASS secret word\r\n';

/** The first octet chooses the state that the others meet, the second how they are cut. */
const states: readonly { before: string; options: Pop3DialogueOptions }[] = [
  { before: '', options: { secure: false } },
  { before: '', options: { secure: true } },
  { before: 'USER user\r\n', options: { secure: true } },
  { before: 'AUTH PLAIN\r\n', options: { secure: true } },
  { before: loggedIn, options: { messages } },
  {
    before: `${loggedIn}DELE 1\r\n`,
    options: { messages, quit: { kind: 'failed', code: 'SYS/TEMP', text: 'no' } },
  },
  { before: 'STLS\r\n', options: { secure: false } },
  { before: loggedIn, options: { messages, settings: { lineBytesMax: 30, endlessLineBytesMax: 60 } } },
];

const text = (...lines: string[]): Uint8Array => Buffer.from(lines.join('\r\n'), 'latin1');

export const seeds: Uint8Array[] = [
  text('\x00\x01CAPA', 'USER a', 'AUTH ', 'STLS', 'NOOP', ''),
  text('\x01\x02USER user', 'PASS secret word', 'STAT', 'QUIT', ''),
  text('\x02\x03PASS secret word', 'LIST', ''),
  text('\x03\x02AHVzZXIAc2VjcmV0IHdvcmQ=', 'UIDL', ''),
  text('\x04\x05LIST', 'RETR 1', 'TOP 2 1', 'RETR 3', 'DELE 1', 'RSET', 'UIDL 1', 'QUIT', ''),
  text('\x05\x01RETR 1', 'DELE 2', 'QUIT', ''),
  text('\x06\x01CAPA', ''),
  text('\x07\x03TOP 1 0', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'NOOP', ''),
];

export const run = (data: Uint8Array): void => {
  const state = states[(data[0] ?? 0) % states.length];
  if (state === undefined) return;
  const octets = Buffer.concat([Buffer.from(state.before), data.subarray(2)]);
  const size = 1 + ((data[1] ?? 0) % 32);
  const outcome = (cuts: readonly number[], late: boolean): string => {
    const dialogue = new Pop3Dialogue({ ...state.options, late });
    dialogue.send(octets, cuts);
    const { replies, logins, deleted, closed } = dialogue;
    return JSON.stringify({ replies, logins, deleted, closed });
  };
  const cuts: number[] = [];
  for (let at = size; at < octets.length; at += size) cuts.push(at);
  const whole = outcome([], false);
  const cut = outcome(cuts, true);
  if (whole !== cut) throw new Error(`the chunks matter:\n${whole}\n${cut}`);
};
