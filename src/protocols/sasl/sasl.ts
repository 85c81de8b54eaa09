import { parsePlain } from './plain.ts';
import type { SaslStep } from './step.ts';

/** One log-in under way, on the server's side. */
export interface SaslExchange {
  /** @param initial the initial response, or null when the client sent none */
  begin(initial: Uint8Array | null): SaslStep;
  respond(octets: Uint8Array): SaslStep;
}

const mechanisms: Readonly<Record<string, () => SaslExchange>> = {
  PLAIN: () => ({
    begin: (initial) =>
      initial === null ? { kind: 'challenge', octets: new Uint8Array(0) } : parsePlain(initial),
    respond: parsePlain,
  }),
};

/** The mechanisms that this server knows, by preference. */
export const saslMechanisms: readonly string[] = Object.keys(mechanisms);

/**
 * A new exchange of a mechanism, named in any case, or null when it is not known.
 *
 * @source RFC 4422 §3
 */
export const createSaslExchange = (mechanism: string): SaslExchange | null => {
  const name = mechanism.toUpperCase();
  return Object.hasOwn(mechanisms, name) ? (mechanisms[name]?.() ?? null) : null;
};

/**
 * The octets of a base64 text as SASL profiles carry it, or null when it is not base64 with its padding.
 *
 * @source RFC 4648 §4, RFC 5034 §4
 */
export const parseSaslBase64 = (text: string): Uint8Array | null => {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return null;
  const octets = Buffer.from(text, 'base64');
  // Bits beyond the last octet must be zero: one text for one value.
  return octets.toString('base64') === text ? octets : null;
};
