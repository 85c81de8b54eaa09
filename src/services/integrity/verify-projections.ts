import { hash } from 'node:crypto';
import { FengniError } from '#base/errors';
import { idOf, type LogEvent, type MailIndex, type SnapshotEvent } from '#store/index';
import type { FreshProjections, ProjectionName, ProjectionSnapshot, RowDifference } from '#store/sqlite';
import { type Findings, findingOf } from './verify-finding.ts';
import { SnapshotCheck } from './verify-snapshots.ts';

/** What `store/sqlite` gives for the comparison. */
export interface ProjectionTools {
  /** @throws {FengniError} `projection-unusable` */
  openSnapshot(name: ProjectionName, file: string): ProjectionSnapshot;
  openFresh(label: string): FreshProjections;
}

const names = ['index', 'state'] as const;
/** events applied in one transaction */
const batchMax = 500;
/** differing rows told of one table */
const rowsMax = 200;
/** messages named when a projection knows more than the log */
const namedMax = 20;

/** Makes the projections anew from the events of the log and compares them with the files, as of what those have applied. */
export class ProjectionCheck {
  readonly #findings: Findings;
  readonly #fresh: FreshProjections;
  readonly #snapshots = new Map<ProjectionName, ProjectionSnapshot>();
  readonly #snapshotCheck: SnapshotCheck;
  #erased = false;
  #batch: LogEvent[] = [];
  readonly #appliedHashes = new Map<number, Uint8Array>();
  #incomplete: string | null = null;

  /** @param folder DATA */
  constructor(tools: ProjectionTools, folder: string, label: string, findings: Findings) {
    this.#findings = findings;
    this.#fresh = tools.openFresh(label);
    this.#snapshotCheck = new SnapshotCheck(this.#fresh.index);
    for (const name of names) {
      try {
        const snapshot = tools.openSnapshot(name, `${folder}/${name}.db`);
        this.#snapshots.set(name, snapshot);
        for (const line of snapshot.integrity()) this.#damaged(name, line);
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        this.#damaged(name, error.subject.replace(`${folder}/`, ''));
      }
    }
  }

  /** What the index has applied, so that it was durable; 0 when nobody can tell. */
  get appliedSeq(): number {
    return Math.max(0, ...[...this.#snapshots.values()].map((snapshot) => snapshot.appliedSeq));
  }

  /** The id of a message by its frame or by a copy's, as the index has it. */
  messageId(seq: number): string | null {
    return this.#snapshots.get('index')?.messageId(seq) ?? null;
  }

  /** Each frame of the log before what it says: which record a projection must have applied last. */
  frame(seq: number, recordHash: Uint8Array): void {
    for (const { appliedSeq } of this.#snapshots.values())
      if (appliedSeq === seq) this.#appliedHashes.set(seq, recordHash);
  }

  add(event: LogEvent, place: { file: string; offset: number; seq: number }): void {
    if (event.type === 'snapshot') this.#compare(event, place);
    this.#batch.push(event);
    if (this.#batch.length >= batchMax) this.#flush();
  }

  /** A snapshot says again what other frames said: here it is held against them. */
  #compare(event: SnapshotEvent, place: { file: string; offset: number; seq: number }): void {
    if (this.#incomplete !== null || event.seq > (this.#snapshots.get('index')?.appliedSeq ?? 0)) return;
    this.#flush();
    const what = this.#snapshotCheck.fault(event, this.#erased);
    if (what !== null) this.#findings.add(findingOf('snapshot-wrong', `frame ${event.seq}: ${what}`, place));
  }

  /** A copy was erased: what it said is not known, and is not to be compared. */
  erasedCopy(): void {
    this.#erased = true;
  }

  /** Something of the log is not known: a comparison would find what is no fault of the projection. */
  incomplete(why: string): void {
    this.#incomplete ??= why;
  }

  /** @param lastSeq of the log @param live a server writes meanwhile */
  finish(lastSeq: number, live: boolean): void {
    this.#flush();
    for (const [name, snapshot] of this.#snapshots) {
      const file = `${name}.db`;
      const applied = snapshot.appliedSeq;
      // Damage to this one number must not look like a log that was rolled back.
      if (applied > lastSeq && snapshot.appliedFault !== null) {
        this.#findings.add(findingOf('row-changed', snapshot.appliedFault, { file }));
        continue;
      }
      if (applied > lastSeq && !live) {
        const lost = name === 'index' ? snapshot.messagesBehind(lastSeq, namedMax) : [];
        const which =
          lost.length === 0 ? '' : `; messages that it knows: ${lost.map(({ id }) => id).join(' ')}`;
        this.#findings.add(
          findingOf(
            'projection-ahead',
            `it has applied frames up to ${applied}, the log ends with ${lastSeq}${which}`,
            { file },
          ),
        );
        continue;
      }
      if (applied < lastSeq && !live && name === 'index')
        this.#findings.note('projection-behind', `${file}: frames up to ${applied} of ${lastSeq}`);
      if (this.#incomplete !== null) {
        this.#findings.note('not-compared', `${file} (${this.#incomplete})`);
        continue;
      }
      const projection = name === 'index' ? this.#fresh.index : this.#fresh.directory;
      projection.apply([], applied, this.#appliedHashes.get(applied));
      try {
        this.#fresh.compare(name, snapshot, rowsMax, (row) => this.#row(name, row));
      } catch (error) {
        if (!(error instanceof FengniError)) throw error;
        this.#damaged(name, error.subject);
      }
    }
  }

  /** the index as the log has it, up to what the file has applied; null when it could not be made whole. After `finish` */
  get index(): MailIndex | null {
    return this.#incomplete === null && this.#snapshots.has('index') ? this.#fresh.index : null;
  }

  close(): void {
    for (const snapshot of this.#snapshots.values()) snapshot.close();
    this.#fresh.close();
  }

  #flush(): void {
    const events = this.#batch;
    this.#batch = [];
    const last = events.at(-1)?.seq;
    if (last === undefined) return;
    for (const name of names) {
      const applied = this.#snapshots.get(name)?.appliedSeq;
      if (applied === undefined) continue;
      const projection = name === 'index' ? this.#fresh.index : this.#fresh.directory;
      const own = events.filter(({ seq }) => seq <= applied);
      const upTo = own.at(-1)?.seq ?? 0;
      if (own.length > 0) projection.apply(own, upTo, this.#appliedHashes.get(upTo));
    }
  }

  #row(name: ProjectionName, row: RowDifference): void {
    const file = `${name}.db`;
    // A key may be a name or an address: what is told of a person stands in a hash.
    const key = row.key.map((cell) => (typeof cell === 'number' ? cell : shown(cell))).join(' ');
    const where = `${row.table} ${key}`;
    const message = messageOf(row, this.#fresh.index);
    const place = { file, seq: message?.seq ?? null, id: message?.id ?? null };
    if (row.kind === 'changed')
      this.#findings.add(findingOf('row-changed', `${where}: ${row.columns.join(', ')}`, place));
    else if (row.kind === 'extra') this.#findings.add(findingOf('row-extra', where, place));
    else if (message !== null) this.#findings.add(findingOf('message-hidden', where, place));
    else this.#findings.add(findingOf('row-hidden', where, place));
  }

  #damaged(name: ProjectionName, what: string): void {
    this.#findings.add(findingOf('projection-damaged', what, { file: `${name}.db` }));
  }
}

const shown = (cell: string): string =>
  /^[a-z0-9-]{1,40}$/.test(cell) ? cell : `#${hash('sha256', cell).slice(0, 16)}`;

/** The message that a row of the index belongs to. */
const messageOf = (row: RowDifference, index: MailIndex): { seq: number; id: string } | null => {
  const number = (name: string): number => Number(row.cells[name] ?? 0);
  if (row.table === 'message') return { seq: number('seq'), id: String(row.cells['id']) };
  if (row.table === 'message_text') {
    const message = index.message(number('seq'));
    return message === null ? null : { seq: message.seq, id: message.id };
  }
  const emailSeq = row.table === 'email' ? number('seq') : row.table === 'placement' ? number('email') : 0;
  if (emailSeq === 0) return null;
  const [email] = index.emails([emailSeq]);
  return email === undefined || email.emailId !== idOf('e', emailSeq)
    ? null
    : { seq: email.message.seq, id: email.message.id };
};
