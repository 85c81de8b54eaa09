import { hex, utf8 } from '#base/bytes';
import type { JsonObject } from '#base/canonical-json';
import { canonicalJson } from '#base/canonical-json';
import type { Random } from '#base/clock';
import type { SealedMessage } from '#services/mailstore';
import {
  type BodyAddress,
  type DeliverContent,
  type DeliverEvent,
  encodeDeliver,
  encodeRow,
  encodeSnapshot,
  encodeState,
  type KeyRef,
  type LogEvent,
  type RecipientProof,
  type SnapshotContent,
  type SnapshotRef,
  type StateChange,
  type StateEvent,
} from '#store/index';
import type { FrameDraft, GroupBuilder } from '#store/log';
import { fileKeyBytes, payloadNonceBytes, sealPayload, sha256, sha256Of } from '#store/segments';
import {
  base64,
  commitContent,
  type EventLeafKind,
  encodeLeaf,
  type Leaf,
  leafHash,
  parseLeaf,
  saltBytes,
} from '#trust/seal';

/** Rows of these tables name no person: they stand in the log in clear (FORMATS §2). */
export const impersonalTables: ReadonlySet<string> = new Set(['domain', 'setting']);

/** A leaf without the two members that its place in the log gives. */
export type LeafFields = Leaf extends infer Each
  ? Each extends Leaf
    ? Omit<Each, 'seq' | 'timeMs'>
    : never
  : never;

interface Placed {
  seq: number;
  leafIndex: number | null;
  at: BodyAddress;
}

/**
 * One group as it is put together: frames into the log's builder, and beside them the events that the projections will apply, so that
 * what is applied while running is what recovery would decode.
 */
export class GroupDraft {
  readonly events: LogEvent[] = [];
  /** RFC 6962 leaf hashes of the records so far, for a `frames` leaf */
  readonly recordLeafHashes: Uint8Array[] = [];
  readonly timeMs: number;
  /** ids of messages whose keys this group destroys */
  readonly erasedMessages: string[] = [];
  /** whether it holds a leaf other than `frames`: those alone cause no head (FORMATS §5) */
  asksForHead = false;
  readonly #builder: GroupBuilder;
  readonly #openingFrames: number;
  readonly #random: Random;

  constructor(builder: GroupBuilder, timeMs: number, random: Random) {
    this.#builder = builder;
    this.timeMs = timeMs;
    this.#random = random;
    this.#openingFrames = builder.count;
    // What the log itself put in front, such as the leaf of a closed segment, counts like any other frame.
    for (const { placed, draft } of builder.opening) {
      this.recordLeafHashes.push(leafHash(placed.recordHash));
      if (draft.leaf === null || placed.leafIndex === null) continue;
      const leaf = parseLeaf(draft.leaf);
      this.asksForHead = true;
      const { kind, timeMs } = leaf;
      this.events.push({
        type: 'leaf',
        seq: placed.seq,
        leafIndex: placed.leafIndex,
        kind,
        timeMs,
        dayCount: null,
      });
    }
  }

  get nextSeq(): number {
    return this.#builder.nextSeq();
  }

  get isEmpty(): boolean {
    return this.#builder.count === this.#openingFrames;
  }

  /** A slot under a key of its own. */
  freshKey(): { ref: KeyRef; fileKey: Uint8Array } {
    const fileKey = this.#random(fileKeyBytes);
    return { ref: this.#builder.useKey(fileKey), fileKey };
  }

  message(message: SealedMessage): { seq: number } {
    const key = this.#builder.useKey(message.fileKey);
    const octets = this.#leaf({ kind: message.kind, ...message.leaf });
    const placed = this.#add({
      type: 'MSG',
      critical: true,
      leaf: octets,
      key,
      body: {
        kind: 'sealed',
        storedHead: message.storedHead,
        storedOctets: message.storedOctets,
        ownFile:
          message.ownFile === null
            ? null
            : { lengthBytes: message.storedOctetsBytes, sha256: message.ownFile.sha256 },
        bodyCommitment: message.bodyCommitment,
        storedHash: message.storedHash,
      },
    });
    this.events.push({
      type: 'message',
      seq: placed.seq,
      at: placed.at,
      key,
      id: message.id,
      kind: message.kind,
      timeMs: this.timeMs,
      leafIndex: placed.leafIndex ?? 0,
      sha256Hex: message.sha256Hex,
      sizeBytes: message.sizeBytes,
      parsed: message.parsed,
    });
    return { seq: placed.seq };
  }

  /** One account's copy under a key of its own. */
  deliver(content: DeliverContent): DeliverEvent {
    const { ref, fileKey } = this.freshKey();
    const placed = this.#sealed('DELIVER', ref, fileKey, encodeDeliver(content, this.#salt()));
    const { recipient: _recipient, dsn: _dsn, ...fields } = content;
    const event: DeliverEvent = { type: 'deliver', seq: placed.seq, at: placed.at, key: ref, ...fields };
    this.events.push(event);
    return event;
  }

  state(
    account: { id: string; key: { ref: KeyRef; fileKey: Uint8Array } },
    content: { mailbox: string; modSeq: number; actor: string; change: StateChange },
  ): StateEvent {
    const whole = { account: account.id, timeMs: this.timeMs, ...content };
    const placed = this.#sealed(
      'STATE',
      account.key.ref,
      account.key.fileKey,
      encodeState(whole, this.#salt()),
    );
    const event: StateEvent = { type: 'state', seq: placed.seq, key: account.key.ref, ...whole };
    this.events.push(event);
    return event;
  }

  /** A frame of a snapshot: it says nothing that other frames do not say, so a reader may pass it over. */
  snapshot(key: { ref: KeyRef; fileKey: Uint8Array }, content: SnapshotContent): SnapshotRef {
    const plain = encodeSnapshot(content, this.#salt());
    const placed = this.#sealed('SNAP', key.ref, key.fileKey, plain);
    const commitment = hex(sha256(plain));
    this.events.push({ type: 'snapshot', seq: placed.seq, at: placed.at, key: key.ref, commitment, content });
    return { seq: placed.seq, commitment };
  }

  row(table: string, key: string, value: JsonObject | null): void {
    const content = { table, key, value };
    if (impersonalTables.has(table)) {
      const placed = this.#add({
        type: 'ROW',
        critical: true,
        leaf: null,
        key: null,
        body: { kind: 'clear', octets: encodeRow(content, null) },
      });
      this.events.push({ type: 'row', seq: placed.seq, ...content, rowKey: null });
      return;
    }
    const { ref, fileKey } = this.freshKey();
    const placed = this.#sealed('ROW', ref, fileKey, encodeRow(content, this.#salt()));
    this.events.push({ type: 'row', seq: placed.seq, ...content, rowKey: ref });
  }

  /** A leaf with open fields and no body: genesis, frames, segment, gap, handover, clock, day. */
  leaf(fields: Exclude<LeafFields, { evt: Uint8Array } | { msg: Uint8Array }>): { seq: number } {
    const octets = this.#leaf(fields);
    const placed = this.#add({
      type: 'LEAF',
      critical: true,
      leaf: octets,
      key: null,
      body: { kind: 'none' },
    });
    this.#leafEvent(placed, fields.kind, fields.kind === 'day' ? fields.count : null);
    return { seq: placed.seq };
  }

  /** An administrative event: the leaf commits to the JSON in the frame's body. */
  administrative(kind: EventLeafKind, event: JsonObject): void {
    const evtSalt = this.#random(saltBytes);
    const content = utf8(canonicalJson(event));
    const octets = this.#leaf({ kind, evt: commitContent('evt', evtSalt, content) });
    const { ref, fileKey } = this.freshKey();
    const body = utf8(
      canonicalJson({ event, evt: base64(evtSalt), salt: base64(this.#random(saltBytes)), v: 1 }),
    );
    const placed = this.#sealed('LEAF', ref, fileKey, body, octets);
    this.#leafEvent(placed, kind, null);
  }

  /**
   * Erases: what these keys sealed is gone for good when the group is durable.
   *
   * @param reason stands in clear
   * @param messages ids of the messages among it: the file of a large body goes too
   */
  erased(keys: readonly KeyRef[], reason: string, messages: readonly string[]): { seq: number } {
    const octets = utf8(canonicalJson({ keys: keys.map(({ epoch, slot }) => ({ epoch, slot })), reason }));
    const placed = this.#add({
      type: 'ERASED',
      critical: true,
      leaf: null,
      key: null,
      body: { kind: 'clear', octets },
    });
    this.events.push({ type: 'erased', seq: placed.seq, keys });
    this.erasedMessages.push(...messages);
    return { seq: placed.seq };
  }

  /** A signed head: no leaf, in clear. */
  head(note: Uint8Array): void {
    this.#add({
      type: 'HEAD',
      critical: false,
      leaf: null,
      key: null,
      body: { kind: 'clear', octets: note },
    });
  }

  #leafEvent(placed: { seq: number; leafIndex: number | null }, kind: string, dayCount: number | null): void {
    this.events.push({
      type: 'leaf',
      seq: placed.seq,
      leafIndex: placed.leafIndex ?? 0,
      kind,
      timeMs: this.timeMs,
      dayCount,
    });
  }

  #leaf(fields: LeafFields): Uint8Array {
    if (fields.kind !== 'frames') this.asksForHead = true;
    return encodeLeaf({ ...fields, seq: this.nextSeq, timeMs: this.timeMs } as Leaf);
  }

  #sealed(
    type: 'DELIVER' | 'STATE' | 'ROW' | 'LEAF' | 'SNAP',
    key: KeyRef,
    fileKey: Uint8Array,
    plain: Uint8Array,
    leaf: Uint8Array | null = null,
  ): Placed {
    const head = sealPayload(fileKey, this.#random(payloadNonceBytes), plain);
    return this.#add({
      type,
      critical: type !== 'SNAP',
      leaf,
      key,
      body: {
        kind: 'sealed',
        storedHead: head,
        storedOctets: [],
        bodyCommitment: sha256(plain),
        storedHash: sha256Of([head]),
      },
    });
  }

  #add(draft: FrameDraft): Placed {
    const placed = this.#builder.add(draft);
    this.recordLeafHashes.push(leafHash(placed.recordHash));
    return { seq: placed.seq, leafIndex: placed.leafIndex, at: placed.address };
  }

  #salt(): string {
    return base64(this.#random(saltBytes));
  }
}

export const recipientProof = (proof: {
  index: number;
  path: readonly Uint8Array[];
  salt: Uint8Array;
}): RecipientProof => ({ index: proof.index, path: proof.path.map(base64), salt: base64(proof.salt) });
