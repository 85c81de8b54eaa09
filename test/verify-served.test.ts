import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { FengniError } from '#base/errors';
import { openAccessGate } from '#services/access';
import { nodeIo } from '#store/durable';
import { openSqliteIndex } from '#store/sqlite';
import {
  accounts,
  buildMailFolder,
  copyFolder,
  logIn,
  type MailFolder,
} from './support/damage/mail-folder.ts';
import { type Damage, damages } from './support/damage/plant.ts';
import { withCopy } from './support/damage/run-verify.ts';
import { LineClient } from './support/line-client.ts';
import { startServer } from './support/server.ts';

// Damaged mail is never served: what a client gets is what came in, or an error; a folder that was rolled back is not served at all.

let built: MailFolder;
/** every copy of every account, `prefix ‖ original`, one octet a character */
let whole: ReadonlyMap<string, ReadonlySet<string>>;
let known: ReadonlySet<string>;

before(async () => {
  built = await buildMailFolder();
  const read = await readAll(built.data);
  assert.equal(read.refused, 0);
  whole = read.served;
  known = new Set([...whole.values()].flatMap((own) => [...own]));
  // The originals are those that were sent.
  for (const [account, sent] of built.sent)
    for (const original of sent.values())
      assert.ok(
        [...known].some((copy) => copy.endsWith(original)),
        `a letter to ${account}`,
      );
});

/** Reads every message as POP3 and IMAP do: by the index and the gate. */
const readAll = async (data: string): Promise<{ served: Map<string, Set<string>>; refused: number }> => {
  const served = new Map<string, Set<string>>();
  let refused = 0;
  const gate = openAccessGate({ io: nodeIo, folder: data, shard: 0, damaged: () => {} });
  let index: ReturnType<typeof openSqliteIndex> | null = null;
  const attempt = async (work: () => void | Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof FengniError)) throw error;
      refused += 1;
    }
  };
  try {
    await attempt(() => {
      index = openSqliteIndex(path.join(data, 'index.db'), { readOnly: true });
    });
    const opened = index as ReturnType<typeof openSqliteIndex> | null;
    if (opened === null) return { served, refused };
    let owners: string[] = [];
    await attempt(() => {
      owners = opened.accounts();
    });
    for (const account of owners) {
      const own = new Set<string>();
      served.set(account, own);
      let seqs: number[] = [];
      await attempt(() => {
        seqs = opened
          .mailboxes(account)
          .flatMap(({ id }) => opened.placements(id, 0, 10_000).map(({ emailSeq }) => emailSeq));
      });
      for (const seq of seqs)
        await attempt(async () => {
          const [email] = opened.emails([seq]);
          if (email === undefined) return;
          const message = await gate.openAsOwner(email.account, email);
          if (message.kind !== 'found') {
            refused += 1;
            return;
          }
          let octets = '';
          for await (const piece of message.read(0, message.sizeBytes))
            octets += Buffer.from(piece).toString('latin1');
          own.add(octets);
        });
    }
    return { served, refused };
  } finally {
    (index as ReturnType<typeof openSqliteIndex> | null)?.close();
    await gate.close();
  }
};

test('what is read after any planted damage is what came in, or an error', async (t) => {
  for (const damage of damages(built.data)) {
    await t.test(damage.name, () =>
      withCopy(built.data, async (copy) => {
        const planted = damage.plant(copy);
        const { served, refused } = await readAll(copy);
        for (const [account, own] of served)
          for (const octets of own) {
            assert.ok(known.has(octets), `${damage.name}: altered octets were served`);
            assert.ok(whole.get(account)?.has(octets), `${damage.name}: another account's mail was served`);
          }
        // A body that is not what came in is refused, not merely absent.
        if (touchesOctets(damage)) assert.ok(refused > 0, `${damage.name}: ${planted.messages.join(' ')}`);
      }),
    );
  }
});

const touchesOctets = ({ name }: Damage): boolean =>
  /stored (?:octets|head)|the nonce|the tag|bodies|sector of zeros in a body|octets of a message made|said to be erased|key slot (?:emptied|destroyed)|another key in a slot|file of a large body (?:removed|cut)/.test(
    name,
  );

/** Every message of every account, from a real server. */
const fetchAll = async (server: {
  ports: Readonly<Record<string, number>>;
  ca: string;
}): Promise<{ octets: string[]; errors: number }> => {
  const octets: string[] = [];
  let errors = 0;
  for (const address of accounts) {
    const pop = await logIn(server, address);
    const count = Number(/^\+OK (\d+)/m.exec(await pop.ask('STAT\r\n', /^\+OK.*\r\n/m))?.[1]);
    for (let number = 1; number <= count; number++) {
      pop.send(`RETR ${number}\r\n`);
      const first = await pop.until(/^.*\r\n/).catch(() => '');
      if (!first.startsWith('+OK')) {
        errors += 1;
        if (pop.closed) break;
        continue;
      }
      // A large one that turns out to be damaged on the way ends the connection instead of the message.
      const text = await pop.until(/(?:^|\r\n)\.\r\n/).catch(() => null);
      if (text === null) {
        errors += 1;
        break;
      }
      octets.push(text.slice(0, -3).replace(/^\.\./gm, '.'));
    }
    pop.destroy();
    const imap = await LineClient.connect(server.ports['imaps'] ?? 0, { ca: server.ca });
    await imap.until(/^\* OK.*\r\n/m);
    await imap.ask(`a LOGIN ${address} "correct horse battery staple"\r\n`, /^a OK.*\r\n/m);
    await imap.ask('b SELECT INBOX\r\n', /^b OK.*\r\n/m);
    imap.send('c UID FETCH 1:* (UID BODY.PEEK[])\r\n');
    const reply = await imap.until(/^c (?:OK|NO|BAD).*\r\n/m).catch(() => imap.received);
    if (!/^c OK/m.test(reply)) errors += 1;
    for (const match of reply.matchAll(/BODY\[\] \{(\d+)\}\r\n/g)) {
      const start = match.index + match[0].length;
      const literal = reply.slice(start, start + Number(match[1]));
      if (literal.length === Number(match[1])) octets.push(literal);
      else errors += 1;
    }
    imap.destroy();
  }
  return { octets, errors };
};

/** A copy as a server of its own; its sealer's folder is a copy and signs nothing, mail flows. */
const serveCopy = async <T>(
  plant: (data: string) => void,
  use: (server: Awaited<ReturnType<typeof startServer>>) => Promise<T>,
): Promise<T> => {
  const folder = fs.mkdtempSync(path.join(built.server.folder, 'served-'));
  try {
    copyFolder(built.data, path.join(folder, 'data'));
    plant(path.join(folder, 'data'));
    const server = await startServer({ folder });
    try {
      return await use(server);
    } finally {
      await server.stop();
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
};

for (const name of [
  'a bit of stored octets',
  'a sector of zeros over a header',
  'another key in a slot, with a good checksum',
  'the bodies and the keys of two messages swapped, all checksums made to fit',
  'a bit of the file of a large body',
]) {
  test(`over POP3S and IMAPS nothing altered is served: ${name}`, () => {
    const damage = damages(built.data).find((each) => each.name === name);
    assert.ok(damage);
    return serveCopy(
      (data) => void damage.plant(data),
      async (server) => {
        const { octets, errors } = await fetchAll(server);
        for (const each of octets) assert.ok(known.has(each), 'altered octets were served');
        assert.ok(octets.length > 20, 'the others are served');
        assert.ok(errors > 0, 'the damaged one is an error');
      },
    ).catch((error: Error) => {
      // A server that meets the damage at its start names it and serves nothing.
      if (!/is not ready/.test(error.message)) throw error;
      assert.match(error.message, /status 3/);
      assert.match(error.message, /segments\/\d{16}\.0\.fseg at offset \d+/);
    });
  });
}

for (const name of ['the last groups cut off, the ledger knows them', 'a segment removed']) {
  test(`a server that finds this does not start (exit status 3): ${name}`, async () => {
    const damage = damages(built.data).find((each) => each.name === name);
    assert.ok(damage);
    await assert.rejects(
      serveCopy(
        (data) => void damage.plant(data),
        async () => {},
      ),
      (error: Error) => {
        assert.match(error.message, /status 3/);
        assert.match(error.message, /new-generation/);
        return true;
      },
    );
  });
}
