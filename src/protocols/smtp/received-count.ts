const field = '\r\nreceived:';
const headerEnd = '\r\n\r\n';

/**
 * Counts the `Received` fields of a message as its octets pass, up to the end of the header.
 *
 * @source RFC 5321 §6.3
 */
export class ReceivedCount {
  count = 0;
  /** the last characters of what passed, so that a field cut between chunks is seen; the message begins a line */
  #tail = '\r\n';
  #done = false;

  /** whether the header has ended: nothing more is looked at */
  get done(): boolean {
    return this.#done;
  }

  pass(octets: Buffer): void {
    if (this.#done) return;
    let text = this.#tail + octets.toString('latin1').toLowerCase();
    const end = text.indexOf(headerEnd);
    if (end >= 0) {
      this.#done = true;
      text = text.slice(0, end + 2);
    }
    for (let at = text.indexOf(field); at >= 0; at = text.indexOf(field, at + field.length)) this.count += 1;
    this.#tail = text.slice(-(field.length - 1));
  }
}
