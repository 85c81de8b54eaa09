/** Integrity: keys, receipts, and every octet compared with the log. */
export { type GenerationKey, generationKeys, keyLines } from './key-lines.ts';
