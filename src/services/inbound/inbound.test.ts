import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '#base/bytes';
import { type Logger, silentLogger } from '#base/logger';
import { type AcceptedRecipient, type InboundTransaction, refusal } from '#protocols/smtp';
import type { Authentication, SenderFindings } from '#services/authentication';
import type { SealedMessage, SealedRecipient } from '#services/mailstore';
import { createMessageParser } from '#services/mailstore';
import { openPoison, type Poison } from '#services/poison';
import { SimFs } from '#store/durable';
import { createInbound, type InboundOptions } from './index.ts';

const transaction: InboundTransaction = {
  peer: {
    address: '203.0.113.9',
    port: 4242,
    name: 'peer.example',
    via: [{ by: 'XFORWARD', address: '192.0.2.1' }],
  },
  helo: 'mx.peer.example',
  protocol: 'LMTPS',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', group: null },
  mailFrom: 'a@one.example',
  smtpUtf8: false,
  body: '8BITMIME',
  sizeDeclared: null,
  requireTls: true,
  ret: 'HDRS',
  envid: 'q+2B1',
  parameters: ['BODY=8BITMIME', 'RET=hdrs', 'ENVID=q+2B1', 'REQUIRETLS'],
};
const to = (address: string, notify: string | null = null): AcceptedRecipient => ({
  address,
  key: `account-of-${address}`,
  dsn: notify === null ? null : { notify, orcpt: 'rfc822;o@x' },
});

interface World {
  delivered: { message: SealedMessage; recipients: readonly SealedRecipient[] }[];
  disabled: Set<string>;
  writer: InboundOptions['writer'];
  send(
    octets: string,
    recipients?: readonly AcceptedRecipient[],
    of?: InboundTransaction,
  ): Promise<Awaited<ReturnType<ReturnType<ReturnType<typeof createInbound>['begin']>['finish']>>>;
}

const world = (
  options: Partial<InboundOptions> = {},
): World & { inbound: ReturnType<typeof createInbound> } => {
  const io = new SimFs({ seed: 7 });
  const delivered: World['delivered'] = [];
  const disabled = new Set<string>();
  const writer: InboundOptions['writer'] = {
    resolve: async (address) =>
      disabled.has(address)
        ? { kind: 'disabled' }
        : { kind: 'accepted', recipients: [{ account: `account-of-${address}`, detail: null }] },
    deliver: async (message, recipients) => {
      delivered.push({ message, recipients });
      return { kind: 'done', id: message.id, seq: 1 };
    },
  };
  const inbound = createInbound({
    writer,
    hostname: 'mail.fengni.test',
    origin: () => 'mail.fengni.test/fengni/s0/g1',
    clock: io.clock,
    random: io.random,
    logger: silentLogger,
    large: null,
    heldBytesMax: 2 ** 24,
    ...options,
  });
  return {
    inbound,
    delivered,
    disabled,
    writer,
    send: async (octets, recipients = [to('b@fengni.test')], of = transaction) => {
      const delivery = inbound.begin(of, recipients);
      for (let at = 0; at < octets.length; at += 10) await delivery.write(utf8(octets.slice(at, at + 10)));
      return delivery.finish();
    },
  };
};

const letter = 'Subject: x\r\n\r\ntext\r\n';
const textOf = (octets: Uint8Array | undefined): string => new TextDecoder().decode(octets);

test('the prefix names the relay whose word the peer is, and no recipient where there are several (RFC 5321 §4.4)', async () => {
  const { send, delivered } = world();
  await send(letter);
  await send(letter, [to('b@fengni.test'), to('c@fengni.test')]);
  const [one, two] = delivered.map(({ recipients }) => textOf(recipients[0]?.prefix));
  assert.match(
    one ?? '',
    /\r\nReceived: from mx\.peer\.example \(peer\.example \[203\.0\.113\.9\]\) \(as \[192\.0\.2\.1\] says by XFORWARD\) by mail\.fengni\.test with LMTPS \(using TLSv1\.3 with cipher TLS_AES_128_GCM_SHA256\) id [a-z2-7]{26} for <b@fengni\.test>; /,
  );
  assert.doesNotMatch(two ?? '', / for </);
  assert.doesNotMatch(two ?? '', /c@fengni\.test/);
});

test('DSN parameters of a recipient go with its copy alone (RFC 3461 §4.1)', async () => {
  const { send, delivered } = world();
  await send(letter, [to('b@fengni.test', 'NEVER'), to('c@fengni.test')]);
  assert.deepEqual(
    delivered[0]?.recipients.map(({ dsn }) => dsn ?? null),
    [{ notify: 'NEVER', orcpt: 'rfc822;o@x' }, null],
  );
});

test('where nobody can say whether mail was kept, the message is put off, not refused (docs/decisions/0010)', async () => {
  const reason = refusal(550, '5.7.26', 'no');
  const findings: SenderFindings = {
    results: ['m; dmarc=fail'],
    keys: [],
    reverseName: null,
    disposition: {
      kind: 'refuse-unless-kept',
      why: 'dmarc',
      refusal: reason,
      domain: 'one.example',
      results: ['m; kept'],
    },
  };
  const authentication: Authentication = {
    prepare: () => {},
    begin: () => ({ write: () => {}, abort: () => {}, finish: async () => findings }),
  };
  const { writer } = world();
  const away = world({
    authentication,
    writer: { ...writer, keepMailOf: () => Promise.reject(new Error('gone')) },
  });
  const putOff = await away.send(letter);
  assert(putOff.kind === 'refused');
  assert.deepEqual([putOff.code, away.delivered.length], [451, 0]);
  const without = world({ authentication });
  const told = await without.send(letter);
  assert(told.kind === 'refused');
  assert.deepEqual([told.code, told.text, told.reason], [550, 'no', 'authentication']);
  const asked: unknown[] = [];
  const kept = world({
    authentication,
    writer: {
      ...writer,
      keepMailOf: async (request) => {
        asked.push(request);
        return request.accounts.map((account) => account !== 'account-of-c@fengni.test');
      },
    },
  });
  // An address that leads to two accounts is one recipient, with one reply.
  const alias = { ...to('all@fengni.test'), key: 'account-of-b@fengni.test account-of-c@fengni.test' };
  const outcome = await kept.send(letter, [to('b@fengni.test'), alias]);
  assert(outcome.kind === 'accepted');
  assert.deepEqual([...(outcome.except ?? [])], [[1, { ...reason, reason: 'authentication' }]]);
  assert.deepEqual(asked, [
    { accounts: ['account-of-b@fengni.test', 'account-of-c@fengni.test'], domain: 'one.example' },
  ]);
});

test('over LMTP a recipient that went away in between is refused alone; over SMTP the message is not split (RFC 2033 §4.2)', async () => {
  const { send, delivered, disabled } = world();
  disabled.add('c@fengni.test');
  const recipients = [to('b@fengni.test'), to('c@fengni.test'), to('d@fengni.test')];
  const outcome = await send(letter, recipients);
  assert(outcome.kind === 'accepted');
  assert.deepEqual(
    [...(outcome.except ?? [])].map(([index, { code }]) => [index, code]),
    [[1, 550]],
  );
  assert.deepEqual(
    delivered[0]?.recipients.map(({ address }) => address),
    ['b@fengni.test', 'd@fengni.test'],
  );
  for (const address of ['b@fengni.test', 'd@fengni.test']) disabled.add(address);
  const none = await send(letter, recipients);
  assert.equal(none.kind === 'accepted' && none.except?.size, 3);
  assert.equal(delivered.length, 1, 'for nobody nothing is stored');
  await send(letter, recipients, { ...transaction, protocol: 'ESMTP' });
  assert.equal(delivered[1]?.recipients.length, 3);
});

test('recipients: unknown 550 5.1.1, of others 550 5.7.1, disabled 550 5.2.1, and 451 4.3.0 while nobody can tell', async () => {
  const say = async (resolve: () => Promise<Awaited<ReturnType<InboundOptions['writer']['resolve']>>>) => {
    const deliver = async () => ({ kind: 'refused', code: null, text: 'x' }) as const;
    const verdict = await world({ writer: { resolve, deliver } }).inbound.recipient(transaction, 'x@y');
    return verdict.kind === 'refused' ? `${verdict.code} ${verdict.enhanced}` : verdict.kind;
  };
  assert.equal(await say(async () => ({ kind: 'unknown' })), '550 5.1.1');
  assert.equal(await say(async () => ({ kind: 'relay' })), '550 5.7.1');
  assert.equal(await say(async () => ({ kind: 'disabled' })), '550 5.2.1');
  assert.equal(
    await say(async () => {
      throw new Error('down');
    }),
    '451 4.3.0',
  );
});

test('MAIL and RCPT say 452 4.3.1 while the disk is nearly full', async () => {
  let isFull = true;
  const { inbound } = world({ isDiskNearlyFull: () => isFull });
  const refused = inbound.sender(transaction);
  assert.deepEqual(refused.kind === 'refused' && [refused.code, refused.enhanced], [452, '4.3.1']);
  const recipient = await inbound.recipient(transaction, 'b@fengni.test');
  assert.deepEqual(recipient.kind === 'refused' && [recipient.code, recipient.enhanced], [452, '4.3.1']);
  isFull = false;
  assert.equal(inbound.sender(transaction).kind, 'accepted');
});

/** A parser that fails on some octets. */
const fragile = (mark: string) => () => {
  const parser = createMessageParser();
  let seen: Uint8Array = new Uint8Array(0);
  return {
    write: (octets: Uint8Array): void => {
      seen = concat([seen, octets]);
      if (textOf(seen).includes(mark)) throw new RangeError('planted');
      parser.write(octets);
    },
    end: () => parser.end(),
    heldBytes: 0,
  };
};

test('a message that stops its parser is tried again, twice, then set aside; others go on (WIRE, “Limits and replies”)', async () => {
  const io = new SimFs({ seed: 11 });
  await io.makeFolder('/data');
  await io.makeFolder('/data/poison');
  const events: string[] = [];
  const note = (event: string): void => void events.push(event);
  const logger: Logger = { ...silentLogger, warn: note, error: note };
  const life = (poison: Poison) => world({ poison, createParser: fragile('POISON') });
  const open = (afterDeath = false): Promise<Poison> =>
    openPoison({ io, folder: '/data/poison', logger, afterDeath });
  const bad = 'Subject: POISON\r\n\r\nx\r\n';

  const poison = await open();
  assert.equal(poison.isCareful, false);
  const { send, delivered } = life(poison);
  assert.equal((await send(letter)).kind, 'accepted');
  assert.deepEqual(await io.readFolder('/data/poison'), [], 'the ordinary path writes nothing down');
  const codes: unknown[] = [];
  for (let times = 0; times < 4; times++) {
    const outcome = await send(bad);
    codes.push(outcome.kind === 'refused' && outcome.code);
  }
  assert.deepEqual(codes, [451, 451, 451, 451]);
  const kept = await io.readFolder('/data/poison');
  assert.equal(kept.length, 1);
  assert.match(kept[0] ?? '', /^[0-9a-f]{64}\.eml$/);
  assert.equal(textOf(await io.readFile(`/data/poison/${kept[0]}`)), bad);
  assert.ok(events.includes('message set aside, it stopped the parser twice'));

  // Others are taken meanwhile, and by a process that starts later, which knows the name.
  assert.equal((await send(letter)).kind, 'accepted');
  const next = await open();
  assert.equal(next.isCareful, true);
  const later = life(next);
  const refused = await later.send(bad);
  assert.match(refused.kind === 'refused' ? refused.text : '', /set aside/);
  assert.equal((await later.send(letter)).kind, 'accepted');
  assert.deepEqual(
    delivered.map(({ message }) => message.sizeBytes),
    [letter.length, letter.length],
  );
  assert.deepEqual(await io.readFolder('/data/poison'), kept, 'nothing else stays');
  const stored = later.delivered[0]?.message.parsed;
  assert.deepEqual(stored, delivered[0]?.message.parsed, 'parsed late or as it arrives, the same comes out');
});

test('what lies in poison/ at the start: the message being parsed is remembered, unfinished ones are forgotten', async () => {
  const io = new SimFs({ seed: 12 });
  await io.makeFolder('/data');
  await io.makeFolder('/data/poison');
  const put = async (name: string): Promise<void> => {
    const file = await io.open(`/data/poison/${name}`, 'create-new');
    await file.write([utf8('mail')], 0);
    await file.close();
  };
  const sha = 'ab'.repeat(32);
  const lives: string[][] = [];
  for (let life = 0; life < 2; life++) {
    await put(`${sha}.parsing`);
    await put(`${'0'.repeat(31)}${life}.open`);
    const poison = await openPoison({ io, folder: '/data/poison', logger: silentLogger, afterDeath: true });
    assert.equal(poison.isCareful, true);
    lives.push(await io.readFolder('/data/poison'));
  }
  assert.deepEqual(lives, [[`${sha}.once`], [`${sha}.eml`]]);
  const fresh = new SimFs({ seed: 13 });
  await fresh.makeFolder('/data');
  await fresh.makeFolder('/data/poison');
  const careful = await openPoison({
    io: fresh,
    folder: '/data/poison',
    logger: silentLogger,
    afterDeath: true,
  });
  assert.equal(careful.isCareful, true, 'after a death nobody knows of which message');
});
