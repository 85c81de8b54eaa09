/**
 * What a process counts of itself for `/metrics`, small enough for every role to load; `#net/exposition` makes the text of it.
 *
 * Always: a look at numbers that are there; whoever asks waits for nothing.
 */
export {
  createHistogram,
  delayBounds,
  type Histogram,
  type HistogramSample,
  syncBounds,
} from './histogram.ts';
export { createProcessSampler } from './process-sampler.ts';
export type { Gathered, ProcessSample, RoleSample, WriterSample } from './sample.ts';
