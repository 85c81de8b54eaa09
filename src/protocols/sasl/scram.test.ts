import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSaslExchange, type SaslChannel, type SaslExchange, type SaslStep } from './index.ts';

// RFC 7677 §3: the exchange of user "user" with password "pencil".
const rfc = {
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  parameters: { salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), iterations: 4096 },
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  signature: Buffer.from('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', 'base64'),
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};

const channelWith = (more: Partial<SaslChannel> = {}): SaslChannel => ({
  binding: () => null,
  offersPlus: false,
  // the nonce of the RFC is no base64 of octets
  random: (bytes) => Buffer.alloc(bytes, 7),
  ...more,
});

const exchangeOf = (mechanism = 'SCRAM-SHA-256', more: Partial<SaslChannel> = {}): SaslExchange => {
  const exchange = createSaslExchange(mechanism, channelWith(more));
  assert.ok(exchange !== null);
  return exchange;
};

const textOf = (step: SaslStep): string => {
  assert.equal(step.kind, 'challenge');
  return step.kind === 'challenge' ? Buffer.from(step.octets).toString() : '';
};

const kindOf = (step: SaslStep): string => step.kind;

/** A client's final message that keeps to what the server said; its proof is of no password. */
const finalFor = (serverFirst: string, header: Buffer): string =>
  `c=${header.toString('base64')},${serverFirst.split(',')[0]},p=${Buffer.alloc(32, 1).toString('base64')}`;

test('the message that is proved has the three parts of the exchange as they came (RFC 5802 §3)', () => {
  // base64 of this random nonce is what the server adds
  const exchange = exchangeOf();
  assert.deepEqual(exchange.begin(Buffer.from(rfc.first)), { kind: 'parameters', user: 'user' });
  const serverFirst = textOf(exchange.parameters(rfc.parameters));
  assert.match(serverFirst, /^r=rOprNGfwEbeRWgbNEkqO[A-Za-z0-9+/]{24},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096$/);
  const final = finalFor(serverFirst, Buffer.from('n,,'));
  const step = exchange.respond(Buffer.from(final));
  assert.ok(step.kind === 'proof');
  assert.deepEqual(step.proof, {
    user: 'user',
    authorizationId: '',
    authMessage: Buffer.from(
      `n=user,r=rOprNGfwEbeRWgbNEkqO,${serverFirst},${final.slice(0, final.lastIndexOf(',p='))}`,
    ),
    proof: Buffer.alloc(32, 1),
  });
  assert.equal(textOf(exchange.proved(rfc.signature)), rfc.serverFinal);
  assert.equal(exchange.respond(new Uint8Array(0)).kind, 'done');
  assert.throws(() => exchange.respond(new Uint8Array(0)), RangeError);
});

test('names have = and , as =3D and =2C, and an authorization id of their own (RFC 5802 §5.1)', () => {
  const exchange = exchangeOf();
  assert.deepEqual(exchange.begin(Buffer.from('n,a=other,n=a=2Cb=3Dc,r=x')), {
    kind: 'parameters',
    user: 'a,b=c',
  });
  const serverFirst = textOf(exchange.parameters(rfc.parameters));
  const step = exchange.respond(Buffer.from(finalFor(serverFirst, Buffer.from('n,a=other,'))));
  assert.ok(step.kind === 'proof');
  assert.equal(step.proof.authorizationId, 'other');
  assert.equal(exchangeOf().begin(Buffer.from('n,,n=a=2c,r=x')).kind, 'malformed');
});

test('with PLUS the client repeats what the channel is bound to, and nothing else will do (RFC 5802 §6)', () => {
  const binding = (name: string): Uint8Array | null => (name === 'tls-exporter' ? Buffer.alloc(32, 9) : null);
  const more = { binding, offersPlus: true };
  const begin = (header: string): [SaslExchange, string] => {
    const exchange = exchangeOf('SCRAM-SHA-256-PLUS', more);
    assert.equal(kindOf(exchange.begin(Buffer.from(`${header}n=u,r=x`))), 'parameters');
    return [exchange, textOf(exchange.parameters(rfc.parameters))];
  };
  const header = 'p=tls-exporter,,';
  const answer = (data: Buffer): SaslStep => {
    const [exchange, serverFirst] = begin(header);
    return exchange.respond(Buffer.from(finalFor(serverFirst, data)));
  };
  assert.equal(answer(Buffer.concat([Buffer.from(header), Buffer.alloc(32, 9)])).kind, 'proof');
  for (const data of [
    Buffer.from(header),
    Buffer.concat([Buffer.from(header), Buffer.alloc(32, 8)]),
    Buffer.concat([Buffer.from('p=tls-unique,,'), Buffer.alloc(32, 9)]),
    Buffer.from('n,,'),
  ])
    assert.equal(answer(data).kind, 'malformed');
  for (const [mechanism, first] of [
    // a binding that is not there, or that the mechanism has not
    ['SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=u,r=x'],
    ['SCRAM-SHA-256-PLUS', 'n,,n=u,r=x'],
    ['SCRAM-SHA-256', 'p=tls-exporter,,n=u,r=x'],
    // the client could bind and was not told that we can
    ['SCRAM-SHA-256', 'y,,n=u,r=x'],
  ] as const)
    assert.equal(exchangeOf(mechanism, more).begin(Buffer.from(first)).kind, 'malformed', first);
  assert.equal(exchangeOf('SCRAM-SHA-256').begin(Buffer.from('y,,n=u,r=x')).kind, 'parameters');
});

test('what does not keep to SCRAM is malformed', () => {
  for (const first of [
    ...['', 'n', 'n,,', 'n,,n=,r=x', 'n,,n=u', 'n,,n=u,r=', 'n,,m=x,n=u,r=x', 'x,,n=u,r=x', 'n,b=c,n=u,r=x'],
    ...['n,,n=u\0v,r=x', 'n,,n=u,r=a b', `n,,n=u,r=${'x'.repeat(300)}`, `n,,n=${'u'.repeat(3000)},r=x`],
  ])
    assert.equal(exchangeOf().begin(Buffer.from(first)).kind, 'malformed', first.slice(0, 50));
  assert.equal(exchangeOf().begin(Buffer.from([0x6e, 0x2c, 0x2c, 0xff])).kind, 'malformed');
  const answer = (text: (serverFirst: string) => string): string => {
    const exchange = exchangeOf();
    exchange.begin(Buffer.from(rfc.first));
    return exchange.respond(Buffer.from(text(textOf(exchange.parameters(rfc.parameters))))).kind;
  };
  const header = Buffer.from('n,,');
  assert.equal(
    answer((first) => finalFor(first, header)),
    'proof',
  );
  assert.equal(
    answer((first) => finalFor(first, header).replace(',p=', ',x=later,p=')),
    'proof',
  );
  for (const text of [
    () => '',
    () => '*',
    () => rfc.final,
    (first: string) => finalFor(first, Buffer.from('y,,')),
    (first: string) => finalFor(first, header).replace(/p=.*$/, 'p=AAAA'),
    (first: string) => finalFor(first, header).replace(/,p=.*$/, ''),
    (first: string) => `${finalFor(first, header)},x=y`,
  ])
    assert.equal(answer(text), 'malformed', String(text));
});

test('any octets in any order are a step or malformed, and nothing is proved that was not asked for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.uint8Array({ maxLength: 100 }), (one, other) => {
      const exchange = exchangeOf();
      const step = exchange.begin(one);
      if (step.kind !== 'parameters') {
        assert.equal(step.kind, 'malformed');
        assert.throws(() => exchange.proved(new Uint8Array(32)), RangeError);
        return;
      }
      exchange.parameters(rfc.parameters);
      assert.notEqual(exchange.respond(other).kind, 'done');
    }),
  );
});
