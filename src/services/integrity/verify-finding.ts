/** What is wrong, in one of these ways. The words are in the text catalogue: `verify.finding.<code>`. */
export type FindingCode =
  /** `FORMAT` is missing or says something else */
  | 'format'
  /** a file that must be there is not */
  | 'file-missing'
  /** a file that nothing of ours makes */
  | 'file-unexpected'
  /** octets of a segment or a key file */
  | 'log-damaged'
  /** the last group was acknowledged and is no longer whole */
  | 'tail-damaged'
  /** somebody knows more of the log than it has */
  | 'rolled-back'
  /** somebody knows another beginning of the log */
  | 'other-history'
  /** a body does not hold what its leaf and its chunk table say */
  | 'content-changed'
  /** leaves out of order, or a root in one of them that their records do not give */
  | 'leaf-wrong'
  /** a head in the log that its key did not sign, or of another tree */
  | 'head-wrong'
  /** a head kept outside that is none of this log */
  | 'head-foreign'
  /** tiles, bundles, the checkpoint */
  | 'ledger-damaged'
  /** `ledger/keys` is not what the rows say */
  | 'ledger-keys'
  /** the sealer's state cannot be believed */
  | 'sealer-state'
  /** SQLite refuses the file, or finds it damaged */
  | 'projection-damaged'
  /** a projection has applied more than the log has */
  | 'projection-ahead'
  /** a row that is not what the log says */
  | 'row-changed'
  /** a row that the log says is missing */
  | 'row-hidden'
  /** a row that no event explains */
  | 'row-extra'
  /** a snapshot that says something else than the frames before it */
  | 'snapshot-wrong'
  /** a message that the index no longer shows */
  | 'message-hidden'
  /** there were more findings than are told */
  | 'more';

/** Worth knowing, but nothing wrong. The words are `verify.note.<code>`. */
export type NoteCode =
  /** octets behind the last group were never acknowledged */
  | 'tail-unfinished'
  /** a file in `large/` that no frame names: of a message that was never acknowledged, or whose frame is damaged */
  | 'large-unnamed'
  /** a projection is behind the log: the next start applies the rest */
  | 'projection-behind'
  /** the log is damaged, so that what follows from it could not be compared */
  | 'not-compared'
  /** with one account, projections are not compared */
  | 'account-only'
  /** lost, and accepted as lost with a new generation */
  | 'loss-accepted'
  /** the sealer's state is of another folder: a copy does not sign */
  | 'sealer-copied'
  | 'sealer-unknown';

export interface Finding {
  readonly code: FindingCode;
  /** below DATA */
  readonly file: string | null;
  readonly offset: number | null;
  readonly seq: number | null;
  /** of the message concerned */
  readonly id: string | null;
  /** what exactly, a phrase; names of fields as in `docs/formats/` */
  readonly what: string;
  /** from when on it may be wrong, milliseconds since 1970; null when nobody knows */
  readonly sinceMs: number | null;
}

export interface Note {
  readonly code: NoteCode;
  readonly what: string;
}

export const findingOf = (
  code: FindingCode,
  what: string,
  place: Partial<Omit<Finding, 'code' | 'what'>> = {},
): Finding => ({ code, what, file: null, offset: null, seq: null, id: null, sinceMs: null, ...place });

/** kept in memory and told; the rest is counted */
export const findingsMax = 1_000;

/** Takes findings and notes, each once, at most `findingsMax`. */
export class Findings {
  readonly found: Finding[] = [];
  readonly notes: Note[] = [];
  readonly #seen = new Set<string>();
  #untold = 0;

  add(finding: Finding): void {
    const key = JSON.stringify([finding.code, finding.file, finding.offset, finding.seq, finding.what]);
    if (this.#seen.has(key)) return;
    if (this.found.length >= findingsMax) {
      this.#untold += 1;
      return;
    }
    this.#seen.add(key);
    this.found.push(finding);
  }

  note(code: NoteCode, what: string): void {
    if (!this.notes.some((note) => note.code === code && note.what === what)) this.notes.push({ code, what });
  }

  /** all of them, with the ids that became known later */
  finish(idOf: (seq: number) => string | null): Finding[] {
    const all = this.found.map((finding) =>
      finding.id !== null || finding.seq === null ? finding : { ...finding, id: idOf(finding.seq) },
    );
    if (this.#untold > 0) all.push(findingOf('more', `${this.#untold}`));
    return all;
  }
}
