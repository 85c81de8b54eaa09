/**
 * Authentication-Results: what our checks found, for the programs of whoever reads the mail; and what others wrote there.
 *
 * RFC 8601. Always holds: a value is one line of at most `resultOctetsMax` octets, and no text from a stranger ends its
 * quotes, its line or its field.
 */
export { parseResults, resultsLimits } from './parse-results.ts';
export {
  type AuthenticationResults,
  encodeResult,
  encodeResults,
  type MethodResult,
  type ResultProperty,
  resultOctetsMax,
} from './results.ts';
