import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { fromLatin1, utf8 } from '#base/bytes';
import { silentLogger } from '#base/logger';
import type { InboundTransaction } from '#protocols/smtp';
import { createAuthentication } from '#services/authentication';
import { createInbound } from '#services/inbound';
import { flagNames } from '#store/index';
import type { Dns } from '#trust/dns';
import { sqlite } from './conformance/implementations.ts';
import { dayMs, World } from './conformance/world.ts';
import { signDkim } from './support/sign-dkim.ts';
import { inboundTransaction } from './support/transaction.ts';

// A refusal that kept mail softens (docs/decisions/0010): a whole writer with its log and index, whose days pass when they are told to.

const key = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const texts: Readonly<Record<string, string>> = {
  'kept.example': 'v=spf1 ip4:192.0.2.1 -all',
  's._domainkey.kept.example': `v=DKIM1; p=${key.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`,
  // Only the very domain in From may sign, says the organisation, and forgets that its own server does not.
  '_dmarc.kept.example': 'v=DMARC1; p=reject; adkim=s',
};
const none = { kind: 'none', why: 'nxdomain', authenticated: false, ttl: 60 } as const;
const dns: Dns = {
  txt: async (name) => {
    const text = texts[name];
    if (text === undefined) return none;
    return { kind: 'found', records: [utf8(text)], authenticated: false, ttl: 60 };
  },
  a: async () => none,
  aaaa: async () => none,
  mx: async () => none,
  ptr: async () => none,
};

const peer = (address: string, protocol: 'ESMTP' | 'LMTP' = 'ESMTP'): InboundTransaction =>
  inboundTransaction({
    peer: {
      address,
      port: 1,
      name: null,
      via: protocol === 'LMTP' ? [{ by: 'XCLIENT', address: '127.0.0.1' }] : [],
    },
    helo: 'mx.kept.example',
    protocol,
    mailFrom: 'x@kept.example',
  });

const signed = async (message: string): Promise<string> =>
  (await signDkim([fromLatin1(message)], {
    domain: 'kept.example',
    selector: 's',
    key: key.privateKey,
    signedFields: ['From', 'Subject'],
  })) + message;

test('what an organisation signed and its own strict policy disowns goes to the Junk of those who kept mail from there', async () => {
  const world = await World.begin(sqlite, { people: ['ann', 'bo'] });
  try {
    const accounts = new Map<string, string>();
    for (const name of ['ann', 'bo']) {
      const resolved = await world.writer.resolve(`${name}@fengni.test`);
      assert(resolved.kind === 'accepted');
      accounts.set(name, resolved.recipients[0]?.account ?? '');
    }
    const send = async (octets: string, to: readonly string[], of: InboundTransaction) => {
      const inbound = createInbound({
        writer: world.writer,
        hostname: 'mail.fengni.test',
        origin: () => 'mail.fengni.test/fengni/s0/g1',
        clock: world.io.clock,
        random: world.io.random,
        logger: silentLogger,
        large: null,
        heldBytesMax: 2 ** 24,
        authentication: createAuthentication({
          dns,
          hostname: 'mail.fengni.test',
          clock: world.io.clock,
          policy: { dmarc: 'obey', forgedResults: 'keep', trustedSealers: [] },
          isExempt: () => false,
        }),
      });
      const recipients = to.map((name) => ({
        address: `${name}@fengni.test`,
        key: accounts.get(name) ?? '',
        dsn: null,
      }));
      const delivery = inbound.begin(of, recipients);
      await delivery.write(fromLatin1(octets));
      const outcome = await delivery.finish();
      if (outcome.kind === 'refused') return { code: outcome.code, except: [] };
      return { code: 250, except: [...(outcome.except ?? [])].map(([at, { code }]) => [to[at], code]) };
    };
    const mailbox = (name: string, of: string) => {
      const found = world.index.mailboxByName(accounts.get(name) ?? '', of);
      assert(found, of);
      return found;
    };
    const ann = { account: accounts.get('ann') ?? '', origin: '' };
    const letter = 'From: x@kept.example\r\nSubject: s\r\n\r\ntext\r\n';
    const disowned = await signed('From: x@news.kept.example\r\nSubject: s\r\n\r\ntext\r\n');
    const stranger = peer('192.0.2.9');

    assert.deepEqual(await send(letter, ['ann', 'bo'], peer('192.0.2.1')), { code: 250, except: [] });
    assert.equal((await send(disowned, ['ann'], stranger)).code, 550, 'not read yet');
    const inbox = mailbox('ann', 'INBOX');
    await world.done(
      world.writer.changeFlags({ ...ann, mailbox: inbox.id, uids: '1', mode: 'add', flags: ['\\Seen'] }),
    );
    assert.equal((await send(disowned, ['ann'], stranger)).code, 550, 'it came today');
    world.machine.advance(dayMs + 1);

    assert.deepEqual(await send(disowned, ['ann'], stranger), { code: 250, except: [] });
    const junk = mailbox('ann', 'Junk');
    const [placement] = world.index.placements(junk.id, 0, 10);
    assert(placement);
    assert.deepEqual(flagNames(placement.flags, placement.keywords, junk.keywords), ['$Junk']);
    const [email] = world.index.emails([placement.emailSeq]);
    assert.match(
      Buffer.from(email?.prefix ?? []).toString(),
      /\r\nAuthentication-Results: mail\.fengni\.test; dmarc=fail reason="[^"]*; not refused, since kept\.example signed it, and mail from there was kept here" header\.from=news\.kept\.example/,
    );

    assert.equal((await send(disowned, ['bo'], stranger)).code, 550, 'bo has not read his');
    assert.equal((await send(disowned, ['ann', 'bo'], stranger)).code, 550, 'one reply is for both');
    assert.deepEqual(await send(disowned, ['bo', 'ann'], peer('192.0.2.9', 'LMTP')), {
      code: 250,
      except: [['bo', 550]],
    });
    assert.deepEqual(
      ['ann', 'bo'].map((name) => world.index.countPlacements(mailbox(name, 'Junk').id)),
      [2, 0],
    );
    // Nothing but the signature of the organisation counts, over all that it signed.
    assert.equal((await send(disowned.replace('text', 'other'), ['ann'], stranger)).code, 550);
    assert.equal((await send(letter.replace('x@', 'x@news.'), ['ann'], stranger)).code, 550);
    const two = await signed('From: x@news.kept.example, y@kept.example\r\nSubject: s\r\n\r\ntext\r\n');
    assert.equal((await send(two, ['ann'], stranger)).code, 550, 'two authors');

    await world.crash();
    assert.equal((await send(disowned, ['ann'], stranger)).code, 250, 'after a crash');
    await world.rebuild();
    assert.equal((await send(disowned, ['ann'], stranger)).code, 250, 'after the index was made again');
    const trash = mailbox('ann', 'Trash').id;
    await world.done(
      world.writer.copy({
        ...ann,
        mailbox: mailbox('ann', 'INBOX').id,
        uids: '1',
        target: trash,
        move: true,
      }),
    );
    assert.equal((await send(disowned, ['ann'], stranger)).code, 550, 'thrown away');
  } finally {
    await world.end();
  }
});
