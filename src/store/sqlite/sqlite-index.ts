import {
  applyFlags,
  dumpIndex,
  type EmailRow,
  type ErasedEvent,
  flagBits,
  idOf,
  isForgettable,
  isKept,
  type KeyRef,
  keptMailMax,
  type LogEvent,
  type LogMarks,
  type MailboxRow,
  type MailIndex,
  type MessageRow,
  type MessageTextsRow,
  type PlacementRow,
  parseUidSet,
  type RestoreEvent,
  reversedDomain,
  type SnapshotEvent,
  type SnapshotFrame,
  type StateEvent,
  seqOf,
  type Tombstone,
  type UnplacedRow,
  vouchedAuthor,
} from '#store/index';
import {
  type Cell,
  checkRow,
  number,
  numberAt,
  octetsAt,
  octetsOrNull,
  openDatabase,
  type Row,
  rowSum,
  text,
  textAt,
} from './database.ts';

/** Columns in the order in which a row's checksum takes them; `sum` follows in every table. */
const columns = {
  mark: [
    'one',
    'applied',
    'record',
    'leaf_time',
    'frames_seq',
    'day_count',
    'day_time',
    'clock_seq',
    'partial',
  ],
  message: [
    'seq',
    'id',
    'kind',
    'time',
    'leaf',
    'sha256',
    'size',
    'segment',
    'offset',
    'length_bytes',
    'key_epoch',
    'key_slot',
    'structure',
  ],
  // What no reader of a body needs: a row of its own, so that it is neither read nor checked then.
  message_text: ['seq', 'envelope', 'body_structure', 'body', 'thread_keys', 'preview'],
  email: [
    'seq',
    'account',
    'thread',
    'address',
    'prefix',
    'date',
    'message',
    'segment',
    'offset',
    'length_bytes',
    'key_epoch',
    'key_slot',
    'author',
  ],
  mailbox: [
    'id',
    'account',
    'name',
    'role',
    'uid_validity',
    'uid_next',
    'modseq',
    'recent_below',
    'keywords',
  ],
  placement: ['mailbox', 'uid', 'email', 'flags', 'keywords', 'modseq', 'date', 'saved', 'uidl', 'size'],
  tombstone: ['mailbox', 'uid', 'modseq'],
  account: ['id', 'modseq', 'uid_validity', 'key_epoch', 'key_slot', 'changes'],
  thread: ['account', 'key', 'email', 'thread'],
  subscription: ['account', 'name'],
  unplaced: ['email', 'account', 'day', 'time', 'modseq'],
  snapshot: ['account', 'mailbox', 'page', 'seq', 'base', 'commitment', 'segment', 'offset', 'length_bytes'],
} as const;

type Table = keyof typeof columns;

const schema = `
  CREATE TABLE mark (one INTEGER PRIMARY KEY, applied INTEGER, record BLOB, leaf_time INTEGER, frames_seq INTEGER, day_count INTEGER,
    day_time INTEGER, clock_seq INTEGER, partial INTEGER, sum BLOB);
  CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, time INTEGER, leaf INTEGER, sha256 TEXT, size INTEGER,
    segment INTEGER, offset INTEGER, length_bytes INTEGER, key_epoch INTEGER, key_slot INTEGER,
    structure BLOB, sum BLOB);
  CREATE TABLE message_text (seq INTEGER PRIMARY KEY, envelope BLOB, body_structure BLOB, body BLOB, thread_keys TEXT, preview TEXT,
    sum BLOB);
  CREATE TABLE email (seq INTEGER PRIMARY KEY, account TEXT, thread TEXT, address TEXT, prefix BLOB, date INTEGER, message INTEGER,
    segment INTEGER, offset INTEGER, length_bytes INTEGER, key_epoch INTEGER, key_slot INTEGER, author TEXT, sum BLOB);
  CREATE INDEX message_key ON message (key_epoch, key_slot);
  CREATE INDEX email_message ON email (message);
  CREATE INDEX email_key ON email (key_epoch, key_slot);
  CREATE INDEX email_account ON email (account);
  CREATE INDEX email_author ON email (account, author) WHERE author IS NOT NULL;
  CREATE TABLE mailbox (id TEXT PRIMARY KEY, account TEXT, name TEXT, role TEXT, uid_validity INTEGER, uid_next INTEGER,
    modseq INTEGER, recent_below INTEGER, keywords TEXT, sum BLOB, UNIQUE (account, name)) WITHOUT ROWID;
  CREATE TABLE placement (mailbox INTEGER, uid INTEGER, email INTEGER, flags INTEGER, keywords TEXT, modseq INTEGER, date INTEGER,
    saved INTEGER, uidl TEXT, size INTEGER, sum BLOB, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
  CREATE INDEX placement_modseq ON placement (mailbox, modseq);
  CREATE INDEX placement_email ON placement (email);
  CREATE TABLE tombstone (mailbox INTEGER, uid INTEGER, modseq INTEGER, sum BLOB, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
  CREATE INDEX tombstone_modseq ON tombstone (mailbox, modseq);
  CREATE TABLE account (id TEXT PRIMARY KEY, modseq INTEGER, uid_validity INTEGER, key_epoch INTEGER, key_slot INTEGER, changes INTEGER,
    sum BLOB) WITHOUT ROWID;
  CREATE INDEX account_key ON account (key_epoch, key_slot);
  CREATE TABLE thread (account TEXT, key TEXT, email INTEGER, thread TEXT, sum BLOB, PRIMARY KEY (account, key, email)) WITHOUT ROWID;
  CREATE TABLE subscription (account TEXT, name TEXT, sum BLOB, PRIMARY KEY (account, name)) WITHOUT ROWID;
  CREATE TABLE unplaced (email INTEGER PRIMARY KEY, account TEXT, day INTEGER, time INTEGER, modseq INTEGER, sum BLOB);
  CREATE INDEX unplaced_account ON unplaced (account);
  CREATE INDEX unplaced_modseq ON unplaced (account, modseq);
  CREATE TABLE snapshot (account TEXT, mailbox INTEGER, page INTEGER, seq INTEGER, base INTEGER, commitment TEXT, segment INTEGER,
    offset INTEGER, length_bytes INTEGER, sum BLOB, PRIMARY KEY (account, mailbox, page)) WITHOUT ROWID`;

const insertSql = Object.fromEntries(
  Object.entries(columns).map(([table, names]) => [
    table,
    `INSERT OR REPLACE INTO ${table} (${names.join(', ')}, sum) VALUES (${'?, '.repeat(names.length)}?)`,
  ]),
) as Record<Table, string>;

/** Where a column stands in a row of cells. */
const positions = <T extends Table>(table: T): Readonly<Record<(typeof columns)[T][number], number>> =>
  Object.fromEntries(columns[table].map((name, at) => [name, at])) as Record<
    (typeof columns)[T][number],
    number
  >;
const inPlacement = positions('placement');
const inEmail = positions('email');
const inMessage = positions('message');
const inTexts = positions('message_text');

const selectSql = Object.fromEntries(
  Object.entries(columns).map(([table, names]) => [table, `SELECT ${names.join(', ')}, sum FROM ${table}`]),
) as Record<Table, string>;

/** What the checksum of the row with `applied` is made of. */
export const markColumns: readonly string[] = columns.mark;

const noMark = () => ({
  applied: 0,
  record: null,
  leafTimeMs: 0,
  framesSeq: 0,
  dayCount: 0,
  dayMs: 0,
  clockSeq: 0,
  partial: false,
});

/** A mailbox's own row. */
type CountedMailbox = Omit<MailboxRow, 'subscribed'>;

interface CountedAccount {
  modSeq: number;
  uidValidity: number;
  key: KeyRef | null;
  changes: number;
}

/** What one transaction has read or counted and not yet written: a hundred messages for a mailbox change its row once. */
interface Batch {
  mailboxes: Map<string, CountedMailbox>;
  accounts: Map<string, CountedAccount>;
  /** accounts that are known to have a row */
  known: Set<string>;
  messages: Map<number, { timeMs: number; sizeBytes: number; threadKeys: readonly string[] }>;
  /** octets of copies by the `seq` of their frame */
  sizes: Map<number, number>;
}

const emptyBatch = (): Batch => ({
  mailboxes: new Map(),
  accounts: new Map(),
  known: new Set(),
  messages: new Map(),
  sizes: new Map(),
});

/** The `MailIndex` in `index.db`. */
export const openSqliteIndex = (file: string, options: { readOnly: boolean }): MailIndex => {
  const db = openDatabase(file, { ...options, schema });

  const put = (table: Table, ...cells: Cell[]): void => db.run(insertSql[table], ...cells, rowSum(cells));
  /** refuses a row that is not the one that was written */
  const checked = (table: Table, row: Row): Row => {
    const cells = columns[table].map((name) => row[name] ?? null);
    checkRow(() => `${file}: ${table} ${cells.slice(0, 2).join(' ')}`, cells, row['sum']);
    return row;
  };
  const one = (table: Table, where: string, ...cells: Cell[]): Row | null => {
    const row = db.get(`SELECT * FROM ${table} WHERE ${where}`, ...cells);
    return row === undefined ? null : checked(table, row);
  };
  const many = (table: Table, rest: string, ...cells: Cell[]): Row[] =>
    db.all(`SELECT * FROM ${table} ${rest}`, ...cells).map((row) => checked(table, row));

  /** the same where rows are many: cells in the order of the columns */
  const manyCells = (table: Table, rest: string, ...cells: Cell[]): Cell[][] => {
    const rows = db.allCells(`${selectSql[table]} ${rest}`, ...cells);
    for (const row of rows) {
      const sum = row.pop();
      checkRow(() => `${file}: ${table} ${row.slice(0, 2).join(' ')}`, row, sum);
    }
    return rows;
  };

  const mark = (): LogMarks & { applied: number; record: Uint8Array | null; partial: boolean } => {
    const row = one('mark', 'one = 1');
    if (row === null) return noMark();
    return {
      applied: number(row, 'applied'),
      record: octetsOrNull(row, 'record'),
      leafTimeMs: number(row, 'leaf_time'),
      framesSeq: number(row, 'frames_seq'),
      dayCount: number(row, 'day_count'),
      dayMs: number(row, 'day_time'),
      clockSeq: number(row, 'clock_seq'),
      partial: number(row, 'partial') !== 0,
    };
  };

  let batch = emptyBatch();

  const putMailbox = (row: CountedMailbox): void =>
    put(
      'mailbox',
      row.id,
      row.account,
      row.name,
      row.role,
      row.uidValidity,
      row.uidNext,
      row.highestModSeq,
      row.recentBelow,
      JSON.stringify(row.keywords),
    );

  const placementCells = (mailbox: string, row: PlacementRow): Cell[] => [
    mailboxNumber(mailbox),
    row.uid,
    row.emailSeq,
    row.flags,
    row.keywords.join(','),
    row.modSeq,
    row.dateMs,
    row.savedMs,
    row.uidl,
    row.sizeBytes,
  ];

  const putPlacement = (mailbox: string, row: PlacementRow): void =>
    put('placement', ...placementCells(mailbox, row));

  /** Flags of a row that is there: the other columns, and the index over emails, stay as they are. */
  const changePlacement = (mailbox: string, row: PlacementRow): void =>
    db.run(
      'UPDATE placement SET flags = ?, keywords = ?, modseq = ?, sum = ? WHERE mailbox = ? AND uid = ?',
      row.flags,
      row.keywords.join(','),
      row.modSeq,
      rowSum(placementCells(mailbox, row)),
      mailboxNumber(mailbox),
      row.uid,
    );

  const accountRow = (id: string): CountedAccount => {
    const row = one('account', 'id = ?', id);
    if (row === null) return { modSeq: 0, uidValidity: 0, key: null, changes: 0 };
    const key =
      row['key_epoch'] === null ? null : { epoch: number(row, 'key_epoch'), slot: number(row, 'key_slot') };
    return {
      modSeq: number(row, 'modseq'),
      uidValidity: number(row, 'uid_validity'),
      key,
      changes: number(row, 'changes'),
    };
  };

  const putAccount = (id: string, { modSeq, uidValidity, key, changes }: CountedAccount): void =>
    put('account', id, modSeq, uidValidity, key?.epoch ?? null, key?.slot ?? null, changes);

  const raiseAccount = (
    id: string,
    modSeq: number,
    uidValidity: number,
    key: KeyRef | null,
    changes: number,
  ): void => {
    const before = batch.accounts.get(id) ?? accountRow(id);
    batch.accounts.set(id, {
      modSeq: Math.max(before.modSeq, modSeq),
      uidValidity: Math.max(before.uidValidity, uidValidity),
      key: before.key ?? key,
      changes: before.changes + changes,
    });
  };

  /** whether the account has a row: without one it was purged */
  const isKnown = (id: string): boolean => {
    if (batch.known.has(id) || batch.accounts.has(id)) return true;
    const found = db.get('SELECT 1 AS one FROM account WHERE id = ?', id) !== undefined;
    if (found) batch.known.add(id);
    return found;
  };

  /** a mailbox as this transaction has it so far; whether it is subscribed to is not its own matter */
  const mailboxNow = (id: string): CountedMailbox | null => {
    const known = batch.mailboxes.get(id);
    if (known !== undefined) return known;
    const row = one('mailbox', 'id = ?', id);
    return row === null ? null : countedMailbox(row);
  };

  const count = (mailbox: CountedMailbox): void => void batch.mailboxes.set(mailbox.id, mailbox);

  /** writes what was only counted until now; names never wait for it, since they are unique */
  const flush = (): void => {
    for (const mailbox of batch.mailboxes.values()) putMailbox(mailbox);
    for (const [id, account] of batch.accounts) putAccount(id, account);
    batch = emptyBatch();
  };

  /** positions of keywords, new ones taken in; the caller writes the mailbox afterwards */
  const keywordPositions = (
    mailbox: CountedMailbox,
    keywords: readonly string[],
  ): [CountedMailbox, number[]] => {
    const all = [...mailbox.keywords];
    const positions = keywords.map((keyword) => {
      const known = all.findIndex((each) => each.toLowerCase() === keyword.toLowerCase());
      return known >= 0 ? known : all.push(keyword) - 1;
    });
    return [{ ...mailbox, keywords: all }, positions.sort((a, b) => a - b)];
  };

  const sizeOf = (emailSeq: number): number => {
    const known = batch.sizes.get(emailSeq);
    if (known !== undefined) return known;
    const row = db.get(
      `SELECT length(e.prefix) + coalesce(m.size, 0) AS size FROM email e LEFT JOIN message m ON m.seq = e.message WHERE e.seq = ?`,
      emailSeq,
    );
    return row === undefined ? 0 : number(row, 'size');
  };

  const place = (
    mailbox: CountedMailbox,
    modSeq: number,
    placed: {
      uid: number;
      emailId: string;
      flags: readonly string[];
      dateMs: number;
      savedMs: number;
      uidl: string;
    },
  ): CountedMailbox => {
    const { bits, keywords } = flagBits(placed.flags);
    const [after, positions] = keywordPositions(mailbox, keywords);
    const emailSeq = seqOf(placed.emailId) ?? 0;
    putPlacement(mailbox.id, {
      uid: placed.uid,
      emailSeq,
      flags: bits,
      keywords: positions,
      modSeq,
      dateMs: placed.dateMs,
      savedMs: placed.savedMs,
      uidl: placed.uidl,
      sizeBytes: sizeOf(emailSeq),
    });
    return {
      ...after,
      uidNext: Math.max(after.uidNext, placed.uid + 1),
      highestModSeq: Math.max(after.highestModSeq, modSeq),
    };
  };

  const inSet = (mailbox: string, uids: string): PlacementRow[] =>
    (parseUidSet(uids) ?? []).flatMap(({ first, last }) =>
      manyCells(
        'placement',
        'WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid',
        mailboxNumber(mailbox),
        first,
        last,
      ).map(placementRow),
    );

  /** an email's placement is gone; when it was the last one, its days begin to count */
  const lost = (emailSeq: number, timeMs: number, dayCount: number, modSeq: number): void => {
    if (db.get('SELECT 1 AS one FROM placement WHERE email = ? LIMIT 1', emailSeq) !== undefined) return;
    const email = db.get('SELECT account FROM email WHERE seq = ?', emailSeq);
    if (email !== undefined) put('unplaced', emailSeq, text(email, 'account'), dayCount, timeMs, modSeq);
  };

  const placedAgain = (emailSeq: number): void => db.run('DELETE FROM unplaced WHERE email = ?', emailSeq);

  const unsubscribe = (account: string, name: string): void =>
    db.run('DELETE FROM subscription WHERE account = ? AND name = ?', account, name);

  const applyState = (event: StateEvent, dayCount: number): void => {
    const change = event.change;
    raiseAccount(event.account, event.modSeq, change.op === 'create' ? change.uidValidity : 0, event.key, 1);
    if (change.op === 'create') {
      if (change.subscribed) put('subscription', event.account, change.name);
      putMailbox({
        id: event.mailbox,
        account: event.account,
        name: change.name,
        role: change.role,
        uidValidity: change.uidValidity,
        uidNext: 1,
        highestModSeq: event.modSeq,
        recentBelow: 1,
        keywords: [],
      });
      return;
    }
    if (change.op === 'subscribe') {
      if (change.subscribed) put('subscription', event.account, change.name);
      else unsubscribe(event.account, change.name);
      return;
    }
    if (change.op === 'numbers') {
      for (const { mailbox: id, uidNext } of change.uidNexts) {
        const mailbox = mailboxNow(id);
        if (mailbox !== null && mailbox.uidNext < uidNext) count({ ...mailbox, uidNext });
      }
      return;
    }
    const before = mailboxNow(event.mailbox);
    if (before === null) return;
    const mailbox = { ...before, highestModSeq: Math.max(before.highestModSeq, event.modSeq) };
    switch (change.op) {
      case 'recent':
        count({ ...before, recentBelow: Math.max(before.recentBelow, change.below) });
        break;
      case 'rename':
        if (isSubscribed(event.account, before.name)) {
          unsubscribe(event.account, before.name);
          put('subscription', event.account, change.name);
        }
        count({ ...mailbox, name: change.name });
        putMailbox({ ...mailbox, name: change.name });
        break;
      case 'delete': {
        const emails = db.all(
          'SELECT DISTINCT email FROM placement WHERE mailbox = ?',
          mailboxNumber(event.mailbox),
        );
        deleteMailbox(event.mailbox);
        for (const row of emails) lost(number(row, 'email'), event.timeMs, dayCount, event.modSeq);
        break;
      }
      case 'flags': {
        const { bits, keywords } = flagBits(change.flags);
        const [after, positions] = keywordPositions(mailbox, keywords);
        for (const row of inSet(event.mailbox, change.uids)) {
          const flags = applyFlags({ bits: row.flags, keywords: row.keywords }, change.mode, {
            bits,
            keywords: positions,
          });
          changePlacement(event.mailbox, {
            ...row,
            flags: flags.bits,
            keywords: flags.keywords,
            modSeq: event.modSeq,
          });
        }
        count(after);
        break;
      }
      case 'expunge':
        for (const row of inSet(event.mailbox, change.uids)) {
          db.run(
            'DELETE FROM placement WHERE mailbox = ? AND uid = ?',
            mailboxNumber(event.mailbox),
            row.uid,
          );
          lost(row.emailSeq, event.timeMs, dayCount, event.modSeq);
        }
        // A UID whose frame was erased has its tombstone all the same.
        for (const { first, last } of parseUidSet(change.uids) ?? []) {
          for (let uid = first; uid <= last; uid++)
            put('tombstone', mailboxNumber(event.mailbox), uid, event.modSeq);
        }
        count(mailbox);
        break;
      case 'place': {
        let after: CountedMailbox = mailbox;
        for (const placed of change.placements) {
          after = place(after, event.modSeq, placed);
          placedAgain(seqOf(placed.emailId) ?? 0);
        }
        count(after);
        break;
      }
    }
  };

  const deleteMailbox = (id: string): void => {
    for (const table of ['placement', 'tombstone', 'snapshot'])
      db.run(`DELETE FROM ${table} WHERE mailbox = ?`, mailboxNumber(id));
    db.run('DELETE FROM mailbox WHERE id = ?', id);
    batch.mailboxes.delete(id);
  };

  const dropThreads = (account: string, emailSeq: number, threadKeys: readonly string[]): void => {
    for (const key of threadKeys)
      db.run('DELETE FROM thread WHERE account = ? AND key = ? AND email = ?', account, key, emailSeq);
  };

  /** all that an account had; its copies are due */
  const purge = (id: string): void => {
    for (const row of db.all('SELECT id FROM mailbox WHERE account = ?', id)) deleteMailbox(text(row, 'id'));
    for (const row of db.all('SELECT seq FROM email WHERE account = ?', id))
      put('unplaced', number(row, 'seq'), id, 0, 0, 0);
    for (const table of ['thread', 'subscription', 'snapshot'])
      db.run(`DELETE FROM ${table} WHERE account = ?`, id);
    db.run('DELETE FROM account WHERE id = ?', id);
    batch.known.delete(id);
  };

  const applyErased = (event: ErasedEvent): void => {
    // Rows decide what a key held: what was only counted until now is written first.
    flush();
    const ofKey = (table: 'account' | 'email' | 'message', { epoch, slot }: KeyRef): Row[] =>
      db.all(`SELECT * FROM ${table} WHERE key_epoch = ? AND key_slot = ?`, epoch, slot);
    for (const key of event.keys) for (const row of ofKey('account', key)) purge(text(row, 'id'));
    for (const key of event.keys) {
      for (const row of ofKey('email', key)) {
        const seq = number(row, 'seq');
        const message = messageNow(number(row, 'message'));
        dropThreads(text(row, 'account'), seq, message?.threadKeys ?? []);
        db.run('DELETE FROM email WHERE seq = ?', seq);
        placedAgain(seq);
      }
    }
    for (const key of event.keys) {
      for (const row of ofKey('message', key)) {
        const seq = number(row, 'seq');
        const threadKeys = threadKeysOf(seq);
        for (const email of db.all('SELECT seq, account FROM email WHERE message = ?', seq))
          dropThreads(text(email, 'account'), number(email, 'seq'), threadKeys);
        for (const table of ['message', 'message_text']) db.run(`DELETE FROM ${table} WHERE seq = ?`, seq);
      }
    }
    batch = emptyBatch();
  };

  const applyEvent = (event: LogEvent, marks: LogMarks): void => {
    switch (event.type) {
      case 'message':
        put(
          'message',
          event.seq,
          event.id,
          event.kind,
          event.timeMs,
          event.leafIndex,
          event.sha256Hex,
          event.sizeBytes,
          event.at.segment,
          event.at.offset,
          event.at.lengthBytes,
          event.key.epoch,
          event.key.slot,
          event.parsed.structure,
        );
        put(
          'message_text',
          event.seq,
          event.parsed.envelope,
          event.parsed.bodyStructure,
          event.parsed.body,
          JSON.stringify(event.parsed.threadKeys),
          event.parsed.preview,
        );
        marks.leafTimeMs = Math.max(marks.leafTimeMs, event.timeMs);
        batch.messages.set(event.seq, {
          timeMs: event.timeMs,
          sizeBytes: event.sizeBytes,
          threadKeys: event.parsed.threadKeys,
        });
        break;
      case 'deliver': {
        const author = vouchedAuthor(event.prefix);
        put(
          'email',
          event.seq,
          event.account,
          event.threadId,
          event.address,
          event.prefix,
          event.dateMs,
          event.messageSeq,
          event.at.segment,
          event.at.offset,
          event.at.lengthBytes,
          event.key.epoch,
          event.key.slot,
          author === null ? null : reversedDomain(author),
        );
        if (!event.placedBySnapshot && !isKnown(event.account)) {
          // Its own frames can be read no more: the account was purged.
          put('unplaced', event.seq, event.account, 0, 0, 0);
          break;
        }
        const message = messageNow(event.messageSeq);
        batch.sizes.set(event.seq, event.prefix.length + (message?.sizeBytes ?? 0));
        // The oldest email that is left with a key tells its thread: threads never merge, and erased mail leaves no key behind.
        for (const key of message?.threadKeys ?? [])
          put('thread', event.account, key, event.seq, event.threadId);
        if (event.placedBySnapshot) break;
        raiseAccount(event.account, event.modSeq, 0, null, 0);
        const mailbox = mailboxNow(event.mailbox);
        if (mailbox === null) {
          lost(event.seq, event.dateMs, marks.dayCount, event.modSeq);
          break;
        }
        count(place(mailbox, event.modSeq, { ...event, savedMs: message?.timeMs ?? event.dateMs }));
        break;
      }
      case 'state':
        applyState(event, marks.dayCount);
        break;
      case 'leaf':
        // A clock leaf may bring an earlier time: what counts is the newest leaf's.
        marks.leafTimeMs = event.timeMs;
        if (event.kind === 'clock') {
          marks.clockSeq = event.seq;
          // The clock was wrong before: what it said in the future is no longer waited for.
          marks.dayMs = Math.min(marks.dayMs, event.timeMs);
          for (const row of many('unplaced', 'WHERE time > ?', event.timeMs))
            put(
              'unplaced',
              number(row, 'email'),
              text(row, 'account'),
              number(row, 'day'),
              event.timeMs,
              number(row, 'modseq'),
            );
        }
        if (event.kind === 'frames') marks.framesSeq = event.seq;
        if (event.dayCount !== null) {
          marks.dayCount = event.dayCount;
          marks.dayMs = event.timeMs;
        }
        if (event.uidGap !== undefined) skipUids(event.uidGap);
        break;
      case 'erased':
        applyErased(event);
        break;
      case 'snapshot':
        applySnapshot(event);
        break;
      case 'restore':
        applyRestore(event);
        break;
      case 'row':
        break;
    }
  };

  const putFrame = ({ account, mailbox, page, seq, base, commitment, at }: SnapshotFrame): void =>
    put(
      'snapshot',
      account,
      mailbox === '' ? 0 : mailboxNumber(mailbox),
      page,
      seq,
      base,
      commitment,
      at.segment,
      at.offset,
      at.lengthBytes,
    );

  const applySnapshot = ({ content, seq, at, commitment }: SnapshotEvent): void => {
    const { account, base } = content;
    if (!isKnown(account)) return;
    const mailbox = content.kind === 'page' || content.kind === 'mailbox' ? content.mailbox : '';
    const page = content.kind === 'page' || content.kind === 'unplaced' ? content.page : -1;
    putFrame({ account, mailbox, page, seq, base, commitment, at });
    if (content.kind !== 'account') return;
    batch.accounts.set(account, { ...(batch.accounts.get(account) ?? accountRow(account)), changes: 0 });
    const mailboxes = new Set(content.mailboxes.map((each) => mailboxNumber(each.mailbox)));
    const pages = new Set(content.pages.map((each) => each.page));
    for (const row of many('snapshot', 'WHERE account = ?', account)) {
      const [of, number_] = [number(row, 'mailbox'), number(row, 'page')];
      if (of === 0 ? number_ < 0 || pages.has(number_) : mailboxes.has(of)) continue;
      db.run('DELETE FROM snapshot WHERE account = ? AND mailbox = ? AND page = ?', account, of, number_);
    }
  };

  const applyRestore = ({ account, step }: RestoreEvent): void => {
    switch (step.kind) {
      case 'account':
        // Rows are replaced below what was only counted until now.
        flush();
        for (const row of db.all('SELECT id FROM mailbox WHERE account = ?', account))
          deleteMailbox(text(row, 'id'));
        for (const table of ['subscription', 'snapshot', 'unplaced'])
          db.run(`DELETE FROM ${table} WHERE account = ?`, account);
        putAccount(account, { ...step.root, key: step.key, changes: 0 });
        for (const name of step.root.subscriptions) put('subscription', account, name);
        for (const frame of step.frames) putFrame(frame);
        break;
      case 'mailbox':
        putMailbox({ ...step.root, id: step.root.mailbox });
        break;
      case 'rows':
        for (const row of step.placements) putPlacement(step.mailbox, row);
        for (const { uid, modSeq } of step.tombstones)
          put('tombstone', mailboxNumber(step.mailbox), uid, modSeq);
        break;
      case 'unplaced':
        // Copies that were erased since, or lie in a mailbox again, have no row.
        for (const { emailSeq, dayCount, timeMs, modSeq } of step.rows) {
          const isPlaced = db.get('SELECT 1 AS one FROM placement WHERE email = ? LIMIT 1', emailSeq);
          const isThere = db.get('SELECT 1 AS one FROM email WHERE seq = ?', emailSeq);
          if (isPlaced === undefined && isThere !== undefined)
            put('unplaced', emailSeq, account, dayCount, timeMs, modSeq);
        }
        break;
    }
  };

  const skipUids = (uids: number): void => {
    for (const row of many('mailbox', 'ORDER BY id')) {
      const mailbox = mailboxNow(text(row, 'id'));
      if (mailbox !== null) count({ ...mailbox, uidNext: mailbox.uidNext + uids });
    }
  };

  const isSubscribed = (account: string, name: string): boolean =>
    one('subscription', 'account = ? AND name = ?', account, name) !== null;

  const threadKeysOf = (messageSeq: number): string[] => {
    const row = one('message_text', 'seq = ?', messageSeq);
    return row === null ? [] : (JSON.parse(text(row, 'thread_keys')) as string[]);
  };

  /** a message of this group from memory, an older one from its row */
  const messageNow = (
    seq: number,
  ): Batch['messages'] extends Map<number, infer Known> ? Known | null : never => {
    const known = batch.messages.get(seq);
    if (known !== undefined) return known;
    const row = one('message', 'seq = ?', seq);
    if (row === null) return null;
    return { timeMs: number(row, 'time'), sizeBytes: number(row, 'size'), threadKeys: threadKeysOf(seq) };
  };

  const index: MailIndex = {
    appliedSeq: () => mark().applied,
    appliedHash: () => mark().record,
    isPartial: () => mark().partial,
    apply: (events, appliedSeq, appliedHash = null, partial = false) => {
      const marks = mark();
      const { applied, record } = marks;
      db.transaction(() => {
        // What an earlier transaction that failed had counted is void.
        batch = emptyBatch();
        for (const event of events) if (event.seq > applied) applyEvent(event, marks);
        flush();
        put(
          'mark',
          1,
          Math.max(applied, appliedSeq),
          appliedSeq > applied ? appliedHash : record,
          marks.leafTimeMs,
          marks.framesSeq,
          marks.dayCount,
          marks.dayMs,
          marks.clockSeq,
          partial ? 1 : 0,
        );
      });
      db.scrub(events.some(({ type, seq }) => type === 'erased' && seq > applied));
    },
    clear: () =>
      db.transaction(() => {
        for (const table of Object.keys(columns)) db.run(`DELETE FROM ${table}`);
      }),
    mailboxes: (account) => {
      const subscribed = new Set(index.subscriptions(account));
      return many('mailbox', 'WHERE account = ?', account)
        .map((row) => mailboxRow(row, subscribed.has(text(row, 'name'))))
        .sort(byName);
    },
    subscriptions: (account) =>
      many('subscription', 'WHERE account = ? ORDER BY name', account)
        .map((row) => text(row, 'name'))
        .sort(),
    mailbox: (id) => {
      const row = one('mailbox', 'id = ?', id);
      return row === null ? null : mailboxRow(row, isSubscribed(text(row, 'account'), text(row, 'name')));
    },
    mailboxByName: (account, name) => {
      const row = one('mailbox', 'account = ? AND name = ?', account, name);
      return row === null ? null : mailboxRow(row, isSubscribed(text(row, 'account'), text(row, 'name')));
    },
    placements: (mailbox, afterUid, limit) =>
      manyCells(
        'placement',
        'WHERE mailbox = ? AND uid > ? ORDER BY uid LIMIT ?',
        mailboxNumber(mailbox),
        afterUid,
        limit,
      ).map(placementRow),
    placementsByUid: (mailbox, uids) =>
      uids.flatMap((uid) => {
        return manyCells('placement', 'WHERE mailbox = ? AND uid = ?', mailboxNumber(mailbox), uid).map(
          placementRow,
        );
      }),
    changesSince: (mailbox, modSeq) => ({
      changed: manyCells(
        'placement',
        'WHERE mailbox = ? AND modseq > ? ORDER BY uid',
        mailboxNumber(mailbox),
        modSeq,
      ).map(placementRow),
      vanished: many(
        'tombstone',
        'WHERE mailbox = ? AND modseq > ? ORDER BY uid',
        mailboxNumber(mailbox),
        modSeq,
      ).map((row) => number(row, 'uid')),
    }),
    countPlacements: (mailbox) => {
      const row = db.get('SELECT count(*) AS n FROM placement WHERE mailbox = ?', mailboxNumber(mailbox));
      return row === undefined ? 0 : number(row, 'n');
    },
    emails: (seqs) => {
      const found = new Map<number, EmailRow>();
      for (let at = 0; at < seqs.length; at += togetherMax)
        for (const row of emailRows(...inList('seq', seqs.slice(at, at + togetherMax))))
          found.set(row.emailSeq, row);
      return seqs.flatMap((seq) => found.get(seq) ?? []);
    },
    texts: (seqs) => {
      const found = new Map<number, MessageTextsRow>();
      for (let at = 0; at < seqs.length; at += togetherMax) {
        const messageOf = new Map<number, number>();
        for (const row of manyCells('email', ...inList('seq', seqs.slice(at, at + togetherMax))))
          messageOf.set(numberAt(row, inEmail.seq), numberAt(row, inEmail.message));
        const texts = new Map<number, MessageTextsRow>();
        for (const row of manyCells('message_text', ...inList('seq', [...new Set(messageOf.values())])))
          texts.set(numberAt(row, inTexts.seq), messageTexts(row));
        for (const [email, message] of messageOf) {
          const known = texts.get(message);
          if (known !== undefined) found.set(email, known);
        }
      }
      return found;
    },
    threadIds: (seqs) => {
      const found = new Map<number, string>();
      for (let at = 0; at < seqs.length; at += togetherMax)
        for (const row of many('email', ...inList('seq', seqs.slice(at, at + togetherMax))))
          found.set(number(row, 'seq'), text(row, 'thread'));
      return found;
    },
    emailsOfMessage: (messageSeq) => emailRows('WHERE message = ? ORDER BY seq', messageSeq),
    emailSeqs: (afterSeq, limit) =>
      db
        .all('SELECT seq FROM email WHERE seq > ? ORDER BY seq LIMIT ?', afterSeq, limit)
        .map((row) => number(row, 'seq')),
    placementsOf: (emailSeq) =>
      many('placement', 'WHERE email = ? ORDER BY mailbox, uid', emailSeq).map((row) => ({
        mailbox: idOf('m', number(row, 'mailbox')),
        uid: number(row, 'uid'),
      })),
    unplaced: (dayCount, afterEmailSeq, limit) =>
      many(
        'unplaced',
        'WHERE day <= ? AND email > ? ORDER BY email LIMIT ?',
        dayCount,
        afterEmailSeq,
        limit,
      ).map(unplacedRow),
    unplacedOf: (account, afterEmailSeq, limit) =>
      many(
        'unplaced',
        'WHERE account = ? AND email > ? ORDER BY email LIMIT ?',
        account,
        afterEmailSeq,
        limit,
      ).map(unplacedRow),
    unplacedSince: (account, modSeq, emailSeq, limit) =>
      many(
        'unplaced',
        'WHERE account = ? AND (modseq, email) > (?, ?) ORDER BY modseq, email LIMIT ?',
        account,
        modSeq,
        emailSeq,
        limit,
      ).map(unplacedRow),
    tombstones: (mailbox, afterUid, limit) =>
      many(
        'tombstone',
        'WHERE mailbox = ? AND uid > ? ORDER BY uid LIMIT ?',
        mailboxNumber(mailbox),
        afterUid,
        limit,
      ).map(tombstoneRow),
    changedUids: (mailbox, what, modSeq, uid, limit) =>
      db
        .all(
          `SELECT uid, modseq FROM ${what} WHERE mailbox = ? AND (modseq, uid) > (?, ?) ORDER BY modseq, uid LIMIT ?`,
          mailboxNumber(mailbox),
          modSeq,
          uid,
          limit,
        )
        .map(tombstoneRow),
    snapshotFrames: (account) =>
      many('snapshot', 'WHERE account = ? ORDER BY mailbox, page', account).map((row) => ({
        account,
        mailbox: number(row, 'mailbox') === 0 ? '' : idOf('m', number(row, 'mailbox')),
        page: number(row, 'page'),
        seq: number(row, 'seq'),
        base: number(row, 'base'),
        commitment: text(row, 'commitment'),
        at: addressOf(row),
      })),
    messageById: (id) => {
      const [row] = manyCells('message', 'WHERE id = ?', id);
      return row === undefined ? null : messageRow(row);
    },
    message: (seq) => {
      const [row] = manyCells('message', 'WHERE seq = ?', seq);
      return row === undefined ? null : messageRow(row);
    },
    messages: (afterSeq, limit) =>
      manyCells('message', 'WHERE seq > ? ORDER BY seq LIMIT ?', afterSeq, limit).map(messageRow),
    accounts: () => many('account', 'ORDER BY id').map((row) => text(row, 'id')),
    accountCounters: (id) => {
      const { key: _, ...counters } = accountRow(id);
      return counters;
    },
    accountKey: (id) => accountRow(id).key,
    marks: () => {
      const { applied: _, record: __, partial: ___, ...marks } = mark();
      return marks;
    },
    findThread: (account, keys) => {
      for (const key of keys) {
        const row = one('thread', 'account = ? AND key = ? ORDER BY email LIMIT 1', account, key);
        if (row !== null) return text(row, 'thread');
      }
      return null;
    },
    hasKeptMailOf: (account, domain, beforeMs) => {
      const forgettable = many('mailbox', 'WHERE account = ?', account).flatMap((row) =>
        isForgettable(row['role'] === null ? null : text(row, 'role'))
          ? [mailboxNumber(text(row, 'id'))]
          : [],
      );
      const first = reversedDomain(domain);
      const rows = db.all(
        keptSql,
        account,
        first,
        `${first.slice(0, -1)}/`,
        keptMailMax,
        beforeMs,
        JSON.stringify(forgettable),
      );
      // What decides is read again as whole rows, which are checked.
      return rows.some((row) => {
        const email = one('email', 'seq = ?', number(row, 'email'));
        const placed = one(
          'placement',
          'mailbox = ? AND uid = ?',
          number(row, 'mailbox'),
          number(row, 'uid'),
        );
        return email !== null && placed !== null && isKept(number(placed, 'flags'));
      });
    },
    dump: () => dumpIndex(index),
    close: () => db.close(),
  };

  const emailRows = (rest: string, ...cells: Cell[]): EmailRow[] => {
    const rows = manyCells('email', rest, ...cells);
    const messages = new Map<number, Cell[]>();
    const wanted = [...new Set(rows.map((row) => numberAt(row, inEmail.message)))];
    for (let at = 0; at < wanted.length; at += togetherMax)
      for (const row of manyCells('message', ...inList('seq', wanted.slice(at, at + togetherMax))))
        messages.set(numberAt(row, inMessage.seq), row);
    return rows.flatMap((row) => {
      const message = messages.get(numberAt(row, inEmail.message));
      return message === undefined ? [] : emailRow(row, message);
    });
  };

  return index;
};

const emailRow = (row: readonly Cell[], message: readonly Cell[]): EmailRow => ({
  emailSeq: numberAt(row, inEmail.seq),
  account: textAt(row, inEmail.account),
  emailId: idOf('e', numberAt(row, inEmail.seq)),
  threadId: textAt(row, inEmail.thread),
  address: textAt(row, inEmail.address),
  prefix: octetsAt(row, inEmail.prefix),
  dateMs: numberAt(row, inEmail.date),
  at: {
    segment: numberAt(row, inEmail.segment),
    offset: numberAt(row, inEmail.offset),
    lengthBytes: numberAt(row, inEmail.length_bytes),
  },
  key: { epoch: numberAt(row, inEmail.key_epoch), slot: numberAt(row, inEmail.key_slot) },
  message: messageRow(message),
  structure: octetsAt(message, inMessage.structure),
});

/** `isKept` in SQL; the first that is found is enough */
const keptSql = `SELECT e.seq AS email, p.mailbox AS mailbox, p.uid AS uid FROM
  (SELECT seq, date FROM email WHERE account = ? AND author >= ? AND author < ? ORDER BY author DESC, seq DESC LIMIT ?) e
  CROSS JOIN placement p ON p.email = e.seq
  WHERE e.date < ? AND p.flags & ${flagBits(['\\Seen', '\\Deleted']).bits} = ${flagBits(['\\Seen']).bits}
    AND p.mailbox NOT IN (SELECT value FROM json_each(?)) LIMIT 1`;

/** rows that one statement asks for */
const togetherMax = 64;

/** The condition that a number is one of these; a list has one of two lengths, so that two statements are prepared. */
const inList = (column: string, values: readonly number[]): [rest: string, ...cells: Cell[]] => {
  if (values.length <= 1) return [`WHERE ${column} = ?`, values[0] ?? null];
  const cells: Cell[] = [...values];
  while (cells.length < togetherMax) cells.push(null);
  return [`WHERE ${column} IN (${'?, '.repeat(togetherMax - 1)}?)`, ...cells];
};

const mailboxNumber = (id: string): number => seqOf(id) ?? 0;

const byName = (a: MailboxRow, b: MailboxRow): number => (a.name < b.name ? -1 : 1);

const addressOf = (row: Row): MessageRow['at'] => ({
  segment: number(row, 'segment'),
  offset: number(row, 'offset'),
  lengthBytes: number(row, 'length_bytes'),
});

const mailboxRow = (row: Row, subscribed: boolean): MailboxRow => ({ ...countedMailbox(row), subscribed });

const countedMailbox = (row: Row): CountedMailbox => ({
  id: text(row, 'id'),
  account: text(row, 'account'),
  name: text(row, 'name'),
  role: row['role'] === null ? null : text(row, 'role'),
  uidValidity: number(row, 'uid_validity'),
  uidNext: number(row, 'uid_next'),
  highestModSeq: number(row, 'modseq'),
  recentBelow: number(row, 'recent_below'),
  keywords: JSON.parse(text(row, 'keywords')) as string[],
});

const placementRow = (row: readonly Cell[]): PlacementRow => {
  const keywords = textAt(row, inPlacement.keywords);
  return {
    uid: numberAt(row, inPlacement.uid),
    emailSeq: numberAt(row, inPlacement.email),
    flags: numberAt(row, inPlacement.flags),
    keywords: keywords === '' ? noKeywords : keywords.split(',').map(Number),
    modSeq: numberAt(row, inPlacement.modseq),
    dateMs: numberAt(row, inPlacement.date),
    savedMs: numberAt(row, inPlacement.saved),
    uidl: textAt(row, inPlacement.uidl),
    sizeBytes: numberAt(row, inPlacement.size),
  };
};

const noKeywords: readonly number[] = [];

const tombstoneRow = (row: Row): Tombstone => ({ uid: number(row, 'uid'), modSeq: number(row, 'modseq') });

const unplacedRow = (row: Row): UnplacedRow => ({
  emailSeq: number(row, 'email'),
  account: text(row, 'account'),
  dayCount: number(row, 'day'),
  timeMs: number(row, 'time'),
  modSeq: number(row, 'modseq'),
});

const messageTexts = (row: readonly Cell[]): MessageTextsRow => ({
  envelope: octetsAt(row, inTexts.envelope),
  bodyStructure: octetsAt(row, inTexts.body_structure),
  body: octetsAt(row, inTexts.body),
  preview: textAt(row, inTexts.preview),
});

const messageRow = (row: readonly Cell[]): MessageRow => ({
  seq: numberAt(row, inMessage.seq),
  id: textAt(row, inMessage.id),
  kind: textAt(row, inMessage.kind) as MessageRow['kind'],
  timeMs: numberAt(row, inMessage.time),
  leafIndex: numberAt(row, inMessage.leaf),
  sha256Hex: textAt(row, inMessage.sha256),
  sizeBytes: numberAt(row, inMessage.size),
  at: {
    segment: numberAt(row, inMessage.segment),
    offset: numberAt(row, inMessage.offset),
    lengthBytes: numberAt(row, inMessage.length_bytes),
  },
  key: { epoch: numberAt(row, inMessage.key_epoch), slot: numberAt(row, inMessage.key_slot) },
});
