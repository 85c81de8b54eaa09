import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  allFrames,
  edit,
  flip,
  framesOf,
  type LogFrame,
  messageIdOf,
  resumStorage,
  segmentFiles,
  sha256,
  types,
} from './log-files.ts';

// Plants damage into a copy of a data folder, from docs/formats/*.md alone: nothing here comes from src/.

export interface Planted {
  /** what `verify` has to say in one of its lines */
  named: readonly RegExp[];
  /** ids of messages whose octets must never be served as they are now */
  messages: readonly string[];
}

export interface Damage {
  /** what was done, unique */
  readonly name: string;
  plant(folder: string): Planted;
}

/** Every kind of damage, for a data folder that is at rest, has at least three segments (one ended by SEAL) and mail in all of them. */
export const damages = (folder: string): Damage[] => [
  ...segmentHeaderFlips(folder),
  ...frameFlips(folder),
  ...groupDamages(folder),
  ...keyFileFlips(folder),
  ...ledgerFlips(folder),
  ...databaseFlips(folder, 'index.db'),
  ...databaseFlips(folder, 'state.db'),
  ...largeFileDamages(folder),
  ...fileDamages(folder),
  ...misplaced(folder),
];

const quoted = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
/** a line that names the file */
const at = (file: string): RegExp => new RegExp(quoted(file));
/** a line that names the file and the frame */
const frameLine = (frame: LogFrame): RegExp => new RegExp(`${quoted(frame.file)}.*#${frame.seq}\\b`);

const names = (folder: string, frame: LogFrame): Planted => ({
  named: [frameLine(frame)],
  messages: frame.type === types.MSG ? [messageIdOf(folder, frame)] : [],
});

/** fields by name: where they begin, and a bit inside them */
type Fields = Readonly<Record<string, number>>;

const segmentHeader: Fields = {
  magic: 0,
  headerLength: 8,
  format: 11,
  hash: 12,
  'reserved octets behind hash': 13,
  shard: 19,
  generation: 23,
  revision: 27,
  epoch: 31,
  firstSeq: 39,
  'prevEnd.seq': 47,
  'prevEnd.offset': 54,
  'prevEnd.recordHash': 60,
  'reserved octets': 300,
  checksum: 500,
};

const segmentHeaderFlips = (folder: string): Damage[] => {
  const file = segmentFiles(folder)[1] ?? '';
  return Object.entries(segmentHeader).map(([field, offset]) => ({
    name: `a bit of ${field} in the header of a segment`,
    plant: (copy) => {
      flip(copy, file, offset);
      return { named: [at(file)], messages: [] };
    },
  }));
};

/** from the start of the frame */
const storageHeader: Fields = {
  magic: 1,
  headerLength: 5,
  version: 6,
  encoding: 7,
  place: 8,
  'reserved octets behind place': 10,
  headStoredLength: 15,
  storedLength: 23,
  storedHash: 30,
  'reserved octets': 60,
  checksum: 80,
};
/** from the start of the record */
const record: Fields = {
  length: 1,
  type: 2,
  flags: 3,
  leafLength: 7,
  seq: 15,
  leafIndex: 23,
  'key epoch': 27,
  'key slot': 31,
  leafHash: 40,
  bodyCommitment: 70,
  prev: 100,
};

const frameFlips = (folder: string): Damage[] => {
  const frames = allFrames(folder);
  const messages = frames.filter(({ type, isElsewhere }) => type === types.MSG && !isElsewhere);
  const message = messages[Math.floor(messages.length / 2)] as LogFrame;
  const padded = (wanted: number): LogFrame =>
    frames.findLast(
      ({ type, endAt, at: start, length }) => type === wanted && endAt < start + length,
    ) as LogFrame;
  const inMessage = (name: string, offset: (frame: LogFrame) => number): Damage => ({
    name,
    plant: (copy) => {
      flip(copy, message.file, offset(message));
      return names(copy, message);
    },
  });
  const inFrame = (name: string, frame: LogFrame, offset: number): Damage => ({
    name,
    plant: (copy) => {
      flip(copy, frame.file, offset, 5);
      return names(copy, frame);
    },
  });
  const first = (type: number): LogFrame => frames.find((frame) => frame.type === type) as LogFrame;
  const copyOf = frames.find(({ type, seq }) => type === types.DELIVER && seq > message.seq) as LogFrame;
  return [
    ...Object.entries(storageHeader).map(([field, offset]) =>
      inMessage(`a bit of ${field} in a storage header`, (frame) => frame.at + offset),
    ),
    ...Object.entries(record).map(([field, offset]) =>
      inMessage(`a bit of ${field} in a record`, (frame) => frame.at + 104 + offset),
    ),
    inMessage('a bit of a leaf', (frame) => frame.leafAt + 60),
    inMessage('a bit of the nonce of a head', (frame) => frame.headAt),
    inMessage('a bit of a stored head', (frame) => frame.headAt + 40),
    inMessage('a bit of the tag of a head', (frame) => frame.octetsAt - 1),
    inMessage('a bit of the nonce of the octets', (frame) => frame.octetsAt),
    inMessage('a bit of stored octets', (frame) => frame.octetsAt + 30),
    inMessage('a bit of the tag of the octets', (frame) => frame.endAt - 1),
    inFrame('a bit of the padding of a frame', padded(types.MSG), padded(types.MSG).endAt),
    inFrame('a bit of the body of a DELIVER frame', copyOf, copyOf.headAt + 50),
    inFrame('a bit of the body of a STATE frame', first(types.STATE), first(types.STATE).headAt + 50),
    inFrame('a bit of the body of a ROW frame', first(types.ROW), first(types.ROW).endAt - 3),
    inFrame('a bit of the body of a HEAD frame', first(types.HEAD), first(types.HEAD).octetsAt + 80),
    inFrame('a bit of the leaf of a LEAF frame', first(types.LEAF), first(types.LEAF).leafAt + 20),
    inFrame('a bit of the body of COMMIT', first(types.COMMIT), first(types.COMMIT).octetsAt + 10),
    inFrame('a bit of the record of COMMIT', first(types.COMMIT), first(types.COMMIT).at + 104 + 100),
    inFrame('a bit of the body of SEAL', first(types.SEAL), first(types.SEAL).octetsAt + 10),
    inFrame('a bit of the record of SEAL', first(types.SEAL), first(types.SEAL).at + 104 + 70),
  ];
};

const groupDamages = (folder: string): Damage[] => {
  const files = segmentFiles(folder);
  const middle = framesOf(folder, files[0] ?? '');
  const inner = middle.filter(({ type, isElsewhere }) => type === types.MSG && !isElsewhere)[2] as LogFrame;
  const commit = middle.find(({ type, seq }) => type === types.COMMIT && seq > inner.seq) as LogFrame;
  const last = files.at(-1) ?? '';
  const lastFrames = framesOf(folder, last);
  const groupsBack = (count: number): number => {
    const commits = lastFrames.filter(({ type }) => type === types.COMMIT);
    const before = commits.at(-1 - count) as LogFrame;
    return Math.ceil((before.at + before.length) / 512) * 512;
  };
  const behind = (offset: number): LogFrame[] => lastFrames.filter((frame) => frame.at >= offset);
  const cutAt = (offset: number) => (copy: string) => fs.truncateSync(path.join(copy, last), offset);
  const lost = (copy: string, offset: number): string[] =>
    behind(offset)
      .filter(({ type }) => type === types.MSG)
      .map((frame) => messageIdOf(copy, frame));
  return [
    {
      name: 'a bit of the padding of a group',
      plant: (copy) => {
        flip(copy, commit.file, commit.at + commit.length + 1);
        return { named: [frameLine(commit)], messages: [] };
      },
    },
    {
      name: 'a frame removed from the middle, the rest moved up',
      plant: (copy) => {
        edit(copy, inner.file, (octets) =>
          Buffer.concat([octets.subarray(0, inner.at), octets.subarray(inner.at + inner.length)]),
        );
        return {
          named: [new RegExp(`${quoted(inner.file)}.*(#${inner.seq + 1}|\\b${inner.seq}\\b)`)],
          messages: [messageIdOf(folder, inner)],
        };
      },
    },
    {
      name: 'a frame there twice',
      plant: (copy) => {
        edit(copy, inner.file, (octets) =>
          Buffer.concat([octets.subarray(0, inner.at + inner.length), octets.subarray(inner.at)]),
        );
        return { named: [frameLine(inner)], messages: [] };
      },
    },
    {
      name: 'a sector of zeros in a body',
      plant: (copy) => {
        const sector = Math.ceil(inner.octetsAt / 512) * 512 - 512;
        edit(copy, inner.file, (octets) => octets.fill(0, Math.max(sector, inner.headAt), sector + 512));
        return names(folder, inner);
      },
    },
    {
      name: 'a sector of zeros over a header',
      plant: (copy) => {
        const sector = Math.floor(inner.at / 512) * 512;
        edit(copy, inner.file, (octets) => octets.fill(0, sector, sector + 512));
        return { named: [at(inner.file)], messages: [messageIdOf(folder, inner)] };
      },
    },
    {
      name: 'the last groups cut off, the ledger knows them',
      plant: (copy) => {
        const offset = groupsBack(4);
        const ids = lost(folder, offset);
        cutAt(offset)(copy);
        return { named: [/rolled back/, /ledger\/g1\/checkpoint/], messages: ids };
      },
    },
    {
      name: 'the last groups cut off, nobody but the index knows them',
      plant: (copy) => {
        const offset = groupsBack(4);
        const ids = lost(folder, offset);
        cutAt(offset)(copy);
        for (const name of ['ledger/g1', 'sealer']) fs.rmSync(path.join(copy, name), { recursive: true });
        return { named: [/index\.db.*ahead of the log/, ...ids.map((id) => new RegExp(id))], messages: ids };
      },
    },
    {
      name: 'the last group cut in its middle',
      plant: (copy) => {
        const offset = groupsBack(1) + 300;
        cutAt(offset)(copy);
        return { named: [new RegExp(`${quoted(last)}.*#${behind(groupsBack(1))[0]?.seq}\\b`)], messages: [] };
      },
    },
    {
      name: 'a bit of the last group',
      plant: (copy) => {
        const frame = behind(groupsBack(1))[0] as LogFrame;
        flip(copy, frame.file, frame.octetsAt + 5);
        return names(folder, frame);
      },
    },
    {
      name: 'octets behind the end of a closed segment changed',
      plant: (copy) => {
        const file = files[1] ?? '';
        const size = fs.statSync(path.join(copy, file)).size;
        flip(copy, file, size - 1);
        return { named: [at(file)], messages: [] };
      },
    },
    {
      name: 'a segment cut short',
      plant: (copy) => {
        const file = files[0] ?? '';
        const frame = framesOf(folder, file).findLast(
          ({ type, isElsewhere }) => type === types.MSG && !isElsewhere,
        ) as LogFrame;
        fs.truncateSync(path.join(copy, file), frame.octetsAt + 20);
        return { named: [at(file)], messages: [messageIdOf(folder, frame)] };
      },
    },
    {
      name: 'a segment removed',
      plant: (copy) => {
        const file = files[1] ?? '';
        fs.rmSync(path.join(copy, file));
        const ids = framesOf(folder, file).flatMap((frame) =>
          frame.type === types.MSG ? [messageIdOf(folder, frame)] : [],
        );
        return { named: [/segments\/.*missing/], messages: ids };
      },
    },
    {
      name: 'two segments swapped',
      plant: (copy) => {
        const [one, two] = [files[0] ?? '', files[1] ?? ''].map((file) => path.join(copy, file)) as [
          string,
          string,
        ];
        fs.renameSync(one, `${one}.x`);
        fs.renameSync(two, one);
        fs.renameSync(`${one}.x`, two);
        return { named: [at(files[0] ?? ''), at(files[1] ?? '')], messages: [] };
      },
    },
  ];
};

const keyHeader: Fields = {
  magic: 2,
  headerLength: 8,
  format: 11,
  shard: 15,
  generation: 19,
  epoch: 23,
  'reserved octets': 100,
  checksum: 490,
};
const keySlot: Fields = {
  state: 0,
  'reserved octets behind state': 2,
  number: 7,
  seq: 15,
  key: 20,
  padding: 60,
  checksum: 100,
};

const keyFileFlips = (folder: string): Damage[] => {
  const file = 'keys/00000000.fkeys';
  const message = allFrames(folder).filter(({ type }) => type === types.MSG)[1] as LogFrame;
  const slotAt = 512 + 128 * message.slot;
  const named = [new RegExp(`${quoted(file)} @${slotAt} #${message.seq}\\b`)];
  const inSlot = (name: string, change: (octets: Buffer) => void): Damage => ({
    name,
    plant: (copy) => {
      edit(copy, file, (octets) => {
        change(octets);
        return octets;
      });
      return { named, messages: [messageIdOf(folder, message)] };
    },
  });
  return [
    ...Object.entries(keyHeader).map(([field, offset]) => ({
      name: `a bit of ${field} in the header of a key file`,
      plant: (copy: string) => {
        flip(copy, file, offset);
        return { named: [at(file)], messages: [] };
      },
    })),
    ...Object.entries(keySlot).map(([field, offset]) =>
      inSlot(`a bit of ${field} in a key slot`, (octets) => {
        octets[slotAt + offset] = (octets[slotAt + offset] ?? 0) ^ 1;
      }),
    ),
    inSlot('a key slot emptied', (octets) => octets.fill(0, slotAt, slotAt + 128)),
    inSlot('a key slot destroyed without an ERASED frame', (octets) => {
      octets[slotAt] = 3;
      octets.fill(0, slotAt + 16, slotAt + 96);
      sha256(octets.subarray(slotAt, slotAt + 96)).copy(octets, slotAt + 96);
    }),
    {
      name: 'another key in a slot, with a good checksum',
      plant: (copy) => {
        edit(copy, file, (octets) => {
          octets[slotAt + 16] = (octets[slotAt + 16] ?? 0) ^ 1;
          sha256(octets.subarray(slotAt, slotAt + 96)).copy(octets, slotAt + 96);
        });
        return names(folder, message);
      },
    },
    {
      name: 'a key file cut short',
      plant: (copy) => {
        fs.truncateSync(path.join(copy, file), slotAt);
        return { named, messages: [messageIdOf(folder, message)] };
      },
    },
    {
      name: 'a key file removed',
      plant: (copy) => {
        fs.rmSync(path.join(copy, file));
        return { named: [new RegExp(`${quoted(file)}.*missing`)], messages: [] };
      },
    },
  ];
};

const ledgerFlips = (folder: string): Damage[] => {
  const ledger = path.join(folder, 'ledger/g1');
  const tiles = fs
    .readdirSync(ledger, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)));
  // Narrower partial tiles stay beside the widest until the next start.
  const widest = (part: string): string =>
    tiles
      .filter((name) => name.includes(part))
      .sort((a, b) => Number(path.basename(a)) - Number(path.basename(b)))
      .at(-1) ?? '';
  const hashes = widest('/tile/0/');
  const bundle = widest('/tile/entries/');
  const head = 'ledger/g1/checkpoint';
  const text = fs.readFileSync(path.join(folder, head), 'utf8');
  const inFile = (name: string, file: string, offset: number): Damage => ({
    name,
    plant: (copy) => {
      flip(copy, file, offset);
      return { named: [at(file)], messages: [] };
    },
  });
  return [
    inFile('a bit of a hash in a tile', hashes, 40),
    inFile('a bit of the last hash in a tile', hashes, fs.statSync(path.join(folder, hashes)).size - 1),
    inFile('a bit of a length in an entry bundle', bundle, 1),
    inFile('a bit of an entry in a bundle', bundle, 20),
    inFile('a bit of the origin in the checkpoint', head, 0),
    inFile('a bit of the size in the checkpoint', head, text.indexOf('\n') + 1),
    inFile('a bit of the root in the checkpoint', head, text.indexOf('\n') + 10),
    inFile('a bit of the signature in the checkpoint', head, text.lastIndexOf(' ') + 30),
    {
      name: 'a tile removed',
      plant: (copy) => {
        fs.rmSync(path.join(copy, hashes));
        return { named: [at(hashes)], messages: [] };
      },
    },
    {
      name: 'the checkpoint removed',
      plant: (copy) => {
        fs.rmSync(path.join(copy, head));
        return { named: [at(head)], messages: [] };
      },
    },
    {
      name: 'octets behind the checkpoint',
      plant: (copy) => {
        fs.appendFileSync(path.join(copy, head), '\0');
        return { named: [at(head)], messages: [] };
      },
    },
    {
      name: 'another key published',
      plant: (copy) => {
        flip(copy, 'ledger/keys', 10);
        return { named: [/ledger\/keys/], messages: [] };
      },
    },
  ];
};

/** One cell of each column of each table, changed by one bit behind the program's back. */
const databaseFlips = (folder: string, file: string): Damage[] => {
  const db = new DatabaseSync(path.join(folder, file), { readOnly: true });
  try {
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
    return tables.flatMap(({ name }) => {
      const table = String(name);
      const row = db.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
      if (row === undefined) return [];
      const key = keyOf(db, table);
      return Object.keys(row).map((column) => cellFlip(file, table, key, column));
    });
  } finally {
    db.close();
  }
};

const keyOf = (db: DatabaseSync, table: string): string[] =>
  db
    .prepare(`PRAGMA table_info(${table})`)
    .all()
    .filter((column) => Number(column['pk']) > 0)
    .sort((a, b) => Number(a['pk']) - Number(b['pk']))
    .map((column) => String(column['name']));

const cellFlip = (file: string, table: string, key: readonly string[], column: string): Damage => ({
  name: `a bit of ${column} in a row of ${table} in ${file}`,
  plant: (copy) => {
    const db = new DatabaseSync(path.join(copy, file));
    try {
      // A row whose cell holds something: a used cell.
      const row =
        db.prepare(`SELECT * FROM ${table} WHERE length(${column}) > 0 LIMIT 1`).get() ??
        db.prepare(`SELECT * FROM ${table} LIMIT 1`).get() ??
        {};
      const where = key.map((name) => `${name} = ?`).join(' AND ');
      const changed = flippedCell(row[column] ?? null);
      // Whoever changes a cell behind the program's back asks no constraint.
      db.exec('PRAGMA ignore_check_constraints = ON');
      db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${where}`).run(
        changed,
        ...key.map((name) => row[name] as string),
      );
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      db.close();
    }
    return { named: [new RegExp(`${quoted(file)}.*\\b${table}\\b`)], messages: [] };
  },
});

const flippedCell = (cell: unknown): string | number | Uint8Array => {
  if (typeof cell === 'number') return cell % 2 === 0 ? cell + 1 : cell - 1;
  if (typeof cell === 'string' && cell !== '')
    return String.fromCharCode(cell.charCodeAt(0) ^ 1) + cell.slice(1);
  if (cell instanceof Uint8Array && cell.length > 0) {
    const octets = cell.slice();
    octets[0] = (octets[0] ?? 0) ^ 1;
    return octets;
  }
  return cell === null ? 0 : 'x';
};

/** Bodies in files of their own. */
const largeFileDamages = (folder: string): Damage[] => {
  const frame = allFrames(folder).find(({ isElsewhere }) => isElsewhere) as LogFrame;
  const id = messageIdOf(folder, frame);
  const file = `large/${id}.flarge`;
  const inFile = (name: string, change: (copy: string) => void): Damage => ({
    name,
    plant: (copy) => {
      change(copy);
      return { named: [at(file)], messages: [id] };
    },
  });
  return [
    inFile('a bit of the nonce in the file of a large body', (copy) => flip(copy, file, 3)),
    inFile('a bit of the file of a large body', (copy) => flip(copy, file, 100_000)),
    inFile('a bit of the last tag in the file of a large body', (copy) =>
      flip(copy, file, frame.octetsLength - 1),
    ),
    inFile('the file of a large body cut short', (copy) => fs.truncateSync(path.join(copy, file), 70_000)),
    inFile('octets behind the file of a large body', (copy) => fs.appendFileSync(path.join(copy, file), 'x')),
    inFile('the file of a large body removed', (copy) => fs.rmSync(path.join(copy, file))),
    {
      name: 'a bit of fileHash in the storage header of a large body',
      plant: (copy) => {
        flip(copy, frame.file, frame.at + 110);
        return names(folder, frame);
      },
    },
  ];
};

const fileDamages = (folder: string): Damage[] => [
  {
    name: 'an index that hides a message',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'index.db'));
      const row = db
        .prepare(
          'SELECT p.mailbox AS mailbox, p.uid AS uid, m.id AS id FROM placement p JOIN email e ON e.seq = p.email JOIN message m ON m.seq = e.message LIMIT 1 OFFSET 3',
        )
        .get() as { mailbox: number; uid: number; id: string };
      // Every row that is left carries a good checksum.
      db.prepare('DELETE FROM placement WHERE mailbox = ? AND uid = ?').run(row.mailbox, row.uid);
      db.close();
      return { named: [new RegExp(`index\\.db.*hidden.*${row.id}`)], messages: [] };
    },
  },
  {
    name: 'an index from which a message is gone altogether',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'index.db'));
      const row = db.prepare('SELECT seq, id FROM message LIMIT 1 OFFSET 2').get() as {
        seq: number;
        id: string;
      };
      db.prepare('DELETE FROM placement WHERE email IN (SELECT seq FROM email WHERE message = ?)').run(
        row.seq,
      );
      db.prepare('DELETE FROM email WHERE message = ?').run(row.seq);
      db.prepare('DELETE FROM message WHERE seq = ?').run(row.seq);
      db.close();
      return { named: [new RegExp(`index\\.db.*hidden.*${row.id}`)], messages: [] };
    },
  },
  {
    name: 'an index with a row too many',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'index.db'));
      db.exec(
        'INSERT INTO placement SELECT mailbox, uid + 1000, email, flags, keywords, modseq, date, saved, uidl, size, sum FROM placement LIMIT 1',
      );
      db.close();
      return { named: [/index\.db.*placement \d+ 10\d\d/], messages: [] };
    },
  },
  {
    name: 'an account that no event explains',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'state.db'));
      db.exec(
        "INSERT INTO rows SELECT name, 'mallory@fengni.test', value, sum FROM rows WHERE name = 'account' LIMIT 1",
      );
      db.close();
      return { named: [/state\.db.*no event.*rows account/], messages: [] };
    },
  },
  {
    name: 'a bit of a page of index.db',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'index.db'));
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      const { id } = db.prepare('SELECT sha256 AS id FROM message LIMIT 1').get() as { id: string };
      db.close();
      edit(copy, 'index.db', (octets) => {
        const where = octets.indexOf(id, 0, 'latin1');
        octets[where] = (octets[where] ?? 0) ^ 1;
      });
      return { named: [/index\.db/], messages: [] };
    },
  },
  {
    name: 'a page of index.db made zeros',
    plant: (copy) => {
      const db = new DatabaseSync(path.join(copy, 'index.db'));
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      db.close();
      edit(copy, 'index.db', (octets) => octets.fill(0, 4096, 8192));
      return { named: [/index\.db/], messages: [] };
    },
  },
  ...(
    [
      ['segments/note.txt', 'segments'],
      ['keys/00000000.fkeys.bak', 'keys'],
      ['ledger/g1/extra', 'ledger'],
      ['large/zzz.flarge', 'large'],
    ] as const
  ).map(([file, where]) => ({
    name: `a stranger's file in ${where}/`,
    plant: (copy: string) => {
      fs.writeFileSync(path.join(copy, file), 'x');
      return { named: [at(file)], messages: [] };
    },
  })),
  {
    name: 'FORMAT changed',
    plant: (copy) => {
      flip(copy, 'FORMAT', 30);
      return { named: [/FORMAT/], messages: [] };
    },
  },
  {
    name: 'FORMAT removed',
    plant: (copy) => {
      fs.rmSync(path.join(copy, 'FORMAT'));
      return { named: [/FORMAT/], messages: [] };
    },
  },
  {
    name: 'secrets.db removed',
    plant: (copy) => {
      fs.rmSync(path.join(copy, 'secrets.db'));
      return { named: [/secrets\.db/], messages: [] };
    },
  },
  {
    name: 'the state of the sealer changed',
    plant: (copy) => {
      flip(copy, 'sealer/state', 30);
      void folder;
      return { named: [/sealer\/state/], messages: [] };
    },
  },
];

/** Octets that are good in themselves, in the wrong place: by somebody who makes every checksum fit that needs no secret. */
const misplaced = (folder: string): Damage[] => {
  const messages = allFrames(folder).filter(({ type }) => type === types.MSG);
  const [one, two] = pairOf(messages);
  const ids = [messageIdOf(folder, one), messageIdOf(folder, two)];
  const swap = (octets: Buffer, from: number, to: number, length: number): void => {
    const held = Buffer.from(octets.subarray(from, from + length));
    octets.copyWithin(from, to, to + length);
    held.copy(octets, to);
  };
  const bodies = (copy: string): void =>
    edit(copy, one.file, (octets) => {
      swap(octets, one.headAt, two.headAt, one.endAt - one.headAt);
      swap(octets, one.at + 24, two.at + 24, 32);
      resumStorage(octets, one.at);
      resumStorage(octets, two.at);
    });
  return [
    {
      name: 'the bodies of two messages swapped, storage headers made to fit',
      plant: (copy) => {
        bodies(copy);
        return { named: [frameLine(one), frameLine(two)], messages: ids };
      },
    },
    {
      name: 'the bodies and the keys of two messages swapped, all checksums made to fit',
      plant: (copy) => {
        bodies(copy);
        edit(copy, 'keys/00000000.fkeys', (octets) => {
          const [a, b] = [512 + 128 * one.slot, 512 + 128 * two.slot];
          swap(octets, a + 16, b + 16, 16);
          for (const slot of [a, b]) sha256(octets.subarray(slot, slot + 96)).copy(octets, slot + 96);
        });
        return { named: [frameLine(one), frameLine(two)], messages: ids };
      },
    },
    {
      name: 'the octets of a message made of another, under its own head',
      plant: (copy) => {
        edit(copy, one.file, (octets) => {
          octets.copyWithin(one.octetsAt, two.octetsAt, two.endAt);
          sha256(octets.subarray(one.octetsAt, one.endAt), octets.subarray(one.headAt, one.octetsAt)).copy(
            octets,
            one.at + 24,
          );
          resumStorage(octets, one.at);
        });
        return { named: [frameLine(one)], messages: [ids[0] as string] };
      },
    },
    {
      name: 'a message said to be erased, without an ERASED frame',
      plant: (copy) => {
        edit(copy, one.file, (octets) => {
          octets[one.at + 8] = 2;
          octets.fill(0, one.at + 24, one.at + 56);
          octets.fill(0, one.headAt, one.endAt);
          resumStorage(octets, one.at);
        });
        return { named: [frameLine(one)], messages: [ids[0] as string] };
      },
    },
    {
      name: 'two messages exchanged as whole frames',
      plant: (copy) => {
        edit(copy, one.file, (octets) => swap(octets, one.at, two.at, one.length));
        return { named: [new RegExp(`${quoted(one.file)}.*\\b(${one.seq}|${two.seq})\\b`)], messages: ids };
      },
    },
  ];
};

/** Two messages in one file whose parts have the same lengths. */
const pairOf = (messages: readonly LogFrame[]): [LogFrame, LogFrame] => {
  for (const one of messages)
    for (const two of messages)
      if (
        one.seq < two.seq &&
        !one.isElsewhere &&
        !two.isElsewhere &&
        one.file === two.file &&
        one.headLength === two.headLength &&
        one.octetsLength === two.octetsLength &&
        one.leafLength === two.leafLength
      )
        return [one, two];
  throw new Error('the folder needs two messages of one size in one segment');
};
