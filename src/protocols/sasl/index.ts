/**
 * Log-in exchanges (SASL, RFC 4422), the server's side: PLAIN (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), bound to
 * the channel by `tls-exporter` (RFC 9266) or `tls-server-end-point` (RFC 5929).
 *
 * Always: pure; a message that does not keep to its mechanism is `malformed`, never a wrong password; keys are not here: who holds them
 * is asked for a salt and about a proof.
 */
export { parseSaslBase64 } from './base64.ts';
export type { SaslChannel, SaslExchange } from './exchange.ts';
export {
  type ChannelBinding,
  channelBindings,
  createSaslExchange,
  saslMechanisms,
} from './sasl.ts';
export type { SaslProof, SaslStep, ScramParameters } from './step.ts';
