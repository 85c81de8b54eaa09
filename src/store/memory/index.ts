/** `MailIndex` and `Directory` in plain maps: for simulated power cuts, and as the model that the SQL is compared with. */
export { createMemoryDirectory } from './memory-directory.ts';
export { createMemoryIndex } from './memory-index.ts';
