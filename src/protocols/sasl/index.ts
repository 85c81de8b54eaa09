/**
 * Log-in exchanges (SASL, RFC 4422), the server's side: PLAIN (RFC 4616). Further mechanisms are further exchanges.
 *
 * Always: pure; a message that does not keep to its mechanism is `malformed`, never a wrong password.
 */
export {
  createSaslExchange,
  parseSaslBase64,
  type SaslExchange,
  saslMechanisms,
} from './sasl.ts';
export type { SaslStep } from './step.ts';
