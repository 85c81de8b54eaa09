/** SHA-256 of what is at hand: frames, leaves, heads, small messages. Whatever comes in pieces goes through `createHash`. */
export { sha256, sha256Is, sha256OfText } from './sha256.ts';
