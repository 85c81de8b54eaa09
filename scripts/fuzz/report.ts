/** Longest input that is tried, in octets. */
export const inputBytesMax = 65_536;

/** What a thread is given. */
export interface Task {
  file: string;
  /** coverage of files below it leads the search */
  root: string;
  seed: number;
  budgetMs: number;
  executionsMax: number;
  /** executions so far, length of the input that is running, and that input */
  shared: SharedArrayBuffer;
}

export interface Report {
  executions: number;
  /** inputs that reached something new */
  corpus: number;
  finding: { input: Uint8Array | null; reason: string } | null;
}

/** One line about a target. */
export const formatOutcome = (name: string, { executions, corpus, finding }: Report): string =>
  `${finding === null ? '✔' : '✖'} ${name}: ${executions} executions, ${corpus} inputs that reached something new`;
