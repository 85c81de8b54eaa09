/** Suites that every implementation of a port in store/ passes (docs/formats, FORMATS: “The suite that every store passes”). */
export { mailIndexSuite } from './mail-index.ts';
