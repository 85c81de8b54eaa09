import { createSaslExchange, parseSaslBase64, type SaslChannel } from './index.ts';

const channel: SaslChannel = {
  binding: (name) => (name === 'tls-exporter' ? Buffer.alloc(32) : null),
  offersPlus: false,
  random: (bytes) => new Uint8Array(bytes),
};

export const seeds: Uint8Array[] = [
  Buffer.from('AHRpbQB0YW5zdGFhZnRhbnN0YWFm'),
  Buffer.from('VXJzZWwAS3VydAB4aXBqM3BsbXE='),
  Buffer.from('='),
  Buffer.from('\0a\0b'),
  Buffer.from(
    'n,,n=user,r=rOprNGfwEbeRWgbNEkqO\nc=biws,r=rOprNGfwEbeRWgbNEkqOAAAAAAAAAAAAAAAAAAAAAAAA,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  ),
  Buffer.from('p=tls-exporter,a=b,n=u=2C=3D,r=x'),
];

/**
 * Octets as base64 and as a message: a password comes only out of what is written back the same, and a proof only behind its first
 * message, whose name is written back the same.
 */
export const run = (data: Uint8Array): void => {
  const text = Buffer.from(data).toString('latin1');
  const decoded = parseSaslBase64(text);
  if (decoded !== null && Buffer.from(decoded).toString('base64') !== text)
    throw new Error('two texts for one value');
  for (const octets of [data, decoded]) {
    if (octets === null) continue;
    const step = createSaslExchange('PLAIN', channel)?.begin(octets);
    if (step?.kind !== 'password') continue;
    const written = Buffer.from(`${step.authorizationId}\0${step.user}\0${step.password}`);
    if (!written.equals(octets)) throw new Error('PLAIN was read as something else');
  }
  const [first = '', final = ''] = text.split('\n');
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS']) {
    const exchange = createSaslExchange(mechanism, channel);
    const step = exchange?.begin(Buffer.from(first, 'latin1'));
    if (exchange === null || step?.kind !== 'parameters') continue;
    const name = step.user.replaceAll('=', '=3D').replaceAll(',', '=2C');
    if (!Buffer.from(first, 'latin1').includes(`n=${name},`)) throw new Error('a name was read as another');
    exchange.parameters({ salt: new Uint8Array(16), iterations: 4096 });
    const answered = exchange.respond(Buffer.from(final, 'latin1'));
    if (answered.kind !== 'proof' && answered.kind !== 'malformed') throw new Error(answered.kind);
    if (answered.kind === 'proof' && answered.proof.proof.length !== 32)
      throw new Error('a proof has 32 octets');
  }
};
