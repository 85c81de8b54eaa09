/**
 * Bodies that are too large for a segment: `spool/` while they arrive, `large/<id>.flarge` once they belong to a message.
 *
 * Format: docs/formats/segment.md, “Large bodies”. Always true: a file comes into `large/` whole and durable, before the frame that names
 * it; a file there that no frame names is of a message that was never acknowledged; nothing here can be read without the message's key.
 */
export { checkLargeFile, copyLargeFile, type LargeFileCheck } from './check-large-file.ts';
export { LargeFiles, type TakeOutcome } from './large-files.ts';
export { largeFolder, largePath, spoolFolder } from './paths.ts';
export { emptySpool, openSpool, type Spool, type SpoolFile } from './spool.ts';
