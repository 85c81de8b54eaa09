import { latin1 } from '#base/bytes';
import type { MessageTexts } from '#protocols/imap';
import type { MessageTextsRow } from '#store/index';

/** octets of all texts together */
const bytesMax = 32 * 1024 * 1024;
/** a text longer than that is not worth keeping */
const eachBytesMax = 64 * 1024;

/** ENVELOPE, BODY and BODYSTRUCTURE of the messages that were asked for last, ready to be sent. */
export class TextsCache {
  readonly #byEmail = new Map<number, MessageTexts>();
  #bytes = 0;

  /** Something was erased: whose texts it were is not told, so all go. */
  clear(): void {
    this.#byEmail.clear();
    this.#bytes = 0;
  }

  get(emailSeq: number): MessageTexts | null {
    const texts = this.#byEmail.get(emailSeq);
    if (texts === undefined) return null;
    this.#byEmail.delete(emailSeq);
    this.#byEmail.set(emailSeq, texts);
    return texts;
  }

  add(emailSeq: number, row: MessageTextsRow): MessageTexts {
    const texts: MessageTexts = {
      envelope: latin1(row.envelope),
      body: latin1(row.body),
      bodyStructure: latin1(row.bodyStructure),
    };
    const bytes = bytesOf(texts);
    if (bytes > eachBytesMax) return texts;
    this.#byEmail.set(emailSeq, texts);
    this.#bytes += bytes;
    for (const [oldest, old] of this.#byEmail) {
      if (this.#bytes <= bytesMax) break;
      this.#byEmail.delete(oldest);
      this.#bytes -= bytesOf(old);
    }
    return texts;
  }
}

const bytesOf = ({ envelope, body, bodyStructure }: MessageTexts): number =>
  envelope.length + body.length + bodyStructure.length;
