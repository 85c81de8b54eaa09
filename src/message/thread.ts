import { baseSubject } from './base-subject.ts';
import { decodeHeaderText } from './encoded-word.ts';
import { parseMessageIds } from './message-id.ts';
import type { ParsedMessage } from './part.ts';

export interface ThreadReferences {
  /** without `<` and `>`; null when there is none */
  messageId: string | null;
  /** what it answers, oldest first: References, or without them the one In-Reply-To */
  references: string[];
  /** RFC 5256 base subject, in Unicode */
  baseSubject: string;
  isReplyOrForward: boolean;
}

/**
 * What tells which thread a message belongs to.
 *
 * @source RFC 5256 §2.1, §3 (THREAD=REFERENCES, step 1); RFC 8621 §3
 */
export const threadReferences = (parsed: ParsedMessage): ThreadReferences => {
  const value = (name: string): string =>
    parsed.root.values.findLast((field) => field.name === name)?.value ?? '';
  const messageId = parseMessageIds(value('message-id'))[0] ?? null;
  let references = parseMessageIds(value('references'));
  // RFC 5256 §3: In-Reply-To counts where there are no References; its first id does.
  if (references.length === 0) references = parseMessageIds(value('in-reply-to')).slice(0, 1);
  const { subject, isReplyOrForward } = baseSubject(decodeHeaderText(value('subject')));
  return {
    messageId,
    references: references.filter((id) => id !== messageId),
    baseSubject: subject,
    isReplyOrForward,
  };
};
