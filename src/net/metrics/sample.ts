import type { HistogramSample } from './histogram.ts';

/** What a process of the server tells of itself, over the channel to the supervisor. */
export interface ProcessSample {
  cpuUserSeconds: number;
  cpuSystemSeconds: number;
  residentBytes: number;
  startedSeconds: number;
  eventLoopDelay: HistogramSample;
}

export interface RoleSample {
  process: ProcessSample;
  /** by the names that the code counts under (`smtp-session`) */
  counters: Readonly<Record<string, number>>;
  /** sessions that are open, by protocol */
  sessions: Readonly<Record<string, number>>;
  writer?: WriterSample;
}

export interface WriterSample {
  groups: number;
  frames: number;
  leaves: number;
  /** requests that wait for a group */
  waiting: number;
  /** requests that were withdrawn because they waited too long, or refused because too many waited */
  late: number;
  overloaded: number;
  sync: HistogramSample;
  sealer: 'none' | 'signing' | 'down' | 'refusing';
  /** leaves under the newest signed head */
  sealedLeaves: number;
  /** since the newest head was signed; null before the first one of this process */
  headAgeSeconds: number | null;
}

/** All that the supervisor gathered for one answer. */
export interface Gathered {
  version: string;
  roles: readonly {
    role: string;
    /** processes of it that ended by themselves */
    restarts: number;
    /** null: it did not answer in time, or is not there */
    sample: RoleSample | null;
  }[];
  supervisor: ProcessSample;
  disk: { freeBytes: number; sizeBytes: number; isNearlyFull: boolean } | null;
  /** mail that waits in DATA/pickup */
  pickup: { waiting: number; held: number };
}
