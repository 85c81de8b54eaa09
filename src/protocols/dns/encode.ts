import { concat } from '#base/bytes';
import { parseIp } from '#base/ip-address';
import { type DnsData, type DnsEdns, type DnsMessage, type DnsRecord, dnsTypes } from './message.ts';
import { nameLabels } from './name.ts';

/** pointers have 14 bits */
const pointerMax = 0x3fff;

/**
 * Writes a DNS message; names are compressed where RFC 1035 and RFC 3597 §4 allow it.
 *
 * @throws {RangeError} on a name, address or string that cannot be written, or a message of more than 65,535 octets: a
 *   bug in the caller, who asks `isDnsName` before
 * @source RFC 1035 §4.1, RFC 6891 §6.1
 */
export const encodeDnsMessage = (message: DnsMessage): Uint8Array => {
  const writer = new Writer();
  const flags =
    (message.isResponse ? 0x8000 : 0) |
    ((message.opcode & 15) << 11) |
    (message.isAuthoritative ? 0x0400 : 0) |
    (message.isTruncated ? 0x0200 : 0) |
    (message.recursionDesired ? 0x0100 : 0) |
    (message.recursionAvailable ? 0x0080 : 0) |
    (message.authenticData ? 0x0020 : 0) |
    (message.checkingDisabled ? 0x0010 : 0) |
    (message.rcode & 15);
  writer.u16(message.id);
  writer.u16(flags);
  writer.u16(message.questions.length);
  writer.u16(message.answers.length);
  writer.u16(message.authorities.length);
  writer.u16(message.additionals.length + (message.edns === null ? 0 : 1));
  for (const question of message.questions) {
    writer.name(question.name);
    writer.u16(question.type);
    writer.u16(question.class);
  }
  for (const record of [...message.answers, ...message.authorities, ...message.additionals])
    writeRecord(writer, record);
  if (message.edns !== null) writeOpt(writer, message.edns, message.rcode);
  const octets = writer.octets();
  if (octets.length > 65_535) throw new RangeError(`a DNS message of ${octets.length} octets`);
  return octets;
};

class Writer {
  readonly #pieces: Uint8Array[] = [];
  readonly #places = new Map<string, number>();
  length = 0;

  put(octets: Uint8Array): void {
    this.#pieces.push(octets);
    this.length += octets.length;
  }

  u16(value: number): void {
    this.put(Uint8Array.of((value >> 8) & 255, value & 255));
  }

  u32(value: number): void {
    this.put(Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255));
  }

  name(name: string, mayPoint = true): void {
    const labels = nameLabels(name);
    if (labels === null) throw new RangeError(`not a DNS name: ${name.slice(0, 80)}`);
    for (let index = 0; index < labels.length; index++) {
      // Capitals count: a name is given back as it was written.
      const rest = labels
        .slice(index)
        .map((label) => Buffer.from(label).toString('hex'))
        .join('.');
      const place = this.#places.get(rest);
      if (mayPoint && place !== undefined) {
        this.u16(0xc000 | place);
        return;
      }
      if (place === undefined && this.length <= pointerMax) this.#places.set(rest, this.length);
      const label = labels[index] ?? new Uint8Array();
      this.put(Uint8Array.of(label.length));
      this.put(label);
    }
    this.put(Uint8Array.of(0));
  }

  /** Two octets of length before what `write` puts. */
  counted(write: () => void): void {
    const length = new Uint8Array(2);
    this.put(length);
    const start = this.length;
    write();
    const count = this.length - start;
    if (count > 65_535) throw new RangeError(`record data of ${count} octets`);
    length[0] = count >> 8;
    length[1] = count & 255;
  }

  octets(): Uint8Array {
    return concat(this.#pieces);
  }
}

const writeRecord = (writer: Writer, record: DnsRecord): void => {
  writer.name(record.name);
  writer.u16(record.type);
  writer.u16(record.class);
  writer.u32(record.ttl);
  writer.counted(() => writeData(writer, record.data, record.type));
};

const writeData = (writer: Writer, data: DnsData, type: number): void => {
  switch (data.kind) {
    case 'address': {
      const octets = parseIp(data.address);
      if (octets === null || octets.length !== (type === dnsTypes.A ? 4 : 16))
        throw new RangeError(`not an address of type ${type}: ${data.address}`);
      writer.put(octets);
      break;
    }
    case 'name':
      // RFC 6672 §2.5: no compression in DNAME.
      writer.name(data.name, type !== dnsTypes.DNAME);
      break;
    case 'mx':
      writer.u16(data.preference);
      writer.name(data.exchange);
      break;
    case 'txt':
      for (const string of data.strings) {
        if (string.length > 255) throw new RangeError(`a TXT string of ${string.length} octets`);
        writer.put(Uint8Array.of(string.length));
        writer.put(string);
      }
      break;
    case 'soa':
      writer.name(data.mname);
      writer.name(data.rname);
      for (const value of [data.serial, data.refresh, data.retry, data.expire, data.minimum])
        writer.u32(value);
      break;
    case 'other':
      writer.put(data.octets);
      break;
  }
};

const writeOpt = (writer: Writer, edns: DnsEdns, rcode: number): void => {
  writer.name('');
  writer.u16(dnsTypes.OPT);
  writer.u16(edns.udpOctetsMax);
  writer.u32((((rcode >> 4) & 255) * 2 ** 24 + ((edns.version & 255) << 16)) | (edns.dnssecOk ? 0x8000 : 0));
  writer.counted(() => {
    for (const option of edns.options) {
      writer.u16(option.code);
      writer.counted(() => writer.put(option.octets));
    }
  });
};
