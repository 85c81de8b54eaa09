import { hash } from 'node:crypto';
import {
  bodyStructure,
  createMessageScanner,
  encodeStructure,
  envelope,
  type ParsedMessage as Structure,
} from '#message';
import type { ParsedMessage } from '#store/index';
import { baseSubject, messageIds } from './thread.ts';

/** Makes of a message, as its octets arrive, what readers will ask for: ENVELOPE, BODYSTRUCTURE, where parts lie, its thread. */
export interface MessageParser {
  write(octets: Uint8Array): void;
  /** The message is whole. Call once. */
  end(): ParsedMessage;
}

export const createMessageParser = (): MessageParser => {
  const scanner = createMessageScanner({ keep: ['subject', 'message-id', 'in-reply-to', 'references'] });
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

const idsMax = 100;

/**
 * What a message has in common with others of its conversation: each message id that it names, its own first, together with the base
 * subject, so that a new subject starts a new thread (RFC 8621 §3).
 */
const threadKeys = (parsed: Structure): string[] => {
  const value = (name: string): string =>
    parsed.root.values.findLast((field) => field.name === name)?.value ?? '';
  const subject = baseSubject(value('subject'));
  const ids = ['message-id', 'in-reply-to', 'references'].flatMap((name) => messageIds(value(name)));
  return [...new Set(ids)].slice(0, idsMax).map((id) => hash('sha256', `${id}\0${subject}`).slice(0, 32));
};
