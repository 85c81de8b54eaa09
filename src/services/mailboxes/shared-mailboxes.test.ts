import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailboxRow, MailIndex, PlacementRow } from '#store/index';
import { SharedMailboxes } from './shared-mailboxes.ts';

/** A mailbox that grows, and how often its changes were asked for. */
class GrowingMailbox {
  readonly placements: PlacementRow[] = [];
  asked = 0;
  recentBelow = 1;

  get row(): MailboxRow {
    const count = this.placements.length;
    return {
      id: 'm1',
      account: 'a1',
      name: 'INBOX',
      role: 'inbox',
      uidValidity: 7,
      uidNext: count + 1,
      highestModSeq: this.placements.at(-1)?.modSeq ?? 1,
      subscribed: true,
      recentBelow: this.recentBelow,
      keywords: [],
    };
  }

  receive(modSeq: number): void {
    const uid = this.placements.length + 1;
    this.placements.push({
      uid,
      emailSeq: modSeq,
      flags: 0,
      keywords: [],
      modSeq,
      dateMs: 1,
      savedMs: 1,
      uidl: String(uid),
      sizeBytes: 10,
    });
  }

  readonly index = {
    mailbox: () => this.row,
    countPlacements: () => this.placements.length,
    placements: (_: string, after: number, limit: number) =>
      this.placements.filter(({ uid }) => uid > after).slice(0, limit),
    changesSince: (_: string, modSeq: number) => {
      this.asked += 1;
      return { changed: this.placements.filter((each) => each.modSeq > modSeq), vanished: [] };
    },
  } as unknown as MailIndex;
}

const notice = (modSeq: number) => ({ account: 'a1', mailbox: 'm1', modSeq, origin: '' });

test('mail for a mailbox that no session has open is read when one opens it, not when it comes', async () => {
  const mailbox = new GrowingMailbox();
  const shared = new SharedMailboxes(mailbox.index, 'p', assert.fail);
  mailbox.receive(10);
  shared.release(await shared.open(mailbox.row));
  const before = mailbox.asked;
  for (let modSeq = 11; modSeq < 40; modSeq++) {
    mailbox.receive(modSeq);
    shared.changed(notice(modSeq));
  }
  mailbox.recentBelow = 20;
  assert.equal(mailbox.asked, before);
  const opened = await shared.open(mailbox.row);
  assert.equal(opened.state.count, 30);
  assert.equal(opened.recentBelow, 20);
  mailbox.receive(40);
  shared.changed(notice(40));
  assert.equal(opened.state.count, 31);
});

test('a mailbox that fell far behind is read anew, whole', async () => {
  const mailbox = new GrowingMailbox();
  const shared = new SharedMailboxes(mailbox.index, 'p', assert.fail);
  mailbox.receive(10);
  const first = await shared.open(mailbox.row);
  shared.release(first);
  mailbox.receive(20_000);
  shared.changed(notice(20_000));
  const again = await shared.open(mailbox.row);
  assert.notEqual(again, first);
  assert.equal(again.state.count, 2);
});
