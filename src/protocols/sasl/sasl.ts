import type { SaslChannel, SaslExchange } from './exchange.ts';
import { parsePlain } from './plain.ts';
import { scram } from './scram.ts';

/** The bindings that we know, the one that RFC 9266 wants first. @source RFC 9266, RFC 5929 §4 */
export const channelBindings = ['tls-exporter', 'tls-server-end-point'] as const;

export type ChannelBinding = (typeof channelBindings)[number];

const plain = (): SaslExchange => ({
  begin: (initial) =>
    initial === null ? { kind: 'challenge', octets: new Uint8Array(0) } : parsePlain(initial),
  respond: parsePlain,
  parameters: never,
  proved: never,
});

const never = (): never => {
  throw new RangeError('PLAIN asks for nothing');
};

const mechanisms: Readonly<Record<string, (channel: SaslChannel) => SaslExchange>> = {
  'SCRAM-SHA-256-PLUS': (channel) => scram(true, channel),
  'SCRAM-SHA-256': (channel) => scram(false, channel),
  PLAIN: plain,
};

/**
 * The mechanisms that a connection with TLS announces, by preference.
 *
 * SCRAM proves app passwords alone. Programs choose it by themselves and give up when it fails, so that where nobody has an app
 * password it would only shut people out.
 *
 * @param channel `isBound`: the channel has data to bind to
 */
export const saslMechanisms = (channel: { hasAppPasswords: boolean; isBound: boolean }): readonly string[] =>
  Object.keys(mechanisms).filter((name) =>
    name === 'PLAIN' ? true : channel.hasAppPasswords && (channel.isBound || !name.endsWith('-PLUS')),
  );

/**
 * A new exchange of a mechanism, named in any case, or null when it is not known.
 *
 * @source RFC 4422 §3
 */
export const createSaslExchange = (mechanism: string, channel: SaslChannel): SaslExchange | null => {
  const name = mechanism.toUpperCase();
  return Object.hasOwn(mechanisms, name) ? (mechanisms[name]?.(channel) ?? null) : null;
};
