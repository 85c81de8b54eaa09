import { messageText, parseMessage } from '#message';
import type { FoundBody } from '#protocols/imap';

/** octets at a message's start that a preview is made of */
const previewBytesMax = 256 * 1024;

/** The first words of a message; null where it turns out to be damaged. @source RFC 8970 §3.1 */
export const previewOf = async (body: FoundBody): Promise<string | null> => {
  const pieces: Uint8Array[] = [];
  try {
    const end = Math.min(body.structure.size, previewBytesMax);
    if (end > 0) for await (const octets of body.read(0, end)) pieces.push(octets);
  } catch {
    return null;
  }
  const octets = pieces.length === 1 ? (pieces[0] ?? new Uint8Array(0)) : Buffer.concat(pieces);
  return messageText(parseMessage(octets), (start, end) => octets.subarray(start, end)).preview;
};
