import { clipRanges, findPart, imapSection, rangesOctets, type StructurePart } from '#message';
import type { CommandSession } from '../command-session.ts';
import { namesAreUtf8 } from '../features.ts';
import { type FetchRequest, parseFetch, type SectionRequest } from '../fetch-request.ts';
import { systemFlag } from '../mailbox-state.ts';
import type { MailboxView } from '../mailbox-view.ts';
import { rangesHold, resolveNumberSet } from '../number-set.ts';
import { bad, no, ok, type Reply } from '../reply.ts';
import type { FoundBody, MessageTexts, OpenedBody } from '../store.ts';
import { wireDate, wireSet, wireTextString } from '../wire.ts';
import { decodedPart } from './binary-part.ts';
import type { Command } from './command.ts';

/** messages whose texts are asked for at once */
const pageCount = 256;
/** damaged messages that one reply names */
const namedMax = 50;

/** @source RFC 9051 §6.4.5, §7.5.2; RFC 7162 §3.1.4, §3.2.6; RFC 3516; RFC 8474 §5; RFC 8514; RFC 8970 */
export const fetch: Command = {
  name: 'FETCH',
  states: ['selected'],
  tells: 'no-expunge',
  uid: true,
  run: async (session, args, _tag, byUid) => {
    args.space();
    const set = args.numberSet();
    args.space();
    const parsed = parseFetch(args);
    if (parsed.kind === 'later') return no(`FETCH ${parsed.item} is not supported`, 'CANNOT');
    const { view } = session;
    if (view === null) return no('No mailbox is selected');
    const ranges = view.rangesOf(set, byUid);
    if (ranges === null) return bad('There is no message of that number');
    const { request } = parsed;
    const { features } = session;
    if (request.vanished && !byUid) return bad('VANISHED is for UID FETCH');
    if (request.vanished && !features.qresync) return bad('ENABLE QRESYNC comes first');
    if (request.modSeq) features.condstore = true;
    if (byUid) request.uid = true;
    if (request.vanished) {
      const asked = resolveNumberSet(set, 0xffff_ffff);
      const vanished = view.mailbox
        .vanishedSince(request.changedSince ?? 0)
        .filter((uid) => rangesHold(asked, uid) && view.seqOf(uid) === 0);
      if (vanished.length > 0) session.send(`* VANISHED (EARLIER) ${wireSet(vanished)}\r\n`);
    }
    return new Fetch(session, view, request).run(ranges);
  },
};

class Fetch {
  readonly #session: CommandSession;
  readonly #view: MailboxView;
  readonly #request: FetchRequest;
  readonly #needsTexts: boolean;
  /** items that only a message that is still there has */
  readonly #needsPresence: boolean;
  #gone = false;
  /** a part has a transfer encoding that nobody knows */
  #unknownEncoding = false;
  readonly #damaged = new Set<number>();
  /** whether showing a message makes it `\Seen` */
  readonly #marks: boolean;
  /** items of the present page that come from elsewhere, by uid */
  readonly #more = new Map<number, string>();
  /** made `\Seen` by this command */
  readonly #marked = new Set<number>();

  constructor(session: CommandSession, view: MailboxView, request: FetchRequest) {
    this.#session = session;
    this.#view = view;
    this.#request = request;
    this.#marks = !view.readOnly && request.sections.some(({ peek }) => !peek);
    this.#needsPresence =
      request.internalDate ||
      request.size ||
      request.saveDate ||
      request.emailId ||
      request.threadId ||
      request.preview;
    this.#needsTexts = request.envelope || request.body || request.bodyStructure;
  }

  async run(ranges: readonly number[]): Promise<Reply> {
    let page: number[] = [];
    for (let at = 0; at < ranges.length; at += 2) {
      const last = ranges[at + 1] ?? -1;
      const { changedSince } = this.#request;
      for (let index = ranges[at] ?? 0; index <= last; index++) {
        if (changedSince !== null && !this.#changedSince(index, changedSince)) continue;
        page.push(index);
        if (page.length < pageCount) continue;
        await this.#page(page);
        page = [];
        if (this.#session.closedOrLeaving) return no('The connection is gone');
      }
    }
    await this.#page(page);
    const damaged = [...this.#damaged];
    const unread = damaged.filter((uid) => this.#marked.has(uid));
    // what could not be shown has not been seen
    if (unread.length > 0) await this.#view.mailbox.store(unread, 'remove', ['\\Seen'], null);
    if (damaged.length > 0) {
      const named = wireSet(damaged.slice(0, namedMax));
      const more = damaged.length > namedMax ? ` and ${damaged.length - namedMax} more` : '';
      return no(`UID ${named}${more}: the message is damaged and not shown`, 'CORRUPTION');
    }
    if (this.#gone) return no('Some of the messages are gone', 'EXPUNGEISSUED');
    if (this.#unknownEncoding) return no('A part has a transfer encoding that is not known', 'UNKNOWN-CTE');
    return ok('Fetched');
  }

  /** What is gone counts as changed, so that it is not passed over in silence. */
  #changedSince(index: number, modSeq: number): boolean {
    const at = this.#view.stateIndexAt(index);
    return at === -1 || (this.#view.state.modSeqs[at] ?? 0) > modSeq;
  }

  async #page(asked: readonly number[]): Promise<void> {
    const view = this.#view;
    const indices = asked.filter((index) => !this.#isUnreadable(index));
    if (indices.length === 0) return;
    const { mailbox } = view;
    const request = this.#request;
    if (this.#marks) await this.#mark(indices);
    const uids = indices.map((index) => view.uidAt(index));
    const texts = this.#needsTexts ? await mailbox.texts(uids) : null;
    this.#more.clear();
    if (request.emailId || request.threadId) {
      for (const [at, ids] of (await mailbox.objectIds(uids)).entries()) {
        if (ids === null) {
          const uid = uids[at] ?? 0;
          if (view.state.indexOf(uid) !== -1) this.#damaged.add(uid);
          continue;
        }
        let text = request.emailId ? ` EMAILID (${ids.emailId})` : '';
        if (request.threadId) text += ` THREADID (${ids.threadId})`;
        this.#more.set(uids[at] ?? 0, text);
      }
    }
    if (request.preview) {
      const isUtf8 = namesAreUtf8(this.#session.features);
      for (const [at, preview] of (await mailbox.previews(uids)).entries()) {
        const uid = uids[at] ?? 0;
        const text = preview === null ? 'NIL' : wireTextString(preview, isUtf8);
        this.#more.set(uid, `${this.#more.get(uid) ?? ''} PREVIEW ${text}`);
      }
    }
    if (this.#request.sections.length > 0) {
      await this.#bodies(indices, texts);
      return;
    }
    for (let at = 0; at < indices.length; at++) {
      const index = indices[at] ?? 0;
      const items = this.#items(index, texts === null ? undefined : (texts[at] ?? null));
      if (items === null) this.#gone = true;
      else this.#session.send(`* ${index + 1} FETCH (${items})\r\n`);
    }
    await this.#session.breathe();
  }

  /** A message of which nothing is known but that it is there: that much is told. */
  #isUnreadable(index: number): boolean {
    const view = this.#view;
    if (!view.state.isUnreadable(view.stateIndexAt(index))) return false;
    const uid = view.uidAt(index);
    this.#damaged.add(uid);
    this.#session.send(`* ${index + 1} FETCH (UID ${uid})\r\n`);
    return true;
  }

  async #bodies(
    indices: readonly number[],
    texts: readonly (MessageTexts | 'damaged' | null)[] | null,
  ): Promise<void> {
    const view = this.#view;
    let at = 0;
    for await (const body of view.mailbox.openBodies(indices.map((index) => view.uidAt(index)))) {
      const index = indices[at] ?? 0;
      const items = this.#items(index, texts === null ? undefined : (texts[at] ?? null));
      at++;
      if (items !== null) await this.#sections(index, items, body);
      else {
        this.#gone = true;
        if (body.kind === 'found') body.close();
      }
      if (this.#session.closedOrLeaving) return;
    }
  }

  /** RFC 9051 §6.4.5: BODY[…] sets `\Seen`, and the reply says so. The message is shown, whether this can be kept or not. */
  async #mark(indices: readonly number[]): Promise<void> {
    const unseen: number[] = [];
    for (const index of indices) {
      const flags = this.#view.flagsAt(index);
      if (flags !== null && (flags.system & systemFlag.seen) === 0) unseen.push(this.#view.uidAt(index));
    }
    if (unseen.length === 0) return;
    try {
      const outcome = await this.#view.mailbox.store(unseen, 'add', ['\\Seen'], this.#view);
      if (outcome.kind === 'done') for (const uid of unseen) this.#marked.add(uid);
    } catch {
      // reading does not need the writer; a later sync tells what became of the flags
      this.#session.server.options.count('imap-seen-not-kept');
    }
  }

  /** Everything but sections; null for a message that is gone. */
  #items(index: number, texts: MessageTexts | 'damaged' | null | undefined): string | null {
    const request = this.#request;
    const { state } = this.#view;
    const uid = this.#view.uidAt(index);
    const at = this.#view.stateIndexAt(index);
    let text = '';
    if (request.flags || this.#marked.has(uid)) {
      const flags = state.flagSets[at];
      if (flags === undefined) return null;
      text = `FLAGS (${this.#view.flagText(flags, uid)})`;
    }
    if (request.modSeq || (this.#marked.has(uid) && this.#session.features.condstore)) {
      if (at === -1) return null;
      text += ` MODSEQ (${state.modSeqs[at] ?? 0})`;
    }
    if (this.#needsPresence) {
      if (at === -1) return null;
      if (request.internalDate) text += ` INTERNALDATE ${wireDate(state.dates[at] ?? 0)}`;
      if (request.size) text += ` RFC822.SIZE ${state.sizes[at] ?? 0}`;
      if (request.saveDate) text += ` SAVEDATE ${wireDate(state.saved[at] ?? 0)}`;
    }
    text += this.#more.get(uid) ?? '';
    if (texts === null) return null;
    if (texts === 'damaged') this.#damaged.add(uid);
    else if (texts !== undefined) {
      if (request.envelope) text += ` ENVELOPE ${texts.envelope}`;
      if (request.body) text += ` BODY ${texts.body}`;
      if (request.bodyStructure) text += ` BODYSTRUCTURE ${texts.bodyStructure}`;
    }
    // a reply has at least one item, also where nothing else is shown
    if (request.uid || (text === '' && request.sections.length === 0)) text += ` UID ${uid}`;
    return text.startsWith(' ') ? text.slice(1) : text;
  }

  async #sections(index: number, items: string, body: OpenedBody): Promise<void> {
    const session = this.#session;
    const uid = this.#view.uidAt(index);
    if (body.kind === 'gone') {
      this.#gone = true;
      return;
    }
    // a reply has at least one item, also where the body is not shown
    let prefix = `* ${index + 1} FETCH (${items}`;
    const start = prefix.length;
    if (body.kind === 'damaged') {
      this.#damaged.add(uid);
      session.send(`${prefix}${items === '' ? `UID ${uid}` : ''})\r\n`);
      return;
    }
    try {
      for (const section of this.#request.sections) {
        const blank = prefix.length === start && items === '' ? '' : ' ';
        const outcome = await this.#section(body, section, prefix + blank);
        if (outcome === 'aborted') return;
        if (outcome === 'damaged') {
          this.#damaged.add(uid);
          break;
        }
        prefix = '';
      }
    } finally {
      body.close();
    }
    if (prefix !== '') session.send(`${prefix}${items === '' ? `UID ${uid}` : ''}`);
    session.send(')\r\n');
    await session.breathe();
  }

  /** Sends one section behind what stands before it. */
  async #section(
    body: FoundBody,
    request: SectionRequest,
    before: string,
  ): Promise<'sent' | 'damaged' | 'aborted'> {
    const session = this.#session;
    const { partial } = request;
    const label = partial === null ? request.label : `${request.label}<${partial.start}>`;
    if (request.form !== 'body' && request.section.part.length > 0) {
      const part = findPart(body.structure.root, request.section.part);
      if (part === null) {
        session.send(`${before}${label} ${request.form === 'binary' ? 'NIL' : '0'}`);
        return 'sent';
      }
      if (part.encoding !== 'identity') return this.#decoded(body, part, request, before + label);
    }
    if (request.form === 'binary-size') {
      const ranges = imapSection(body.structure, request.section) ?? [];
      session.send(`${before}${label} ${rangesOctets(ranges)}`);
      return 'sent';
    }
    let ranges = imapSection(body.structure, request.section);
    if (ranges === null) {
      session.send(`${before}${label} NIL`);
      return 'sent';
    }
    if (partial !== null) ranges = clipRanges(ranges, partial.start, partial.length);
    const whole = rangesOctets(ranges);
    let left = whole;
    let announced = false;
    const announce = (): void => {
      session.send(`${before}${label} {${whole}}\r\n`);
      announced = true;
    };
    try {
      for (const { start, end } of ranges) {
        const atHand = body.readAtHand?.(start, end) ?? null;
        if (atHand !== null) {
          for (const octets of atHand) {
            if (!announced) announce();
            left -= octets.length;
            session.sendOctets(octets);
          }
          continue;
        }
        for await (const octets of body.read(start, end)) {
          // the first octets are there, so they are verified: a small message is whole or not shown at all
          if (!announced) announce();
          left -= octets.length;
          session.sendOctets(octets);
          await session.breathe();
          if (session.closedOrLeaving) return 'aborted';
        }
      }
      if (!announced && whole === 0) announce();
    } catch {
      session.server.options.count('imap-body-damaged');
    }
    if (!announced) return 'damaged';
    if (left === 0) return 'sent';
    // inside the literal there is no other way to say that this is not the message
    session.cutOff();
    return 'aborted';
  }

  /** A part without its transfer encoding: read once for its size, and again where that is much. */
  async #decoded(
    body: FoundBody,
    part: StructurePart,
    { form, partial }: SectionRequest,
    before: string,
  ): Promise<'sent' | 'damaged' | 'aborted'> {
    const session = this.#session;
    if (part.encoding === 'other') {
      this.#unknownEncoding = true;
      session.send(`${before} ${form === 'binary' ? 'NIL' : '0'}`);
      return 'sent';
    }
    let left = 0;
    try {
      const found = await decodedPart(body, part, form === 'binary' ? partial : null);
      if (form === 'binary-size') {
        session.send(`${before} ${found.sizeBytes}`);
        return 'sent';
      }
      left = found.sizeBytes;
      // RFC 3516 §4.2: NUL stands in a literal8 only
      session.send(`${before} ${found.hasNul ? '~' : ''}{${found.sizeBytes}}\r\n`);
      for await (const octets of found.read()) {
        left -= octets.length;
        session.sendOctets(octets);
        await session.breathe();
        if (session.closedOrLeaving) return 'aborted';
      }
      if (left === 0) return 'sent';
    } catch {
      session.server.options.count('imap-body-damaged');
      if (left === 0) return 'damaged';
    }
    session.cutOff();
    return 'aborted';
  }
}
