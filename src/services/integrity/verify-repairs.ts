/** What was done and what could not be, as phrases that name files and frames. */
export interface Repairs {
  done: string[];
  refused: string[];
}
