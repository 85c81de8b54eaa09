import { hash } from 'node:crypto';
import {
  bodyStructure,
  createMessageScanner,
  encodeStructure,
  envelope,
  type ParsedMessage as Structure,
  threadReferences,
} from '#message';
import type { ParsedMessage } from '#store/index';

/** Makes of a message, as its octets arrive, what readers will ask for: ENVELOPE, BODYSTRUCTURE, where parts lie, its thread. */
export interface MessageParser {
  write(octets: Uint8Array): void;
  /** The message is whole. Call once. */
  end(): ParsedMessage;
}

export const createMessageParser = (): MessageParser => {
  const scanner = createMessageScanner();
  return {
    write: (octets) => scanner.write(octets),
    end: () => {
      const parsed = scanner.end();
      return {
        envelope: envelope(parsed),
        bodyStructure: bodyStructure(parsed, 'extensible'),
        body: bodyStructure(parsed, 'basic'),
        structure: encodeStructure(parsed),
        threadKeys: threadKeys(parsed),
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
