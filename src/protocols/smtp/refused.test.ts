import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testSettings } from './dialogue.ts';
import {
  createSmtpSession,
  type RefusedAttempt,
  refusal,
  type SmtpEffect,
  type SmtpSettings,
} from './index.ts';

type Told = Pick<RefusedAttempt, 'stage' | 'mailFrom'> & { reply: string; recipients: string };

/** What a session tells of its refusals; recipients that begin with `no` are refused, and messages by `outcome`. */
const toldBy = (octets: string, settings: Partial<SmtpSettings> = {}, refusesMessage = false): Told[] => {
  const session = createSmtpSession(
    { ...testSettings, ...settings },
    { address: '192.0.2.7', port: 1, isTrustedRelay: true },
    null,
  );
  const told: Told[] = [];
  const act = (effects: readonly SmtpEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === 'reply') {
        const isRefusal = /^[45]/.test(effect.text);
        assert.equal(effect.refused !== undefined, isRefusal, effect.text);
        if (effect.refused === undefined) continue;
        const { stage, mailFrom, recipients } = effect.refused;
        told.push({ stage, mailFrom, recipients: recipients.join(), reply: effect.text.slice(0, 9) });
      } else if (effect.kind === 'mail') act(session.answer({ kind: 'mail', verdict: { kind: 'accepted' } }));
      else if (effect.kind === 'rcpt')
        act(
          session.answer({
            kind: 'rcpt',
            verdict: effect.address.startsWith('no')
              ? refusal(550, '5.1.1', 'No')
              : { kind: 'accepted', key: effect.address },
          }),
        );
      else if (effect.kind === 'end')
        act(
          session.answer({
            kind: 'end',
            outcome: refusesMessage
              ? refusal(550, '5.7.26', 'No')
              : {
                  kind: 'accepted',
                  id: 'i',
                  sha256Hex: 'f',
                  except: new Map([[1, refusal(550, '5.1.1', 'Gone')]]),
                },
          }),
        );
    }
  };
  act(session.greet());
  act(session.feed(Buffer.from(octets)));
  return told;
};

const hello = 'EHLO h\r\nMAIL FROM:<a@b.example>\r\n';

test('a refusal says what it was about, also when it ended the transaction', () => {
  assert.deepEqual(
    toldBy(`${hello}RCPT TO:<no@x>\r\nRCPT TO:<yes@x>\r\nDATA\r\nx\r\n.\r\nNONSENSE\r\n`, {}, true),
    [
      { stage: 'rcpt', mailFrom: 'a@b.example', recipients: 'no@x', reply: '550 5.1.1' },
      { stage: 'data', mailFrom: 'a@b.example', recipients: 'yes@x', reply: '550 5.7.2' },
      // The message is over: what follows is not about it.
      { stage: 'command', mailFrom: null, recipients: '', reply: '500 5.5.1' },
    ],
  );
  assert.deepEqual(toldBy(`EHLO h\r\nMAIL FROM:<big@b.example> SIZE=999999999\r\n`), [
    { stage: 'mail', mailFrom: 'big@b.example', recipients: '', reply: '552 5.3.4' },
  ]);
  assert.deepEqual(
    toldBy(`${hello}RCPT TO:<y@x>\r\nDATA\r\n${'x'.repeat(2_000)}\r\n.\r\n`, { sizeBytesMax: 1_000 }),
    [{ stage: 'data', mailFrom: 'a@b.example', recipients: 'y@x', reply: '552 5.3.4' }],
  );
  assert.deepEqual(toldBy(`${hello}RCPT TO:<y@x>\r\nDATA\r\nx\ny\r\n.\r\n`), [
    { stage: 'data', mailFrom: 'a@b.example', recipients: 'y@x', reply: '554 5.6.0' },
  ]);
  assert.deepEqual(
    toldBy(`${hello}RCPT TO:<y@x>\r\nBDAT 2000 LAST\r\n${'x'.repeat(2_000)}`, { sizeBytesMax: 1_000 }),
    [{ stage: 'data', mailFrom: 'a@b.example', recipients: 'y@x', reply: '552 5.3.4' }],
  );
  assert.deepEqual(toldBy(`${hello}RCPT TO:<y@x>\r\nNONSENSE\r\nRSET\r\nNONSENSE\r\n`), [
    { stage: 'command', mailFrom: 'a@b.example', recipients: '', reply: '500 5.5.1' },
    { stage: 'command', mailFrom: null, recipients: '', reply: '500 5.5.1' },
  ]);
});

test('over LMTP a refusal is about its own recipient (RFC 2033 §4.2)', () => {
  assert.deepEqual(
    toldBy('LHLO h\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@x>\r\nRCPT TO:<y@x>\r\nDATA\r\nx\r\n.\r\n', {
      protocol: 'lmtp',
    }),
    [{ stage: 'data', mailFrom: 'a@b', recipients: 'y@x', reply: '550 5.1.1' }],
  );
});

test('the peer is the one that a trusted relay names', () => {
  const session = createSmtpSession(
    testSettings,
    { address: '192.0.2.7', port: 1, isTrustedRelay: true },
    null,
  );
  session.greet();
  const effects = session.feed(
    Buffer.from('XCLIENT ADDR=198.51.100.9 NAME=mx.far.example\r\nEHLO far.example\r\nNONSENSE\r\n'),
  );
  const refused = effects.flatMap((effect) =>
    effect.kind === 'reply' && effect.refused ? [effect.refused] : [],
  );
  assert.deepEqual(
    refused.map(({ peer, helo }) => [peer.address, peer.name, helo]),
    [['198.51.100.9', 'mx.far.example', 'far.example']],
  );
});
