import { createSaslExchange, parseSaslBase64 } from './index.ts';

export const seeds: Uint8Array[] = [
  Buffer.from('AHRpbQB0YW5zdGFhZnRhbnN0YWFm'),
  Buffer.from('VXJzZWwAS3VydAB4aXBqM3BsbXE='),
  Buffer.from('='),
  Buffer.from('\0a\0b'),
];

/** Octets as base64 and as a message: a password comes only out of what is written back the same. */
export const run = (data: Uint8Array): void => {
  const text = Buffer.from(data).toString('latin1');
  const decoded = parseSaslBase64(text);
  if (decoded !== null && Buffer.from(decoded).toString('base64') !== text)
    throw new Error('two texts for one value');
  for (const octets of [data, decoded]) {
    if (octets === null) continue;
    const step = createSaslExchange('PLAIN')?.begin(octets);
    if (step?.kind !== 'password') continue;
    const written = Buffer.from(`${step.authorizationId}\0${step.user}\0${step.password}`);
    if (!written.equals(octets)) throw new Error('PLAIN was read as something else');
  }
};
