import {
  applyFlags,
  type DeliverEvent,
  dumpIndex,
  type EmailRow,
  flagBits,
  isForgettable,
  isKept,
  type KeyRef,
  keptMailMax,
  type LogEvent,
  type LogMarks,
  type MailboxRow,
  type MailIndex,
  type MessageEvent,
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
  type UnplacedRow,
  vouchedAuthor,
} from '#store/index';

interface Mailbox extends Omit<MailboxRow, 'keywords' | 'subscribed'> {
  keywords: string[];
  placements: Map<number, PlacementRow>;
  /** UID → MODSEQ of its expunge */
  tombstones: Map<number, number>;
}

interface Account {
  modSeq: number;
  uidValidity: number;
  key: KeyRef | null;
  /** STATE frames since the last snapshot */
  changes: number;
  /** newest SNAP frames, by mailbox and page */
  snapshots: Map<string, SnapshotFrame>;
  /** thread key → thread of each email that has it, by `seq` of the email */
  threads: Map<string, Map<number, string>>;
  subscriptions: Set<string>;
}

interface State {
  applied: number;
  appliedHash: Uint8Array | null;
  partial: boolean;
  messages: Map<number, MessageEvent>;
  messageIds: Map<string, number>;
  emails: Map<number, DeliverEvent>;
  unplaced: Map<number, UnplacedRow>;
  mailboxes: Map<string, Mailbox>;
  accounts: Map<string, Account>;
  marks: LogMarks;
}

const empty = (): State => ({
  applied: 0,
  appliedHash: null,
  partial: false,
  messages: new Map(),
  messageIds: new Map(),
  emails: new Map(),
  unplaced: new Map(),
  mailboxes: new Map(),
  accounts: new Map(),
  marks: { leafTimeMs: 0, framesSeq: 0, dayCount: 0, dayMs: 0, clockSeq: 0 },
});

/** A `MailIndex` that lives as long as the process. */
export const createMemoryIndex = (): MailIndex => {
  let state = empty();

  const account = (id: string): Account => {
    const known = state.accounts.get(id);
    if (known !== undefined) return known;
    const fresh: Account = {
      modSeq: 0,
      uidValidity: 0,
      key: null,
      changes: 0,
      snapshots: new Map(),
      threads: new Map(),
      subscriptions: new Set(),
    };
    state.accounts.set(id, fresh);
    return fresh;
  };

  const mailboxRow = (mailbox: Mailbox): MailboxRow => {
    const { placements: _, tombstones: __, ...row } = mailbox;
    const subscribed = state.accounts.get(row.account)?.subscriptions.has(row.name) ?? false;
    return { ...row, subscribed, keywords: [...row.keywords] };
  };

  const messageRow = (message: MessageEvent): MessageRow => {
    const { type: _, parsed: __, ...row } = message;
    return row;
  };

  const emailRow = (email: DeliverEvent): EmailRow[] => {
    const message = state.messages.get(email.messageSeq);
    if (message === undefined) return [];
    return [
      {
        emailSeq: email.seq,
        account: email.account,
        emailId: email.emailId,
        threadId: email.threadId,
        address: email.address,
        prefix: email.prefix,
        dateMs: email.dateMs,
        at: email.at,
        key: email.key,
        message: messageRow(message),
        structure: message.parsed.structure,
      },
    ];
  };

  const keywordPositions = (mailbox: Mailbox, keywords: readonly string[]): number[] =>
    keywords
      .map((keyword) => {
        const known = mailbox.keywords.findIndex((each) => each.toLowerCase() === keyword.toLowerCase());
        return known >= 0 ? known : mailbox.keywords.push(keyword) - 1;
      })
      .sort((a, b) => a - b);

  const place = (
    mailbox: Mailbox,
    modSeq: number,
    placed: {
      uid: number;
      emailId: string;
      flags: readonly string[];
      dateMs: number;
      savedMs: number;
      uidl: string;
    },
  ): void => {
    const { bits, keywords } = flagBits(placed.flags);
    const emailSeq = seqOf(placed.emailId) ?? 0;
    const email = state.emails.get(emailSeq);
    const message = email === undefined ? undefined : state.messages.get(email.messageSeq);
    mailbox.placements.set(placed.uid, {
      uid: placed.uid,
      emailSeq,
      flags: bits,
      keywords: keywordPositions(mailbox, keywords),
      modSeq,
      dateMs: placed.dateMs,
      savedMs: placed.savedMs,
      uidl: placed.uidl,
      sizeBytes: (email?.prefix.length ?? 0) + (message?.sizeBytes ?? 0),
    });
    mailbox.uidNext = Math.max(mailbox.uidNext, placed.uid + 1);
  };

  const applyState = (event: StateEvent): void => {
    const owner = account(event.account);
    owner.modSeq = Math.max(owner.modSeq, event.modSeq);
    owner.key ??= event.key;
    owner.changes += 1;
    const change = event.change;
    if (change.op === 'create') {
      owner.uidValidity = Math.max(owner.uidValidity, change.uidValidity);
      if (change.subscribed) owner.subscriptions.add(change.name);
      state.mailboxes.set(event.mailbox, {
        id: event.mailbox,
        account: event.account,
        name: change.name,
        role: change.role,
        uidValidity: change.uidValidity,
        uidNext: 1,
        highestModSeq: event.modSeq,
        recentBelow: 1,
        keywords: [],
        placements: new Map(),
        tombstones: new Map(),
      });
      return;
    }
    if (change.op === 'subscribe') {
      if (change.subscribed) owner.subscriptions.add(change.name);
      else owner.subscriptions.delete(change.name);
      return;
    }
    if (change.op === 'numbers') {
      for (const { mailbox: id, uidNext } of change.uidNexts) {
        const mailbox = state.mailboxes.get(id);
        if (mailbox !== undefined) mailbox.uidNext = Math.max(mailbox.uidNext, uidNext);
      }
      return;
    }
    const mailbox = state.mailboxes.get(event.mailbox);
    if (mailbox === undefined) return;
    if (change.op === 'recent') {
      mailbox.recentBelow = Math.max(mailbox.recentBelow, change.below);
      return;
    }
    mailbox.highestModSeq = Math.max(mailbox.highestModSeq, event.modSeq);
    switch (change.op) {
      case 'rename':
        if (owner.subscriptions.delete(mailbox.name)) owner.subscriptions.add(change.name);
        mailbox.name = change.name;
        break;
      case 'delete':
        state.mailboxes.delete(event.mailbox);
        for (const [key, frame] of owner.snapshots)
          if (frame.mailbox === event.mailbox) owner.snapshots.delete(key);
        for (const { emailSeq } of mailbox.placements.values()) lost(emailSeq, event.timeMs, event.modSeq);
        break;
      case 'flags': {
        const { bits, keywords } = flagBits(change.flags);
        const positions = keywordPositions(mailbox, keywords);
        for (const placement of inSet(mailbox, change.uids)) {
          const after = applyFlags({ bits: placement.flags, keywords: placement.keywords }, change.mode, {
            bits,
            keywords: positions,
          });
          mailbox.placements.set(placement.uid, {
            ...placement,
            flags: after.bits,
            keywords: after.keywords,
            modSeq: event.modSeq,
          });
        }
        break;
      }
      case 'expunge':
        // A UID whose frame was erased has its tombstone all the same.
        for (const { first, last } of parseUidSet(change.uids) ?? []) {
          for (let uid = first; uid <= last; uid++) {
            const placement = mailbox.placements.get(uid);
            mailbox.placements.delete(uid);
            mailbox.tombstones.set(uid, event.modSeq);
            if (placement !== undefined) lost(placement.emailSeq, event.timeMs, event.modSeq);
          }
        }
        break;
      case 'place':
        for (const placed of change.placements) {
          place(mailbox, event.modSeq, placed);
          state.unplaced.delete(seqOf(placed.emailId) ?? 0);
        }
        break;
    }
  };

  /** an email's placement is gone; when it was the last one, its days begin to count */
  const lost = (emailSeq: number, timeMs: number, modSeq: number): void => {
    const email = state.emails.get(emailSeq);
    if (email === undefined) return;
    for (const { placements } of state.mailboxes.values())
      for (const placement of placements.values()) if (placement.emailSeq === emailSeq) return;
    const { dayCount } = state.marks;
    state.unplaced.set(emailSeq, { emailSeq, account: email.account, dayCount, timeMs, modSeq });
  };

  const dropThreads = (email: DeliverEvent): void => {
    const threads = state.accounts.get(email.account)?.threads;
    for (const [key, emails] of threads ?? []) {
      emails.delete(email.seq);
      if (emails.size === 0) threads?.delete(key);
    }
  };

  /** all that an account had; its copies are due */
  const purge = (id: string): void => {
    for (const mailbox of [...state.mailboxes.values()])
      if (mailbox.account === id) state.mailboxes.delete(mailbox.id);
    for (const email of state.emails.values()) {
      if (email.account === id)
        state.unplaced.set(email.seq, {
          emailSeq: email.seq,
          account: id,
          dayCount: 0,
          timeMs: 0,
          modSeq: 0,
        });
    }
    state.accounts.delete(id);
  };

  const inSet = (mailbox: Mailbox, uids: string): PlacementRow[] => {
    const ranges = parseUidSet(uids) ?? [];
    return [...mailbox.placements.values()].filter(({ uid }) =>
      ranges.some(({ first, last }) => first <= uid && uid <= last),
    );
  };

  const applyEvent = (event: LogEvent): void => {
    switch (event.type) {
      case 'message':
        state.messages.set(event.seq, event);
        state.messageIds.set(event.id, event.seq);
        state.marks.leafTimeMs = Math.max(state.marks.leafTimeMs, event.timeMs);
        break;
      case 'deliver': {
        state.emails.set(event.seq, event);
        // An account whose snapshot follows has no row yet: its threads stay when the row comes.
        const owner = event.placedBySnapshot ? account(event.account) : state.accounts.get(event.account);
        if (owner === undefined) {
          // Its own frames can be read no more: the account was purged.
          const { seq, account } = event;
          state.unplaced.set(seq, { emailSeq: seq, account, dayCount: 0, timeMs: 0, modSeq: 0 });
          break;
        }
        if (!event.placedBySnapshot) owner.modSeq = Math.max(owner.modSeq, event.modSeq);
        for (const key of state.messages.get(event.messageSeq)?.parsed.threadKeys ?? []) {
          const emails = owner.threads.get(key) ?? new Map<number, string>();
          owner.threads.set(key, emails.set(event.seq, event.threadId));
        }
        if (event.placedBySnapshot) break;
        const mailbox = state.mailboxes.get(event.mailbox);
        if (mailbox === undefined) {
          lost(event.seq, event.dateMs, event.modSeq);
          break;
        }
        place(mailbox, event.modSeq, {
          uid: event.uid,
          emailId: event.emailId,
          flags: event.flags,
          dateMs: event.dateMs,
          savedMs: state.messages.get(event.messageSeq)?.timeMs ?? event.dateMs,
          uidl: event.uidl,
        });
        mailbox.highestModSeq = Math.max(mailbox.highestModSeq, event.modSeq);
        break;
      }
      case 'state':
        applyState(event);
        break;
      case 'leaf':
        // A clock leaf may bring an earlier time: what counts is the newest leaf's.
        state.marks.leafTimeMs = event.timeMs;
        if (event.kind === 'clock') {
          state.marks.clockSeq = event.seq;
          // The clock was wrong before: what it said in the future is no longer waited for.
          state.marks.dayMs = Math.min(state.marks.dayMs, event.timeMs);
          for (const row of state.unplaced.values()) row.timeMs = Math.min(row.timeMs, event.timeMs);
        }
        if (event.kind === 'frames') state.marks.framesSeq = event.seq;
        if (event.dayCount !== null) {
          state.marks.dayCount = event.dayCount;
          state.marks.dayMs = event.timeMs;
        }
        if (event.uidGap !== undefined)
          for (const mailbox of state.mailboxes.values()) mailbox.uidNext += event.uidGap;
        break;
      case 'erased': {
        const gone = new Set(event.keys.map(({ epoch, slot }) => `${epoch}/${slot}`));
        const isGone = ({ key }: { key: KeyRef }): boolean => gone.has(`${key.epoch}/${key.slot}`);
        for (const [id, { key }] of [...state.accounts]) if (key !== null && isGone({ key })) purge(id);
        for (const [seq, email] of state.emails) {
          if (!isGone(email)) continue;
          dropThreads(email);
          state.emails.delete(seq);
          state.unplaced.delete(seq);
        }
        for (const [seq, message] of state.messages) {
          if (!isGone(message)) continue;
          for (const email of state.emails.values()) if (email.messageSeq === seq) dropThreads(email);
          state.messages.delete(seq);
          state.messageIds.delete(message.id);
        }
        break;
      }
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

  const applySnapshot = ({ content, seq, at, commitment }: SnapshotEvent): void => {
    const owner = state.accounts.get(content.account);
    if (owner === undefined) return;
    const mailbox = content.kind === 'page' || content.kind === 'mailbox' ? content.mailbox : '';
    const page = content.kind === 'page' || content.kind === 'unplaced' ? content.page : -1;
    const { account, base } = content;
    owner.snapshots.set(`${mailbox} ${page}`, { account, mailbox, page, seq, base, commitment, at });
    if (content.kind !== 'account') return;
    owner.changes = 0;
    const mailboxes = new Set(content.mailboxes.map((each) => each.mailbox));
    const pages = new Set(content.pages.map((each) => each.page));
    for (const [key, frame] of owner.snapshots) {
      const isNamed =
        frame.mailbox === '' ? frame.page < 0 || pages.has(frame.page) : mailboxes.has(frame.mailbox);
      if (!isNamed) owner.snapshots.delete(key);
    }
  };

  const applyRestore = ({ account: id, step }: RestoreEvent): void => {
    const owner = account(id);
    switch (step.kind) {
      case 'account':
        for (const mailbox of [...state.mailboxes.values()])
          if (mailbox.account === id) state.mailboxes.delete(mailbox.id);
        for (const row of [...state.unplaced.values()])
          if (row.account === id) state.unplaced.delete(row.emailSeq);
        owner.modSeq = step.root.modSeq;
        owner.uidValidity = step.root.uidValidity;
        owner.key = step.key;
        owner.changes = 0;
        owner.subscriptions = new Set(step.root.subscriptions);
        owner.snapshots = new Map(step.frames.map((frame) => [`${frame.mailbox} ${frame.page}`, frame]));
        break;
      case 'mailbox': {
        const { mailbox, name, role, uidValidity, uidNext, highestModSeq, recentBelow, keywords } = step.root;
        state.mailboxes.set(mailbox, {
          id: mailbox,
          account: id,
          name,
          role,
          uidValidity,
          uidNext,
          highestModSeq,
          recentBelow,
          keywords: [...keywords],
          placements: new Map(),
          tombstones: new Map(),
        });
        break;
      }
      case 'rows': {
        const mailbox = state.mailboxes.get(step.mailbox);
        for (const row of step.placements) mailbox?.placements.set(row.uid, row);
        for (const { uid, modSeq } of step.tombstones) mailbox?.tombstones.set(uid, modSeq);
        break;
      }
      case 'unplaced': {
        const placed = new Set<number>();
        for (const { placements } of state.mailboxes.values())
          for (const { emailSeq } of placements.values()) placed.add(emailSeq);
        // Copies that were erased since, or lie in a mailbox again, have no row.
        for (const row of step.rows)
          if (state.emails.has(row.emailSeq) && !placed.has(row.emailSeq))
            state.unplaced.set(row.emailSeq, { ...row, account: id });
        break;
      }
    }
  };

  const byUid = (a: PlacementRow, b: PlacementRow): number => a.uid - b.uid;
  const sortedPlacements = (mailbox: string): PlacementRow[] =>
    [...(state.mailboxes.get(mailbox)?.placements.values() ?? [])].sort(byUid);

  const index: MailIndex = {
    appliedSeq: () => state.applied,
    appliedHash: () => state.appliedHash,
    isPartial: () => state.partial,
    apply: (events, appliedSeq, appliedHash = null, partial = false) => {
      for (const event of events) if (event.seq > state.applied) applyEvent(event);
      if (appliedSeq > state.applied) {
        state.applied = appliedSeq;
        state.appliedHash = appliedHash;
      }
      state.partial = partial;
    },
    clear: () => {
      state = empty();
    },
    mailboxes: (id) =>
      [...state.mailboxes.values()]
        .filter((mailbox) => mailbox.account === id)
        .map(mailboxRow)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    subscriptions: (id) => [...(state.accounts.get(id)?.subscriptions ?? [])].sort(),
    mailbox: (id) => {
      const mailbox = state.mailboxes.get(id);
      return mailbox === undefined ? null : mailboxRow(mailbox);
    },
    mailboxByName: (id, name) => {
      for (const mailbox of state.mailboxes.values()) {
        if (mailbox.account === id && mailbox.name === name) return mailboxRow(mailbox);
      }
      return null;
    },
    placements: (mailbox, afterUid, limit) =>
      sortedPlacements(mailbox)
        .filter(({ uid }) => uid > afterUid)
        .slice(0, limit),
    placementsByUid: (mailbox, uids) =>
      uids.flatMap((uid) => state.mailboxes.get(mailbox)?.placements.get(uid) ?? []),
    changesSince: (mailbox, modSeq) => ({
      changed: sortedPlacements(mailbox).filter((placement) => placement.modSeq > modSeq),
      vanished: [...(state.mailboxes.get(mailbox)?.tombstones ?? [])]
        .filter(([, at]) => at > modSeq)
        .map(([uid]) => uid)
        .sort((a, b) => a - b),
    }),
    countPlacements: (mailbox) => state.mailboxes.get(mailbox)?.placements.size ?? 0,
    emails: (seqs) =>
      seqs.flatMap((seq) => {
        const email = state.emails.get(seq);
        return email === undefined ? [] : emailRow(email);
      }),
    texts: (seqs) => {
      const found = new Map<number, MessageTextsRow>();
      for (const seq of seqs) {
        const message = state.messages.get(state.emails.get(seq)?.messageSeq ?? -1);
        if (message === undefined) continue;
        const { envelope, bodyStructure, body, preview } = message.parsed;
        found.set(seq, { envelope, bodyStructure, body, preview });
      }
      return found;
    },
    threadIds: (seqs) => {
      const found = new Map<number, string>();
      for (const seq of seqs) {
        const email = state.emails.get(seq);
        if (email !== undefined) found.set(seq, email.threadId);
      }
      return found;
    },
    emailsOfMessage: (messageSeq) =>
      [...state.emails.values()].filter((email) => email.messageSeq === messageSeq).flatMap(emailRow),
    emailSeqs: (afterSeq, limit) =>
      [...state.emails.keys()]
        .filter((seq) => seq > afterSeq)
        .sort((a, b) => a - b)
        .slice(0, limit),
    placementsOf: (emailSeq) =>
      [...state.mailboxes.values()]
        .sort((a, b) => (seqOf(a.id) ?? 0) - (seqOf(b.id) ?? 0))
        .flatMap((mailbox) =>
          sortedPlacements(mailbox.id)
            .filter((placement) => placement.emailSeq === emailSeq)
            .map(({ uid }) => ({ mailbox: mailbox.id, uid })),
        ),
    unplaced: (dayCount, afterEmailSeq, limit) =>
      [...state.unplaced.values()]
        .filter((row) => row.dayCount <= dayCount && row.emailSeq > afterEmailSeq)
        .sort((a, b) => a.emailSeq - b.emailSeq)
        .slice(0, limit)
        .map((row) => ({ ...row })),
    unplacedOf: (id, afterEmailSeq, limit) =>
      [...state.unplaced.values()]
        .filter((row) => row.account === id && row.emailSeq > afterEmailSeq)
        .sort((a, b) => a.emailSeq - b.emailSeq)
        .slice(0, limit)
        .map((row) => ({ ...row })),
    unplacedSince: (id, modSeq, emailSeq, limit) =>
      [...state.unplaced.values()]
        .filter(
          (row) =>
            row.account === id && (row.modSeq > modSeq || (row.modSeq === modSeq && row.emailSeq > emailSeq)),
        )
        .sort((a, b) => a.modSeq - b.modSeq || a.emailSeq - b.emailSeq)
        .slice(0, limit)
        .map((row) => ({ ...row })),
    tombstones: (mailbox, afterUid, limit) =>
      [...(state.mailboxes.get(mailbox)?.tombstones ?? [])]
        .filter(([uid]) => uid > afterUid)
        .sort(([a], [b]) => a - b)
        .slice(0, limit)
        .map(([uid, modSeq]) => ({ uid, modSeq })),
    changedUids: (id, what, modSeq, uid, limit) => {
      const mailbox = state.mailboxes.get(id);
      const all =
        what === 'placement'
          ? [...(mailbox?.placements.values() ?? [])].map((row) => ({ uid: row.uid, modSeq: row.modSeq }))
          : [...(mailbox?.tombstones ?? [])].map(([gone, at]) => ({ uid: gone, modSeq: at }));
      return all
        .filter((each) => each.modSeq > modSeq || (each.modSeq === modSeq && each.uid > uid))
        .sort((a, b) => a.modSeq - b.modSeq || a.uid - b.uid)
        .slice(0, limit);
    },
    snapshotFrames: (id) =>
      [...(state.accounts.get(id)?.snapshots.values() ?? [])].sort((a, b) =>
        a.mailbox === b.mailbox ? a.page - b.page : a.mailbox < b.mailbox ? -1 : 1,
      ),
    messageById: (id) => {
      const message = state.messages.get(state.messageIds.get(id) ?? -1);
      return message === undefined ? null : messageRow(message);
    },
    message: (seq) => {
      const message = state.messages.get(seq);
      return message === undefined ? null : messageRow(message);
    },
    messages: (afterSeq, limit) =>
      [...state.messages.values()]
        .filter(({ seq }) => seq > afterSeq)
        .sort((a, b) => a.seq - b.seq)
        .slice(0, limit)
        .map(messageRow),
    accounts: () => [...state.accounts.keys()].sort(),
    accountCounters: (id) => ({
      modSeq: state.accounts.get(id)?.modSeq ?? 0,
      uidValidity: state.accounts.get(id)?.uidValidity ?? 0,
      changes: state.accounts.get(id)?.changes ?? 0,
    }),
    accountKey: (id) => state.accounts.get(id)?.key ?? null,
    marks: () => ({ ...state.marks }),
    findThread: (id, keys) => {
      const threads = state.accounts.get(id)?.threads;
      for (const key of keys) {
        const emails = threads?.get(key);
        if (emails !== undefined) return emails.get(Math.min(...emails.keys())) ?? null;
      }
      return null;
    },
    hasKeptMailOf: (id, domain, beforeMs) => {
      const first = reversedDomain(domain);
      const theirs = [...state.emails.values()]
        .flatMap((email) => {
          const author = email.account === id ? vouchedAuthor(email.prefix) : null;
          return author === null ? [] : [{ email, author: reversedDomain(author) }];
        })
        .filter(({ author }) => author.startsWith(first))
        .sort((a, b) => (a.author === b.author ? b.email.seq - a.email.seq : a.author < b.author ? 1 : -1))
        .slice(0, keptMailMax)
        .filter(({ email }) => email.dateMs < beforeMs);
      const seqs = new Set(theirs.map(({ email }) => email.seq));
      return [...state.mailboxes.values()].some(
        (mailbox) =>
          mailbox.account === id &&
          !isForgettable(mailbox.role) &&
          [...mailbox.placements.values()].some(({ emailSeq, flags }) => seqs.has(emailSeq) && isKept(flags)),
      );
    },
    dump: () => dumpIndex(index),
    close: () => {},
  };
  return index;
};
