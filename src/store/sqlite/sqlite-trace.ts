import { canonicalJson, type JsonObject, parseCanonicalJson } from '#base/canonical-json';
import { FengniError } from '#base/errors';
import type { KeyRef } from '#store/index';
import {
  type KeyRange,
  pathKey,
  peerKey,
  searchKey,
  type TraceCriterion,
  type TraceEvent,
  type TraceKind,
  type TraceQuery,
  type TraceRecipient,
  type TraceStage,
  type TraceStore,
  type TraceTally,
  type TraceTerm,
} from '#store/trace';
import { type Cell, checkRow, number, openDatabase, type Row, rowSum, text } from './database.ts';

/** The newest layout of `trace.db` and `attempts.db`; not that of the projections, which are made again when it changes. */
const traceLayout = 1;

/** Columns in the order in which a row's checksum takes them; `sum` follows. */
const columns = {
  mark: ['one', 'applied', 'next'],
  event: [
    'seq',
    'time',
    'id',
    'sha256',
    'from_key',
    'author_key',
    'message_id',
    'peer',
    'session',
    'code',
    'enhanced',
    'reason',
    'slot',
    'day',
    'detail',
  ],
  recipient: ['event', 'at', 'key', 'account', 'time', 'email', 'slot', 'address'],
  tally: ['day', 'network', 'reason', 'code', 'enhanced', 'count', 'first', 'last', 'day_count'],
} as const;

type Table = keyof typeof columns;

// Every index ends with the time: what is found by it is in order, newest first, and a span of time is a part of it.
const schema = `
  CREATE TABLE mark (one INTEGER PRIMARY KEY, applied INTEGER, next INTEGER, sum BLOB);
  CREATE TABLE event (seq INTEGER PRIMARY KEY, time INTEGER, id TEXT, sha256 TEXT, from_key TEXT, author_key TEXT, message_id TEXT,
    peer TEXT, session TEXT, code INTEGER, enhanced TEXT, reason TEXT, slot INTEGER, day INTEGER, detail TEXT, sum BLOB);
  CREATE INDEX event_time ON event (time);
  CREATE INDEX event_id ON event (id, time) WHERE id IS NOT NULL;
  CREATE INDEX event_sha256 ON event (sha256, time) WHERE sha256 IS NOT NULL;
  CREATE INDEX event_from ON event (from_key, time) WHERE from_key IS NOT NULL;
  CREATE INDEX event_author ON event (author_key, time) WHERE author_key IS NOT NULL;
  CREATE INDEX event_message_id ON event (message_id, time) WHERE message_id IS NOT NULL;
  CREATE INDEX event_peer ON event (peer, time) WHERE peer IS NOT NULL;
  CREATE INDEX event_session ON event (session, time) WHERE session IS NOT NULL;
  CREATE TABLE recipient (event INTEGER, at INTEGER, key TEXT, account TEXT, time INTEGER, email INTEGER, slot INTEGER, address TEXT,
    sum BLOB, PRIMARY KEY (event, at)) WITHOUT ROWID;
  CREATE INDEX recipient_key ON recipient (key, time);
  CREATE INDEX recipient_account ON recipient (account, time) WHERE account IS NOT NULL;
  CREATE INDEX recipient_slot ON recipient (slot) WHERE slot IS NOT NULL;
  CREATE TABLE tally (day INTEGER, network TEXT, reason TEXT, code INTEGER, enhanced TEXT, count INTEGER, first INTEGER, last INTEGER,
    day_count INTEGER, sum BLOB, PRIMARY KEY (day, network, reason, code, enhanced)) WITHOUT ROWID`;

const insertSql = Object.fromEntries(
  Object.entries(columns).map(([table, names]) => [
    table,
    `INSERT OR REPLACE INTO ${table} (${names.join(', ')}, sum) VALUES (${'?, '.repeat(names.length)}?)`,
  ]),
) as Record<Table, string>;

/**
 * Rows that are counted before one way to search is said to be no worse than another. A range of keys with as many is not sorted: going
 * back in time meets enough of them soon.
 */
const weighedMax = 20_000;
/** Keys are all over their indices: each of a few hundred messages has pages of its own, and many of them share a sync. */
const checkpointPages = 8_000;
/** recipients of an event that a search reads */
const recipientsMax = 2_000;
const latestMs = Number.MAX_SAFE_INTEGER;
/** slots of one epoch; both numbers fit one of 53 bits */
const slotsMax = 2 ** 32;
const idsTogether = 64;

interface Sql {
  readonly where: string;
  readonly cells: readonly Cell[];
}

/** The `TraceStore` in a file. @throws {FengniError} `projection-unusable` */
export const openSqliteTrace = (
  file: string,
  options: { readOnly: boolean /** for tests */; wideRows?: number },
): TraceStore => {
  const wideRows = options.wideRows ?? weighedMax;
  const db = openDatabase(file, { ...options, schema, layout: traceLayout, checkpointPages });

  const put = (table: Table, ...cells: Cell[]): void => db.run(insertSql[table], ...cells, rowSum(cells));
  const checked = (table: Table, row: Row): Row => {
    const cells = columns[table].map((name) => row[name] ?? null);
    checkRow(() => `${file}: ${table} ${cells.slice(0, 2).join(' ')}`, cells, row['sum']);
    return row;
  };

  const mark = (): { applied: number; next: number } => {
    const row = db.get('SELECT * FROM mark WHERE one = 1');
    if (row === undefined) return { applied: 0, next: 1 };
    checked('mark', row);
    return { applied: number(row, 'applied'), next: number(row, 'next') };
  };

  const putRecipient = (event: number, at: number, timeMs: number, recipient: TraceRecipient): void =>
    put(
      'recipient',
      event,
      at,
      searchKey(recipient.address),
      recipient.account,
      timeMs,
      recipient.emailSeq,
      slotCell(recipient.key),
      recipient.address,
    );

  const putEvent = (event: TraceEvent): void => {
    const { refusal } = event;
    put(
      'event',
      event.seq,
      event.timeMs,
      event.id,
      event.sha256Hex,
      event.mailFrom === null ? null : pathKey(event.mailFrom),
      event.author === null ? null : searchKey(event.author),
      event.messageId,
      peerKey(event.peer),
      refusal?.session ?? null,
      refusal?.code ?? null,
      refusal?.enhanced ?? null,
      refusal?.reason ?? null,
      slotCell(event.key),
      refusal?.dayCount ?? null,
      detailOf(event),
    );
    for (const [at, recipient] of event.recipients.entries())
      putRecipient(event.seq, at, event.timeMs, recipient);
  };

  const eventOf = (row: Row): TraceEvent => {
    checked('event', row);
    const seq = number(row, 'seq');
    const recipients = db
      .all('SELECT * FROM recipient WHERE event = ? ORDER BY at LIMIT ?', seq, recipientsMax)
      .map((each) => checked('recipient', each))
      .map((each) => ({
        address: text(each, 'address'),
        account: nullableText(each, 'account'),
        emailSeq: each['email'] === null ? null : number(each, 'email'),
        key: keyOf(each['slot'] ?? null),
      }));
    return readEvent(row, recipients);
  };

  const eventsOf = (seqs: readonly number[]): TraceEvent[] => {
    const found = new Map<number, TraceEvent>();
    for (let at = 0; at < seqs.length; at += idsTogether) {
      const some: Cell[] = seqs.slice(at, at + idsTogether);
      while (some.length < idsTogether) some.push(null);
      for (const row of db.all(
        `SELECT * FROM event WHERE seq IN (${'?, '.repeat(idsTogether - 1)}?)`,
        ...some,
      ))
        found.set(number(row, 'seq'), eventOf(row));
    }
    return seqs.flatMap((seq) => found.get(seq) ?? []);
  };

  /** statements of a search: one for each way in which the term that finds least is met */
  const statements = (query: TraceQuery, limit: number): { sql: string; cells: Cell[] }[] => {
    const sinceMs = query.sinceMs ?? 0;
    const untilMs = query.untilMs ?? latestMs;
    const weighed = query.terms.map((term) => {
      const rows = term.map((way) => weight(way, sinceMs, untilMs));
      return {
        term,
        rows: rows.reduce((sum, each) => sum + each, 0),
        isWide: term.some((way, at) => (rows[at] ?? 0) >= wideRows && isRange(way)),
      };
    });
    const least = weighed.reduce<(typeof weighed)[number] | null>(
      (best, each) => (best === null || each.rows < best.rows ? each : best),
      null,
    );
    const best = least?.isWide === true ? null : least;
    const others = query.terms.filter((term) => term !== best?.term).map(filterOf);
    const filters = [...others, ...codeFilters(query)];
    const where = filters.map((filter) => ` AND (${filter.where})`).join('');
    const cells = filters.flatMap((filter) => filter.cells);
    if (best === null)
      return [
        {
          sql: `SELECT e.seq AS seq, e.time AS time FROM event e INDEXED BY event_time
            WHERE e.time >= ? AND e.time < ?${where} ORDER BY e.time DESC, e.seq DESC LIMIT ?`,
          cells: [sinceMs, untilMs, ...cells, limit],
        },
      ];
    return best.term.map((way) => {
      const found = foundBy(way);
      const sql = found.ofRecipient
        ? `SELECT DISTINCT r.event AS seq, r.time AS time FROM recipient r INDEXED BY ${found.index}
            ${filters.length === 0 ? '' : 'CROSS JOIN event e ON e.seq = r.event'}
            WHERE ${found.where('r')} AND r.time >= ? AND r.time < ?${where} ORDER BY r.time DESC, r.event DESC LIMIT ?`
        : `SELECT e.seq AS seq, e.time AS time FROM event e INDEXED BY ${found.index}
            WHERE ${found.where('e')} AND e.time >= ? AND e.time < ?${where} ORDER BY e.time DESC, e.seq DESC LIMIT ?`;
      return { sql, cells: [...found.cells, sinceMs, untilMs, ...cells, limit] };
    });
  };

  /** how many rows a way to search would read, up to a bound */
  const weight = (way: TraceCriterion, sinceMs: number, untilMs: number): number => {
    const found = foundBy(way);
    const table = found.ofRecipient ? 'recipient' : 'event';
    const row = db.get(
      `SELECT count(*) AS n FROM (SELECT 1 FROM ${table} t INDEXED BY ${found.index}
        WHERE ${found.where('t')} AND t.time >= ? AND t.time < ? LIMIT ${wideRows})`,
      ...found.cells,
      sinceMs,
      untilMs,
    );
    return row === undefined ? 0 : number(row, 'n');
  };

  const raiseMark = (applied: number, next: number): void => put('mark', 1, applied, next);

  const removeEvent = (seq: number): void => {
    db.run('DELETE FROM recipient WHERE event = ?', seq);
    db.run('DELETE FROM event WHERE seq = ?', seq);
  };

  const removeCopies = (rows: readonly Row[]): void => {
    for (const row of rows) {
      const event = number(row, 'event');
      db.run('DELETE FROM recipient WHERE event = ? AND at = ?', event, number(row, 'at'));
      // A message's own key goes with its last copy.
      if (db.get('SELECT 1 AS one FROM recipient WHERE event = ? LIMIT 1', event) === undefined)
        db.run('DELETE FROM event WHERE seq = ?', event);
    }
  };

  const tallyOf = (row: Row): TraceTally => {
    checked('tally', row);
    return {
      day: number(row, 'day'),
      network: text(row, 'network'),
      reason: text(row, 'reason'),
      code: number(row, 'code'),
      enhanced: text(row, 'enhanced'),
      count: number(row, 'count'),
      firstMs: number(row, 'first'),
      lastMs: number(row, 'last'),
      dayCount: number(row, 'day_count'),
    };
  };

  return {
    appliedSeq: () => mark().applied,
    nextSeq: () => mark().next,
    put: (events, copies, appliedSeq) =>
      db.transaction(() => {
        let { applied, next } = mark();
        const newest = Number(db.get('SELECT max(seq) AS seq FROM event')?.['seq'] ?? 0);
        /** messages that this call brought: their time, and the place of their next copy */
        const fresh = new Map<number, { timeMs: number; at: number }>();
        for (const event of events) {
          // What is newer than all that is there is new.
          const before =
            event.seq > newest ? undefined : db.get('SELECT id FROM event WHERE seq = ?', event.seq);
          // A message that is there keeps the copies that it has.
          if (event.kind !== 'refused' && before?.['id'] === event.id) continue;
          if (before !== undefined) db.run('DELETE FROM recipient WHERE event = ?', event.seq);
          putEvent(event);
          fresh.set(event.seq, { timeMs: event.timeMs, at: event.recipients.length });
          if (event.kind === 'refused') next = Math.max(next, event.seq + 1);
        }
        for (const { messageSeq, recipient } of copies) {
          const brought = fresh.get(messageSeq);
          if (brought !== undefined) {
            putRecipient(messageSeq, brought.at, brought.timeMs, recipient);
            brought.at += 1;
            continue;
          }
          const row = db.get('SELECT time FROM event WHERE seq = ?', messageSeq);
          if (row === undefined) continue;
          const isThere = db.get(
            'SELECT 1 AS one FROM recipient WHERE event = ? AND email = ? LIMIT 1',
            messageSeq,
            recipient.emailSeq,
          );
          if (isThere !== undefined) continue;
          const last = db.get('SELECT max(at) AS at FROM recipient WHERE event = ?', messageSeq)?.['at'];
          putRecipient(messageSeq, typeof last === 'number' ? last + 1 : 0, number(row, 'time'), recipient);
        }
        applied = Math.max(applied, appliedSeq);
        raiseMark(applied, next);
      }),
    erase: (keys) => {
      db.transaction(() => {
        for (const key of keys) {
          const cell = slotCell(key);
          // A message's own key is destroyed with that of its last copy.
          removeCopies(db.all('SELECT event, at FROM recipient WHERE slot = ?', cell));
        }
      });
      db.scrub(keys.length > 0);
    },
    page: (afterSeq, limit) =>
      db.all('SELECT seq, id FROM event WHERE seq > ? ORDER BY seq LIMIT ?', afterSeq, limit).map((row) => ({
        seq: number(row, 'seq'),
        id: nullableText(row, 'id'),
        emailSeqs: db
          .all('SELECT email FROM recipient WHERE event = ? AND email IS NOT NULL', number(row, 'seq'))
          .map((copy) => number(copy, 'email')),
      })),
    remove: (seqs, copies) => {
      db.transaction(() => {
        for (const seq of seqs) removeEvent(seq);
        for (const { messageSeq, emailSeq } of copies)
          removeCopies(
            db.all('SELECT event, at FROM recipient WHERE event = ? AND email = ?', messageSeq, emailSeq),
          );
      });
      db.scrub(seqs.length + copies.length > 0);
    },
    clear: () => {
      db.transaction(() => {
        for (const table of Object.keys(columns)) db.run(`DELETE FROM ${table}`);
      });
      db.scrub(true);
    },
    count: (tallies) =>
      db.transaction(() => {
        for (const tally of tallies) {
          const { day, network, reason, code, enhanced } = tally;
          const row = db.get(
            'SELECT * FROM tally WHERE day = ? AND network = ? AND reason = ? AND code = ? AND enhanced = ?',
            day,
            network,
            reason,
            code,
            enhanced,
          );
          const before = row === undefined ? null : tallyOf(row);
          put(
            'tally',
            day,
            network,
            reason,
            code,
            enhanced,
            tally.count + (before?.count ?? 0),
            Math.min(tally.firstMs, before?.firstMs ?? latestMs),
            Math.max(tally.lastMs, before?.lastMs ?? 0),
            Math.max(tally.dayCount, before?.dayCount ?? 0),
          );
        }
      }),
    keptSince: (timeMs) =>
      db
        .all(
          `SELECT e.peer AS peer, length(CAST(e.detail AS BLOB)) +
             (SELECT coalesce(sum(length(CAST(r.address AS BLOB))), 0) FROM recipient r WHERE r.event = e.seq) AS bytes
           FROM event e INDEXED BY event_time WHERE e.time >= ?`,
          timeMs,
        )
        .map((row) => ({ peer: nullableText(row, 'peer') ?? '', bytes: number(row, 'bytes') })),
    talliesOf: (day) => {
      const row = db.get('SELECT count(*) AS n FROM tally WHERE day = ?', day);
      return row === undefined ? 0 : number(row, 'n');
    },
    prune: (beforeMs, dayCount, limit) => {
      let gone = 0;
      db.transaction(() => {
        const old = db.all(
          'SELECT seq FROM event INDEXED BY event_time WHERE time < ? AND day <= ? ORDER BY time LIMIT ?',
          beforeMs,
          dayCount,
          limit,
        );
        for (const row of old) removeEvent(number(row, 'seq'));
        db.run('DELETE FROM tally WHERE last < ? AND day_count <= ?', beforeMs, dayCount);
        gone = old.length;
      });
      db.scrub(gone > 0);
      return gone;
    },
    forget: (ranges) => {
      const changed = new Set<number>();
      db.transaction(() => {
        for (const range of ranges) {
          const { where, cells } = inRange('key', range);
          for (const row of db.all(`SELECT event, at FROM recipient WHERE ${where}`, ...cells)) {
            db.run(
              'DELETE FROM recipient WHERE event = ? AND at = ?',
              number(row, 'event'),
              number(row, 'at'),
            );
            changed.add(number(row, 'event'));
          }
          for (const [column, field] of [
            ['from_key', 'mailFrom'],
            ['author_key', 'author'],
          ] as const) {
            const { where, cells } = inRange(column, range);
            for (const row of db.all(`SELECT * FROM event WHERE ${where}`, ...cells)) {
              const event = eventOf(row);
              db.run('DELETE FROM recipient WHERE event = ?', event.seq);
              putEvent({ ...event, [field]: null });
              changed.add(number(row, 'seq'));
            }
          }
        }
      });
      db.scrub(changed.size > 0);
      return changed.size;
    },
    events: eventsOf,
    search: (query, limit) => {
      const found = new Map<number, number>();
      for (const { sql, cells } of statements(query, limit))
        for (const row of db.all(sql, ...cells)) found.set(number(row, 'seq'), number(row, 'time'));
      const newest = [...found].sort(
        ([leftSeq, left], [rightSeq, right]) => right - left || rightSeq - leftSeq,
      );
      return eventsOf(newest.slice(0, limit).map(([seq]) => seq));
    },
    explain: (query) =>
      statements(query, 100).flatMap(({ sql, cells }) =>
        db.all(`EXPLAIN QUERY PLAN ${sql}`, ...cells).map((row) => text(row, 'detail')),
      ),
    tallies: ({ sinceMs, untilMs, network }, limit) => {
      const dayOf = (timeMs: number): number => Math.floor(timeMs / dayMs);
      return db
        .all(
          `SELECT * FROM tally WHERE day >= ? AND day <= ?${network === null ? '' : ' AND network = ?'} ORDER BY day DESC, count DESC LIMIT ?`,
          sinceMs === null ? 0 : dayOf(sinceMs),
          untilMs === null ? latestMs : dayOf(untilMs - 1),
          ...(network === null ? [] : [network]),
          limit,
        )
        .map(tallyOf);
    },
    faults: (limit) => {
      const found: { row: boolean; what: string }[] = [];
      for (const row of db.all(`PRAGMA integrity_check(${limit})`)) {
        const line = text(row, 'integrity_check');
        if (line !== 'ok') found.push({ row: false, what: line });
      }
      for (const table of Object.keys(columns) as Table[]) {
        const order = table === 'event' ? 'seq' : table === 'recipient' ? 'event, at' : null;
        for (let after: readonly number[] = [-1, -1]; found.length < limit; ) {
          const rows =
            order === null
              ? db.all(`SELECT * FROM ${table}`)
              : table === 'event'
                ? db.all('SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT 1000', after[0] ?? -1)
                : db.all(
                    'SELECT * FROM recipient WHERE (event, at) > (?, ?) ORDER BY event, at LIMIT 1000',
                    after[0] ?? -1,
                    after[1] ?? -1,
                  );
          for (const row of rows) {
            try {
              checked(table, row);
            } catch (error) {
              if (!(error instanceof FengniError)) throw error;
              const cells = columns[table].slice(0, 2).map((name) => row[name]);
              found.push({ row: true, what: `${table} ${cells.join(' ')}` });
            }
          }
          const last = rows.at(-1);
          if (order === null || last === undefined) break;
          after = table === 'event' ? [Number(last['seq'])] : [Number(last['event']), Number(last['at'])];
        }
      }
      return found.slice(0, limit);
    },
    close: () => db.close(),
  };
};

const dayMs = 86_400_000;

const slotCell = (key: KeyRef | null): number | null =>
  key === null ? null : key.epoch * slotsMax + key.slot;

const keyOf = (cell: Cell): KeyRef | null =>
  typeof cell === 'number' ? { epoch: Math.floor(cell / slotsMax), slot: cell % slotsMax } : null;

const nullableText = (row: Row, name: string): string | null => (row[name] === null ? null : text(row, name));

/** What nobody searches by. */
const detailOf = (event: TraceEvent): string =>
  canonicalJson({
    kind: event.kind,
    size: event.sizeBytes,
    from: event.mailFrom,
    author: event.author,
    peer: event.peer,
    port: event.port,
    reverse: event.reverse,
    helo: event.helo,
    protocol: event.protocol,
    tls: event.tls,
    recipients: event.recipientCount,
    stage: event.refusal?.stage ?? null,
    text: event.refusal?.text ?? null,
  });

const readEvent = (row: Row, recipients: readonly TraceRecipient[]): TraceEvent => {
  const detail = parseCanonicalJson(text(row, 'detail')) as JsonObject;
  const word = (name: string): string | null => {
    const value = detail[name];
    return typeof value === 'string' ? value : null;
  };
  const count = (name: string): number => (typeof detail[name] === 'number' ? detail[name] : 0);
  const code = row['code'] ?? null;
  return {
    seq: number(row, 'seq'),
    timeMs: number(row, 'time'),
    kind: word('kind') as TraceKind,
    id: nullableText(row, 'id'),
    sha256Hex: nullableText(row, 'sha256'),
    sizeBytes: typeof detail['size'] === 'number' ? detail['size'] : null,
    mailFrom: word('from'),
    author: word('author'),
    messageId: nullableText(row, 'message_id'),
    peer: word('peer') ?? '',
    port: count('port'),
    reverse: word('reverse'),
    helo: word('helo'),
    protocol: word('protocol') ?? '',
    tls: word('tls'),
    recipients,
    recipientCount: count('recipients'),
    key: keyOf(row['slot'] ?? null),
    refusal:
      code === null
        ? null
        : {
            stage: word('stage') as TraceStage,
            code: number(row, 'code'),
            enhanced: text(row, 'enhanced'),
            text: word('text') ?? '',
            reason: text(row, 'reason'),
            session: text(row, 'session'),
            dayCount: number(row, 'day'),
          },
  };
};

const inRange = (column: string, { from, below }: KeyRange): { where: string; cells: Cell[] } =>
  below === null
    ? { where: `${column} = ?`, cells: [from] }
    : { where: `${column} >= ? AND ${column} < ?`, cells: [from, below] };

/** Text that begins so: hexadecimal digits and base32 end before `{`. */
const inPrefix = (column: string, prefix: string): { where: string; cells: Cell[] } => ({
  where: `${column} >= ? AND ${column} < ?`,
  cells: [prefix, `${prefix}{`],
});

/** Whether it is met by several keys, whose rows are not in the order of time. */
const isRange = (way: TraceCriterion): boolean =>
  'range' in way ? way.range.below !== null : way.field === 'peer' ? way.first !== way.last : 'prefix' in way;

/** The index by which a criterion is met, and the condition on its table. */
const foundBy = (
  way: TraceCriterion,
): { index: string; ofRecipient: boolean; where(table: string): string; cells: Cell[] } => {
  const of = (
    index: string,
    condition: (column: string) => { where: string; cells: Cell[] },
    column: string,
    ofRecipient = false,
  ) => ({
    index,
    ofRecipient,
    where: (table: string) => condition(`${table}.${column}`).where,
    cells: condition(column).cells,
  });
  const equal =
    (value: string) =>
    (column: string): { where: string; cells: Cell[] } => ({ where: `${column} = ?`, cells: [value] });
  switch (way.field) {
    case 'from':
      return of('event_from', (column) => inRange(column, way.range), 'from_key');
    case 'author':
      return of('event_author', (column) => inRange(column, way.range), 'author_key');
    case 'to':
      return of('recipient_key', (column) => inRange(column, way.range), 'key', true);
    case 'account':
      return of('recipient_account', equal(way.value), 'account', true);
    case 'messageId':
      return of('event_message_id', equal(way.value), 'message_id');
    case 'session':
      return of('event_session', equal(way.value), 'session');
    case 'id':
      return of('event_id', (column) => inPrefix(column, way.prefix), 'id');
    case 'sha256':
      return of('event_sha256', (column) => inPrefix(column, way.prefix), 'sha256');
    case 'peer':
      return of(
        'event_peer',
        way.first === way.last
          ? equal(way.first)
          : (column) => ({ where: `${column} >= ? AND ${column} <= ?`, cells: [way.first, way.last] }),
        'peer',
      );
  }
};

/** A term as a condition on rows that another one found. */
const filterOf = (term: TraceTerm): Sql => {
  const ways = term.map((way) => {
    const found = foundBy(way);
    return found.ofRecipient
      ? {
          // By its event, whose recipients lie together; the unary + keeps the database from going by the key.
          where: `EXISTS (SELECT 1 FROM recipient x WHERE x.event = e.seq AND ${found.where('x').replaceAll('x.', '+x.')})`,
          cells: found.cells,
        }
      : { where: found.where('e').replaceAll('e.', '+e.'), cells: found.cells };
  });
  return {
    where: ways.length === 0 ? '0' : ways.map(({ where }) => `(${where})`).join(' OR '),
    cells: ways.flatMap(({ cells }) => cells),
  };
};

/** What is looked at in each row that was found. */
const codeFilters = ({ code, reason }: TraceQuery): Sql[] => {
  const filters: Sql[] = [];
  if (reason !== null) filters.push({ where: '+e.reason = ?', cells: [reason] });
  if (code === null) return filters;
  if (code.includes('.')) filters.push({ where: '+e.enhanced = ?', cells: [code] });
  else if (code.length === 3) filters.push({ where: '+e.code = ?', cells: [Number(code)] });
  else
    filters.push({
      where: '+e.code >= ? AND +e.code < ?',
      cells: [Number(code) * 100, (Number(code) + 1) * 100],
    });
  return filters;
};
