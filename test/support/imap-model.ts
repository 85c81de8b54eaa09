import assert from 'node:assert/strict';

/** What a client knows of its selected mailbox from replies alone, and complaints about replies that cannot be. */
export class ImapClientModel {
  /** by number, minus 1; null: the client has not been told which */
  uids: (number | null)[] = [];
  /** as last told */
  readonly flags = new Map<number, string>();

  selected(untagged: string): void {
    this.uids = [];
    this.flags.clear();
    const exists = /^\* (\d+) EXISTS\r$/m.exec(untagged);
    assert.ok(exists !== null, 'SELECT says how many there are');
    this.uids = new Array<number | null>(Number(exists[1])).fill(null);
  }

  /** @param expunges whether EXPUNGE is allowed in these replies */
  replies(untagged: string, expunges: boolean): void {
    for (const line of untagged.split('\r\n')) {
      const expunge = /^\* (\d+) EXPUNGE$/.exec(line);
      if (expunge !== null) {
        assert.ok(expunges, `EXPUNGE during FETCH, STORE or SEARCH: ${untagged}`);
        const number = Number(expunge[1]);
        assert.ok(number >= 1 && number <= this.uids.length, `there is no ${number} to expunge`);
        this.uids.splice(number - 1, 1);
        continue;
      }
      const exists = /^\* (\d+) EXISTS$/.exec(line);
      if (exists !== null) {
        const count = Number(exists[1]);
        assert.ok(count >= this.uids.length, 'EXISTS never takes messages away (RFC 9051 §7.4.1)');
        while (this.uids.length < count) this.uids.push(null);
        continue;
      }
      const fetch = /^\* (\d+) FETCH \(FLAGS \(([^)]*)\)(?: UID (\d+))?\)$/.exec(line);
      if (fetch === null) continue;
      const index = Number(fetch[1]) - 1;
      assert.ok(index < this.uids.length, `FETCH of ${index + 1}, which does not exist`);
      if (fetch[3] !== undefined) {
        const uid = Number(fetch[3]);
        const known = this.uids[index] ?? null;
        assert.ok(known === null || known === uid, `number ${index + 1} was ${known}, now ${uid}`);
        this.uids[index] = uid;
      }
      const uid = this.uids[index] ?? null;
      if (uid !== null) this.flags.set(uid, withoutRecent(fetch[2] ?? ''));
    }
  }

  /** Own change that the server was asked not to tell. */
  silently(uids: readonly number[], change: (flags: string[]) => string[]): void {
    for (const uid of uids) {
      const before = this.flags.get(uid);
      if (before === undefined) continue;
      this.flags.set(
        uid,
        [...new Set(change(before.split(' ').filter((flag) => flag !== '')))].sort().join(' '),
      );
    }
  }
}

export const withoutRecent = (flags: string): string =>
  flags
    .split(' ')
    .filter((flag) => flag !== '' && flag !== '\\Recent')
    .sort()
    .join(' ');
