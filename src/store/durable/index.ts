/**
 * Durability: the only way in which the store reaches files, clock and randomness, and what must be synced when.
 *
 * `nodeIo` is the machine; `SimFs` is a machine whose power can be cut at every operation. What holds in both: a file's
 * content is durable after its sync, its name after the sync of its folder, and nothing after a sync that failed.
 */
export { makeFolderDurable, replaceFileDurable } from './durable.ts';
export type { FileStat, Io, IoFile, OpenHow } from './io.ts';
export { nodeIo } from './node-io.ts';
export {
  isPowerCut,
  randomNumbers,
  type SimCall,
  type SimFault,
  SimFs,
  type SimFsOptions,
  type SimOperation,
} from './sim-fs.ts';
