import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSaslExchange, parseSaslBase64, type SaslChannel, saslMechanisms } from './index.ts';

const channel: SaslChannel = {
  binding: () => null,
  offersPlus: false,
  random: (bytes) => new Uint8Array(bytes),
};

const plain = (text: string | Uint8Array): unknown =>
  createSaslExchange('plain', channel)?.begin(typeof text === 'string' ? Buffer.from(text) : text);

test('PLAIN gives authorization id, user and password (RFC 4616 §4)', () => {
  assert.deepEqual(plain('\0tim\0tanstaaftanstaaf'), {
    kind: 'password',
    user: 'tim',
    password: 'tanstaaftanstaaf',
    authorizationId: '',
  });
  assert.deepEqual(plain('Ursel\0Kurt\0xipj3plmq'), {
    kind: 'password',
    user: 'Kurt',
    password: 'xipj3plmq',
    authorizationId: 'Ursel',
  });
  assert.deepEqual(plain('\0李@例.test\0密 码'), {
    kind: 'password',
    user: '李@例.test',
    password: '密 码',
    authorizationId: '',
  });
});

test('PLAIN without initial response asks with an empty challenge (RFC 4422 §5)', () => {
  const exchange = createSaslExchange('PLAIN', channel);
  assert.deepEqual(exchange?.begin(null), { kind: 'challenge', octets: new Uint8Array(0) });
  assert.equal(exchange?.respond(Buffer.from('\0a\0b')).kind, 'password');
});

test('what is not PLAIN is malformed, not a wrong password', () => {
  for (const text of [
    '',
    'a',
    '\0a',
    '\0\0b',
    '\0a\0',
    '\0a\0b\0',
    'x\0y\0z\0w',
    Buffer.from([0, 0xff, 0, 0x61]),
  ]) {
    assert.equal((plain(text) as { kind: string }).kind, 'malformed', JSON.stringify(text));
  }
});

test('unknown mechanisms are not known, whatever their name', () => {
  assert.deepEqual(saslMechanisms({ hasAppPasswords: false, isBound: true }), ['PLAIN']);
  assert.deepEqual(saslMechanisms({ hasAppPasswords: true, isBound: false }), ['SCRAM-SHA-256', 'PLAIN']);
  assert.deepEqual(saslMechanisms({ hasAppPasswords: true, isBound: true }), [
    'SCRAM-SHA-256-PLUS',
    'SCRAM-SHA-256',
    'PLAIN',
  ]);
  for (const name of ['', 'LOGIN', 'CRAM-MD5', '__proto__', 'constructor', 'toString']) {
    assert.equal(createSaslExchange(name, channel), null, name);
  }
});

test('base64 is read only in its one form (RFC 4648 §3.5, §4)', () => {
  assert.deepEqual(parseSaslBase64(''), Buffer.alloc(0));
  for (const text of [
    '=',
    'A',
    'AA',
    'AAA',
    'AB==',
    'AAB=',
    'AA= =',
    'AAAA=',
    'A-_A',
    'AAAA\n',
    '*',
    'AA==AA==',
  ]) {
    assert.equal(parseSaslBase64(text), null, text);
  }
  fc.assert(
    fc.property(fc.uint8Array(), (octets) => {
      assert.deepEqual(new Uint8Array(parseSaslBase64(Buffer.from(octets).toString('base64')) ?? []), octets);
    }),
  );
});

test('reading PLAIN gives back what was written, or nothing', () => {
  const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, name, fc.option(name, { nil: '' }), (user, password, authorizationId) => {
      assert.deepEqual(plain(`${authorizationId}\0${user}\0${password}`), {
        kind: 'password',
        user,
        password,
        authorizationId,
      });
    }),
  );
});
