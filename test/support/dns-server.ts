import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import {
  type DnsData,
  type DnsMessage,
  type DnsRecord,
  decodeDnsMessage,
  dnsTypes,
  encodeDnsMessage,
  rcodes,
} from '#protocols/dns';
import {
  faultOf,
  nameExists,
  ttlDefault,
  typeName,
  type Zone,
  type ZoneRecords,
  zoneByName,
} from './dns-zone.ts';

export type { Zone } from './dns-zone.ts';

export interface DnsQuery {
  /** as it came, capitals too */
  readonly name: string;
  /** `TXT` */
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
  readonly port: number;
  readonly message: DnsMessage;
}

/** What a server that lies does with a question; several are sent in order. */
export type Lie =
  /** nothing at all */
  | 'drop'
  /** the truth */
  | 'truth'
  | 'wrong-id'
  /** from another port than was asked */
  | 'wrong-port'
  /** for another name */
  | 'wrong-question'
  /** the name in other capitals than it was asked */
  | 'wrong-case'
  /** TC, by UDP only */
  | 'truncate'
  /** TC, by TCP too */
  | 'truncate-always'
  /** the header and then nothing that makes sense */
  | 'garbage'
  /** by TCP: the connection closes after half the answer */
  | 'half'
  /** FORMERR where the question has EDNS, as old servers do */
  | 'no-edns'
  /** octets as they are; the id of the question is put in */
  | { readonly raw: Uint8Array }
  /** the truth changed */
  | { readonly change: (answer: DnsMessage) => DnsMessage };

export interface DnsServerOptions {
  readonly zone?: Zone;
  /** for each question, instead of the truth */
  readonly lie?: (query: DnsQuery) => Lie | readonly Lie[] | undefined;
  /** the AD bit of answers */
  readonly authenticData?: boolean;
  /** 127.0.0.1 */
  readonly address?: string;
  /** a free one */
  readonly wantedPort?: number;
}

export interface DnsServer {
  readonly port: number;
  /** `ADDRESS:PORT`, as `[dns] resolvers` takes it */
  readonly endpoint: string;
  /** what was asked, oldest first */
  readonly queries: readonly DnsQuery[];
  /** answers from now on */
  setZone(zone: Zone): void;
  setLie(lie: DnsServerOptions['lie']): void;
  stop(): Promise<void>;
}

/**
 * A name server on loopback, by UDP and TCP on one free port, with a zone given as data, that can lie: for tests.
 *
 * It answers for every name; one that is not in the zone is NXDOMAIN with an SOA record (of the nearest name above that
 * has one, else of the root with 60 s).
 */
export const startDnsServer = async (options: DnsServerOptions = {}): Promise<DnsServer> => {
  let names = zoneByName(options.zone ?? {});
  let lie = options.lie;
  const queries: DnsQuery[] = [];
  const sockets = new Set<net.Socket>();
  const address = options.address ?? '127.0.0.1';
  const { udp, tcp, port } = await bindBoth(address, options.wantedPort ?? 0);
  const other = dgram.createSocket('udp4');
  other.bind(0, address);
  await once(other, 'listening');

  /** the answers to one question: octets, and whether they come from the other port */
  const answers = (octets: Buffer, transport: 'udp' | 'tcp', fromPort: number): Reply[] => {
    const decoded = decodeDnsMessage(octets);
    const [question] = decoded.kind === 'message' ? decoded.message.questions : [];
    if (decoded.kind !== 'message' || question === undefined) return [];
    const query: DnsQuery = {
      name: question.name,
      type: typeName(question.type),
      transport,
      port: fromPort,
      message: decoded.message,
    };
    queries.push(query);
    const truth = answerFrom(names, decoded.message, options.authenticData ?? false);
    const lies = [lie?.(query) ?? 'truth'].flat() as readonly Lie[];
    return lies.flatMap((each) => told(each, query, truth));
  };

  udp.on('message', (octets, from) => {
    for (const reply of answers(octets, 'udp', from.port)) {
      const udpMax = decodedUdpMax(octets);
      const out: Uint8Array = reply.octets.length > udpMax ? truncated(reply.octets) : reply.octets;
      (reply.isFromOtherPort ? other : udp).send(out, from.port, from.address);
    }
  });
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let held = Buffer.alloc(0);
    socket.on('data', (piece: Buffer) => {
      held = Buffer.concat([held, piece]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const octets = held.subarray(2, 2 + held.readUInt16BE(0));
        held = held.subarray(2 + octets.length);
        for (const reply of answers(octets, 'tcp', socket.remotePort ?? 0)) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.octets.length);
          socket.write(length);
          if (reply.isHalf) socket.end(reply.octets.subarray(0, reply.octets.length >> 1));
          else socket.write(reply.octets);
        }
      }
    });
  });

  return {
    port,
    endpoint: `${address}:${port}`,
    queries,
    setZone: (zone) => {
      names = zoneByName(zone);
    },
    setLie: (next) => {
      lie = next;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      udp.close();
      other.close();
      const closed = once(tcp, 'close');
      tcp.close();
      await closed;
    },
  };
};

/** UDP and TCP on the same port. */
const bindBoth = async (
  address: string,
  wantedPort: number,
): Promise<{ udp: dgram.Socket; tcp: net.Server; port: number }> => {
  for (let tries = 0; ; tries++) {
    const tcp = net.createServer();
    tcp.listen(wantedPort, address);
    await once(tcp, 'listening');
    const { port } = tcp.address() as net.AddressInfo;
    const udp = dgram.createSocket('udp4');
    try {
      udp.bind(port, address);
      await once(udp, 'listening');
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      tcp.close();
      if (tries === 20 || wantedPort !== 0) throw error;
    }
  }
};

interface Reply {
  readonly octets: Uint8Array;
  readonly isFromOtherPort: boolean;
  readonly isHalf: boolean;
}

const told = (lie: Lie, query: DnsQuery, truth: DnsMessage | null): Reply[] => {
  const reply = (octets: Uint8Array, more: Partial<Reply> = {}): Reply[] => [
    { octets, isFromOtherPort: false, isHalf: false, ...more },
  ];
  if (lie === 'drop' || truth === null) return [];
  if (typeof lie === 'object') {
    if ('change' in lie) return reply(encodeDnsMessage(lie.change(truth)));
    const octets = Uint8Array.from(lie.raw);
    octets.set([truth.id >> 8, truth.id & 255].slice(0, octets.length));
    return reply(octets);
  }
  const question = truth.questions[0];
  if (question === undefined) return [];
  switch (lie) {
    case 'truth':
      return reply(encodeDnsMessage(truth));
    case 'wrong-id':
      return reply(encodeDnsMessage({ ...truth, id: truth.id ^ 1 }));
    case 'wrong-port':
      return reply(encodeDnsMessage(truth), { isFromOtherPort: true });
    case 'wrong-question':
      return reply(encodeDnsMessage({ ...truth, questions: [{ ...question, name: `x.${question.name}` }] }));
    case 'wrong-case': {
      const swapped = question.name.replaceAll(/[a-z]/gi, (letter) =>
        letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
      );
      return reply(encodeDnsMessage({ ...truth, questions: [{ ...question, name: swapped }] }));
    }
    case 'truncate':
      return reply(query.transport === 'udp' ? truncated(encodeDnsMessage(truth)) : encodeDnsMessage(truth));
    case 'truncate-always':
      return reply(truncated(encodeDnsMessage(truth)));
    case 'garbage': {
      const octets = encodeDnsMessage(truth).slice();
      octets.fill(0xc1, 12);
      return reply(octets);
    }
    case 'half':
      return reply(encodeDnsMessage(truth), { isHalf: true });
    case 'no-edns':
      return reply(
        encodeDnsMessage(
          query.message.edns === null
            ? truth
            : { ...truth, rcode: rcodes.FORMERR, answers: [], authorities: [], edns: null },
        ),
      );
  }
};

const decodedUdpMax = (octets: Uint8Array): number => {
  const decoded = decodeDnsMessage(octets);
  return decoded.kind === 'message' ? Math.max(512, decoded.message.edns?.udpOctetsMax ?? 512) : 512;
};

/** The same with TC and without records. */
const truncated = (octets: Uint8Array): Uint8Array => {
  const decoded = decodeDnsMessage(octets);
  if (decoded.kind !== 'message') return octets.subarray(0, 512);
  return encodeDnsMessage({
    ...decoded.message,
    isTruncated: true,
    answers: [],
    authorities: [],
    additionals: [],
  });
};

/** null: no answer at all. */
const answerFrom = (
  names: ReadonlyMap<string, ZoneRecords>,
  query: DnsMessage,
  authenticData: boolean,
): DnsMessage | null => {
  const [question] = query.questions;
  if (question === undefined) return null;
  const type = typeName(question.type);
  const answer: DnsMessage = {
    ...query,
    isResponse: true,
    isAuthoritative: true,
    recursionAvailable: true,
    authenticData,
    rcode: rcodes.NOERROR,
    edns: query.edns === null ? null : { ...query.edns, udpOctetsMax: 1232, options: [] },
  };
  const answers: DnsRecord[] = [];
  let name = question.name;
  for (let hops = 0; hops < 20; hops++) {
    const key = name.toLowerCase();
    const records = names.get(key);
    const fault = faultOf(records, type);
    if (fault === 'TIMEOUT') return null;
    if (fault !== null) return { ...answer, rcode: rcodes[fault] };
    const ttl = records?.ttl ?? ttlDefault;
    const found = records === undefined ? [] : dataOf(records, question.type);
    answers.push(...found.map((data) => ({ name, type: question.type, class: 1, ttl, data })));
    if (found.length > 0) return { ...answer, answers };
    if (records?.CNAME === undefined) {
      const rcode = nameExists(names, key) ? rcodes.NOERROR : rcodes.NXDOMAIN;
      return { ...answer, rcode, answers, authorities: [soaFor(names, key)] };
    }
    answers.push({
      name,
      type: dnsTypes.CNAME,
      class: 1,
      ttl,
      data: { kind: 'name', name: noDot(records.CNAME) },
    });
    name = noDot(records.CNAME);
  }
  return { ...answer, answers };
};

const noDot = (name: string): string => name.replace(/\.$/, '');

const dataOf = (records: ZoneRecords, type: number): DnsData[] => {
  switch (type) {
    case dnsTypes.A:
      return (records.A ?? []).map((address) => ({ kind: 'address', address }));
    case dnsTypes.AAAA:
      return (records.AAAA ?? []).map((address) => ({ kind: 'address', address }));
    case dnsTypes.MX:
      return (records.MX ?? []).map(([preference, exchange]) => ({
        kind: 'mx',
        preference,
        exchange: noDot(exchange),
      }));
    case dnsTypes.PTR:
      return (records.PTR ?? []).map((name) => ({ kind: 'name', name: noDot(name) }));
    case dnsTypes.NS:
      return (records.NS ?? []).map((name) => ({ kind: 'name', name: noDot(name) }));
    case dnsTypes.TXT:
      return (records.TXT ?? []).map((text) => ({ kind: 'txt', strings: [text].flat().flatMap(txtStrings) }));
    default:
      return [];
  }
};

/** pieces of at most 255 octets */
const txtStrings = (text: string): Uint8Array[] => {
  const octets = Buffer.from(text, 'latin1');
  const strings: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < octets.length; at += 255) strings.push(octets.subarray(at, at + 255));
  return strings;
};

const soaFor = (names: ReadonlyMap<string, ZoneRecords>, name: string): DnsRecord => {
  let owner = name;
  while (owner !== '' && names.get(owner)?.SOA === undefined) {
    const dot = owner.indexOf('.');
    owner = dot === -1 ? '' : owner.slice(dot + 1);
  }
  const soa = names.get(owner)?.SOA ?? { minimum: 60 };
  return {
    name: owner,
    type: dnsTypes.SOA,
    class: 1,
    ttl: soa.ttl ?? soa.minimum,
    data: {
      kind: 'soa',
      mname: 'ns.test',
      rname: 'hostmaster.test',
      serial: 1,
      refresh: 3_600,
      retry: 600,
      expire: 86_400,
      minimum: soa.minimum,
    },
  };
};
