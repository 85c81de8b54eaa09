import { say } from '#base/text';
import type { CommandContext } from '../command.ts';
import { UsageError } from '../usage-error.ts';

/**
 * Everything on standard input, in pieces.
 *
 * @throws {UsageError} beyond `bytesMax`
 */
export const readStandardInput = async (
  { stdin }: CommandContext,
  bytesMax: number,
): Promise<Uint8Array[]> => {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of stdin) {
    const octets = typeof piece === 'string' ? Buffer.from(piece, 'utf8') : (piece as Uint8Array);
    bytes += octets.length;
    if (bytes > bytesMax) {
      throw new UsageError((language) => ({
        sentence: say(language, 'stdin.too-long', { max: bytesMax }),
        remedy: say(language, 'stdin.too-long.remedy'),
      }));
    }
    pieces.push(octets);
  }
  return pieces;
};

const passwordInputBytesMax = 8_192;

/** The first line of standard input. @throws {UsageError} when it is empty, or not UTF-8 */
export const readPassword = async (context: CommandContext): Promise<string> => {
  const octets = Buffer.concat(await readStandardInput(context, passwordInputBytesMax));
  const end = octets.indexOf(10);
  const line = (end < 0 ? octets : octets.subarray(0, end)).toString('utf8').replace(/\r$/, '');
  if (line !== '' && !line.includes('\ufffd')) return line;
  throw new UsageError((language) => ({
    sentence: say(language, 'account.password-missing'),
    remedy: say(language, 'account.password-missing.remedy'),
  }));
};
