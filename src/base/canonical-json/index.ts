/**
 * Canonical JSON: one octet string for one value, so that it can be hashed and committed to.
 *
 * A subset of RFC 8785: keys sorted by UTF-16 code unit, no blanks, integers only (safe range), no duplicate keys,
 * no `undefined`, strings without lone surrogates. What `parseCanonicalJson` accepts, `canonicalJson` reproduces octet for octet.
 */
export { canonicalJson, type Json, type JsonObject, parseCanonicalJson } from './canonical-json.ts';
