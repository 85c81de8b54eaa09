import { hash } from 'node:crypto';
import {
  bodyStructure,
  createMessageScanner,
  encodeStructure,
  envelope,
  messagePreview,
  previewLimits,
  type ParsedMessage as Structure,
  threadReferences,
} from '#message';
import type { ParsedMessage } from '#store/index';

/** Makes of a message, as its octets arrive, what readers will ask for: ENVELOPE, BODYSTRUCTURE, where parts lie, its thread, a preview. */
export interface MessageParser {
  write(octets: Uint8Array): void;
  /** octets of the message that are kept until `end` */
  readonly heldBytes: number;
  /** The message is whole. Call once. */
  end(): ParsedMessage;
}

export const createMessageParser = (): MessageParser => {
  const scanner = createMessageScanner();
  /** the first octets, for the preview; copied, since pieces come in buffers that are used again */
  let head = new Uint8Array(0);
  let headBytes = 0;
  const keep = (octets: Uint8Array): void => {
    const wanted = Math.min(octets.length, previewLimits.messageOctetsMax - headBytes);
    if (wanted <= 0) return;
    if (headBytes + wanted > head.length) {
      const roomBytes = Math.min(
        previewLimits.messageOctetsMax,
        Math.max(headBytes + wanted, 2 * head.length),
      );
      const larger = new Uint8Array(roomBytes);
      larger.set(head.subarray(0, headBytes));
      head = larger;
    }
    head.set(octets.length === wanted ? octets : octets.subarray(0, wanted), headBytes);
    headBytes += wanted;
  };
  return {
    get heldBytes() {
      return head.length;
    },
    write: (octets) => {
      keep(octets);
      scanner.write(octets);
    },
    end: () => {
      const parsed = scanner.end();
      return {
        envelope: envelope(parsed),
        bodyStructure: bodyStructure(parsed, 'extensible'),
        body: bodyStructure(parsed, 'basic'),
        structure: encodeStructure(parsed),
        threadKeys: threadKeys(parsed),
        preview: messagePreview(parsed, head.subarray(0, headBytes)),
      };
    },
  };
};

/** ids of one message that a thread is looked for by */
const idsMax = 100;

/**
 * What a message has in common with others of its conversation: each message id that it names, its own first, together with the base
 * subject, so that a new subject starts a new thread (RFC 8621 §3).
 */
const threadKeys = (parsed: Structure): string[] => {
  const { messageId, references, baseSubject } = threadReferences(parsed);
  // The newest of a long chain say most; an id of a sender's making is never a key by itself, only its hash with the subject.
  const ids = [...(messageId === null ? [] : [messageId]), ...references.slice(-idsMax)];
  return ids.map((id) => hash('sha256', `${id}\0${baseSubject}`).slice(0, 32));
};
