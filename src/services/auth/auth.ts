import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock, Random } from '#base/clock';
import { FengniError } from '#base/errors';
import type { AppPassword, Change, Secrets, Verifier } from '#store/secrets';
import {
  appPasswordGroups,
  appPasswordKeys,
  appPasswordsMax,
  isAppPasswordName,
  proofMatches,
  scramIterations,
  scramSalt,
  serverSignature,
} from './app-password.ts';
import { type HashPriority, HashQueue } from './hash-queue.ts';
import {
  type Argon2Cost,
  argon2Cost,
  generatePassword,
  hashPassword,
  phcPrefix,
  preparePassword,
} from './password.ts';
import { Recent } from './recent.ts';
import { readHash, requireVerifier, type StoredHash, storedHash } from './verifier.ts';

export interface Attempt {
  /** key of the log-in name: WIRE “Addresses” */
  user: string;
  password: string;
  /** IP address of the peer; IPv6 counts by its /64 */
  address: string;
  protocol: 'imap' | 'pop3' | 'submission' | 'managesieve' | 'http';
}

/** What a log-in rests on: asked again when the account changes. */
export interface Grant {
  user: string;
  /** of the account, at the log-in */
  version: number;
  /** the app password that was used; null for the account's own */
  appPassword: number | null;
}

/** A client's last message of SCRAM. @source RFC 5802 §5.1 */
export interface Proof {
  user: string;
  authMessage: Uint8Array;
  /** ClientProof, 32 octets */
  proof: Uint8Array;
  address: string;
  protocol: Attempt['protocol'];
}

export type Verdict =
  | { kind: 'granted'; account: string; grant: Grant }
  /** `disabled` is said only to who knows the password; all else, unknown users too, is `wrong` */
  | { kind: 'refused'; reason: 'wrong' | 'disabled' }
  /** too many wait: a temporary answer, never “wrong password” (clients would throw the password away) */
  | { kind: 'unavailable' };

export type ProofVerdict =
  | { kind: 'granted'; account: string; grant: Grant; serverSignature: Uint8Array }
  | Exclude<Verdict, { kind: 'granted' }>;

export interface AuthLimits {
  /** hashes that run together; default one a core */
  hashesAtOnce: number;
  /** tries that wait for a hash */
  hashesWaitingMax: number;
  /** tries that wait because their address had too many wrong ones */
  slowedWaitingMax: number;
  /** wrong passwords from an address within `wrongLifeMs` before it is slowed */
  wrongPerAddress: number;
  wrongLifeMs: number;
  slowedMs: number;
  rememberedMs: number;
  /** how long an address of a successful log-in is known for its user */
  knownMs: number;
  /** entries of each table */
  tableMax: number;
}

export const authLimits: AuthLimits = {
  hashesAtOnce: availableParallelism(),
  hashesWaitingMax: 1_000,
  slowedWaitingMax: 10_000,
  wrongPerAddress: 10,
  wrongLifeMs: 15 * 60_000,
  slowedMs: 2_000,
  rememberedMs: 10 * 60_000,
  knownMs: 30 * 86_400_000,
  tableMax: 65_536,
};

export interface AuthStatus {
  granted: number;
  refused: number;
  unavailable: number;
  slowed: number;
  hashesWaiting: number;
  slowedWaiting: number;
}

export interface Auth {
  /** Makes ready what the first try would wait for: a password hash's worth of time. */
  prepare(): Promise<void>;
  /** @throws {FengniError} `verifier-damaged` */
  verify(attempt: Attempt): Promise<Verdict>;
  /** salt and rounds for a user's app passwords; as good as any for who has none, or is nobody */
  scramParameters(user: string): { salt: Uint8Array; iterations: number };
  /** whether a proof was made with one of the user's app passwords */
  prove(proof: Proof): Promise<ProofVerdict>;
  /** for each grant whether it still stands: the account is enabled, and what it logged in with is what it was */
  standing(grants: readonly Grant[]): boolean[];
  /** whether anybody has an app password: without, SCRAM would lead nowhere */
  hasAppPasswords(): boolean;
  /**
   * Makes an app password and tells it this once.
   *
   * @throws {FengniError} `app-password-refused`
   */
  addAppPassword(account: { user: string; name: string }): { password: string; change: Change };
  /** null when there is none of this name */
  removeAppPassword(account: { user: string; name: string }): Change | null;
  appPasswords(user: string): AppPassword[];
  /**
   * Sets a hash that another server made; the first log-in replaces it by one of ours.
   *
   * @throws {FengniError} `password-hash-refused`
   */
  setPasswordHash(account: { user: string; account: string; hash: string }): Change;
  /**
   * Sets a password; durable when the promise resolves, to be confirmed when its ROW is. The sessions of the account are the
   * caller's to end.
   *
   * @throws {FengniError} `password-not-allowed`, `auth-busy` (retryable)
   */
  setPassword(account: { user: string; account: string; password: string }): Promise<Change>;
  disable(user: string): Change | null;
  enable(user: string): Change | null;
  removeAccount(user: string): Change | null;
  /** changes without their ROW: at start these are reported */
  unconfirmed(): Change[];
  confirm(id: number): boolean;
  status(): AuthStatus;
}

export interface AuthOptions {
  secrets: Secrets;
  clock: Clock;
  random: Random;
  limits?: Partial<AuthLimits>;
  /** counts by name; names as `/metrics` has them */
  count?(name: string): void;
  /** waits; a test's clock has its own */
  sleep?: (ms: number) => Promise<void>;
  /** another cost than the standard one, for tests */
  cost?: Argon2Cost;
  /** hears of every comparison with a stored hash or key, by what it costs: for tests that count work */
  worked?: (kind: string) => void;
}

/** kinds of imported hashes that a wrong password is compared with besides its own, so that all users cost the same */
const foreignKindsMax = 4;
/** stands for keys that are not there: a proof is compared with as many keys for everybody */
const noKeys = { storedKey: new Uint8Array(32) };

export const createAuth = (options: AuthOptions): Auth => new PasswordAuth(options);

const countedAs = {
  granted: 'auth-login',
  refused: 'auth-login-refused',
  unavailable: 'auth-overloaded',
} as const;

class PasswordAuth implements Auth {
  readonly #secrets: Secrets;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #limits: AuthLimits;
  readonly #count: (name: string) => void;
  readonly #sleep: (ms: number) => Promise<void>;
  readonly #cost: Argon2Cost;
  readonly #queue: HashQueue;
  /** under it successes are remembered; it dies with the process */
  readonly #processKey: Uint8Array;
  readonly #remembered: Recent<Uint8Array>;
  readonly #wrong: Recent<number>;
  readonly #known: Recent<true>;
  /** the last try of each slowed address: its next one begins after it */
  readonly #slowed = new Map<string, Promise<void>>();
  readonly #matching = new Map<string, Promise<boolean | null>>();
  #dummyPhc: Promise<string> | null = null;
  readonly #counts = { granted: 0, refused: 0, unavailable: 0, slowed: 0 };
  #slowedWaiting = 0;
  readonly #worked: (kind: string) => void;
  /** hashes of other servers that are stored, one of each kind; null: to be looked up */
  #foreign: Map<string, string> | null = null;
  #saltKey: Uint8Array | null = null;

  constructor(options: AuthOptions) {
    const limits = { ...authLimits, ...options.limits };
    this.#secrets = options.secrets;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#limits = limits;
    this.#count = (name) => options.count?.(name);
    this.#sleep = options.sleep ?? ((ms) => sleepFor(ms));
    this.#cost = options.cost ?? argon2Cost;
    this.#worked = options.worked ?? (() => {});
    this.#queue = new HashQueue({ atOnce: limits.hashesAtOnce, waitingMax: limits.hashesWaitingMax });
    this.#processKey = options.random(32);
    const countMax = limits.tableMax;
    this.#remembered = new Recent({ countMax, lifeMs: limits.rememberedMs });
    this.#wrong = new Recent({ countMax, lifeMs: limits.wrongLifeMs });
    this.#known = new Recent({ countMax, lifeMs: limits.knownMs });
  }

  async prepare(): Promise<void> {
    await this.#dummy();
  }

  /** what a try for an unknown user is compared with, so that it costs what a known one costs */
  #dummy(): Promise<string> {
    this.#dummyPhc ??= hashPassword(Buffer.from(this.#random(32)).toString('hex'), this.#random, this.#cost);
    return this.#dummyPhc;
  }

  async verify(attempt: Attempt): Promise<Verdict> {
    const verdict = await this.#inTurn(attempt.address, (address) => this.#verdict(attempt, address));
    this.#counts[verdict.kind]++;
    return verdict;
  }

  async prove(proof: Proof): Promise<ProofVerdict> {
    const verdict = await this.#inTurn(proof.address, async (address) => this.#proofVerdict(proof, address));
    this.#counts[verdict.kind]++;
    this.#count(countedAs[verdict.kind]);
    return verdict;
  }

  /** After ten wrong ones an address has one try at a time, each of at least two seconds. */
  async #inTurn<Outcome>(
    peer: string,
    check: (address: string) => Promise<Outcome>,
  ): Promise<Outcome | { kind: 'unavailable' }> {
    const address = addressKey(peer);
    if ((this.#wrong.get(address, this.#now()) ?? 0) < this.#limits.wrongPerAddress) return check(address);
    if (this.#slowedWaiting >= this.#limits.slowedWaitingMax) return { kind: 'unavailable' };
    this.#counts.slowed++;
    this.#count('auth-slowed');
    this.#slowedWaiting++;
    const before = this.#slowed.get(address);
    const after = Promise.withResolvers<void>();
    this.#slowed.set(address, after.promise);
    try {
      await before;
      await this.#sleep(this.#limits.slowedMs);
      return await check(address);
    } finally {
      this.#slowedWaiting--;
      if (this.#slowed.get(address) === after.promise) this.#slowed.delete(address);
      after.resolve();
    }
  }

  async #verdict(attempt: Attempt, address: string): Promise<Verdict> {
    const prepared = preparePassword(attempt.password);
    const { user } = attempt;
    const found = this.#secrets.verifier(user);
    const mark = this.#mark(user, found?.version ?? 0, prepared ?? '');
    const remembered = this.#remembered.get(user, this.#now());
    const isRemembered = remembered !== undefined && timingSafeEqual(remembered, mark);
    // A digest is enough for what has 120 bits; one look-up for everybody.
    this.#worked('app-password');
    const appPassword = this.#secrets.appPasswordBySha256(user, hash('sha256', prepared ?? '', 'buffer'));
    if (found !== null && appPassword !== null) return this.#grant(found, address, appPassword.id);
    if (!isRemembered || found === null || prepared === null) {
      const stored = found === null || prepared === null ? await this.#dummy() : found.phc;
      // a user's own address goes before strangers, whoever floods
      const priority = this.#known.get(knownKey(user, address), this.#now()) === true ? 'first' : 'later';
      const tried = { password: attempt.password, prepared: prepared ?? 'x', stored };
      const matches = await this.#matches(mark, priority, address, tried);
      if (matches === null) return { kind: 'unavailable' };
      // the account may have changed meanwhile: what was checked is then worth nothing
      const now = this.#secrets.verifier(user);
      if (!matches || found === null || prepared === null || now?.version !== found.version)
        return this.#wrongFrom(address);
      if (!found.phc.startsWith(phcPrefix(this.#cost))) await this.#renew(found, prepared);
    }
    if (!found.disabled && !isRemembered) this.#remembered.set(user, mark, this.#now());
    return this.#grant(found, address, null);
  }

  /** Compares as many keys for a user with 25 app passwords as for one with none, or for nobody. */
  #proofVerdict({ user, authMessage, proof }: Proof, address: string): ProofVerdict {
    const found = this.#secrets.verifier(user);
    const keys = this.#secrets.appPasswords(user);
    let right: (typeof keys)[number] | null = null;
    for (let at = 0; at < appPasswordsMax; at++) {
      const key = keys[at];
      this.#worked('proof');
      if (proofMatches(key ?? noKeys, authMessage, proof) && key !== undefined) right = key;
    }
    if (found === null || right === null) return this.#wrongFrom(address);
    const verdict = this.#grant(found, address, right.id);
    if (verdict.kind !== 'granted') return verdict;
    return { ...verdict, serverSignature: serverSignature(right.serverKey, authMessage) };
  }

  #wrongFrom(address: string): { kind: 'refused'; reason: 'wrong' } {
    this.#wrong.set(address, (this.#wrong.get(address, this.#now()) ?? 0) + 1, this.#now());
    return { kind: 'refused', reason: 'wrong' };
  }

  #grant(
    { user, account, version, disabled }: Verifier,
    address: string,
    appPassword: number | null,
  ): Extract<Verdict, { kind: 'granted' }> | { kind: 'refused'; reason: 'disabled' } {
    if (disabled) return { kind: 'refused', reason: 'disabled' };
    this.#known.set(knownKey(user, address), true, this.#now());
    return { kind: 'granted', account, grant: { user, version, appPassword } };
  }

  /** A mail program opens several sessions at once: tries that are the same share one hash. */
  #matches(
    mark: Uint8Array,
    priority: HashPriority,
    address: string,
    tried: { password: string; prepared: string; stored: string },
  ): Promise<boolean | null> {
    const key = `${priority} ${Buffer.from(mark).toString('base64')} ${tried.password === tried.prepared}`;
    const running = this.#matching.get(key);
    if (running !== undefined) return running;
    const begun = this.#queue
      .run(priority, address, () => this.#compare(tried))
      .finally(() => this.#matching.delete(key));
    this.#matching.set(key, begun);
    return begun;
  }

  /**
   * A wrong password is compared with one hash of each kind that is stored here: what it takes does not tell whose hash is still
   * another server's, nor who exists.
   */
  async #compare(tried: { password: string; prepared: string; stored: string }): Promise<boolean> {
    const own = storedHash(tried.stored);
    const matches = (stored: StoredHash): Promise<boolean> => {
      this.#worked(stored.kind);
      // other servers hash what was typed
      return stored.matches(stored.kind.startsWith('argon2') ? tried.prepared : tried.password);
    };
    if (await matches(own)) return true;
    const { memoryKiB, passes, lanes } = this.#cost;
    const others = new Map(this.#foreignKinds());
    others.set(`argon2id m=${memoryKiB},t=${passes},p=${lanes}`, await this.#dummy());
    others.delete(own.kind);
    for (const stored of others.values()) await matches(storedHash(stored));
    return false;
  }

  #foreignKinds(): Map<string, string> {
    if (this.#foreign !== null) return this.#foreign;
    const found = new Map<string, string>();
    for (const text of this.#secrets.verifiersOtherThan(phcPrefix(this.#cost))) {
      const kind = readHash(text)?.kind;
      if (kind === undefined || found.has(kind)) continue;
      found.set(kind, text);
      if (found.size === foreignKindsMax) break;
    }
    this.#foreign = found;
    return found;
  }

  /** The right password of another server's hash becomes a hash of ours. */
  async #renew({ user, version }: Verifier, prepared: string): Promise<void> {
    const phc = await this.#queue.run('first', '', () => hashPassword(prepared, this.#random, this.#cost));
    // where too many wait, another log-in does it
    if (phc !== null && this.#secrets.renewVerifier({ user, version, phc })) this.#foreign = null;
  }

  scramParameters(user: string): { salt: Uint8Array; iterations: number } {
    return { salt: scramSalt(this.#salts(), user), iterations: scramIterations };
  }

  #salts(): Uint8Array {
    this.#saltKey ??= this.#secrets.saltKey(() => this.#random(32));
    return this.#saltKey;
  }

  standing(grants: readonly Grant[]): boolean[] {
    return grants.map(({ user, version, appPassword }) => {
      const found = this.#secrets.verifier(user);
      if (found === null || found.disabled) return false;
      if (appPassword === null) return found.version === version;
      return this.#secrets.appPasswords(user).some(({ id }) => id === appPassword);
    });
  }

  hasAppPasswords(): boolean {
    return this.#secrets.hasAppPasswords();
  }

  addAppPassword({ user, name }: { user: string; name: string }): { password: string; change: Change } {
    const refused = (subject: string): FengniError =>
      new FengniError('app-password-refused', {
        subject,
        remedy: 'see "fengni account app-password list"',
        exitStatus: 2,
      });
    if (!isAppPasswordName(name)) throw refused('a name has 1 to 64 characters and no control characters');
    const taken = this.#secrets.appPasswords(user);
    if (taken.some((each) => each.name === name)) throw refused(`there is one named ${name}`);
    if (taken.length >= appPasswordsMax) throw refused(`there are ${appPasswordsMax} of them`);
    const password = generatePassword(this.#random, appPasswordGroups);
    const keys = appPasswordKeys(password, scramSalt(this.#salts(), user));
    const change = this.#secrets.addAppPassword({ user, name, keys, atMs: this.#clock.nowMs() });
    if (change === null) throw refused(`${user} has no password of its own yet`);
    return { password, change };
  }

  removeAppPassword({ user, name }: { user: string; name: string }): Change | null {
    return this.#secrets.removeAppPassword({ user, name, atMs: this.#clock.nowMs() });
  }

  appPasswords(user: string): AppPassword[] {
    return this.#secrets.appPasswords(user).map(({ id, name, createdMs }) => ({ id, name, createdMs }));
  }

  setPasswordHash({ user, account, hash }: { user: string; account: string; hash: string }): Change {
    return this.#setVerifier({ user, account, phc: requireVerifier(hash) });
  }

  #setVerifier(account: { user: string; account: string; phc: string }): Change {
    const change = this.#secrets.setVerifier({ ...account, atMs: this.#clock.nowMs() });
    this.#remembered.delete(account.user);
    this.#foreign = null;
    return change;
  }

  async setPassword(account: { user: string; account: string; password: string }): Promise<Change> {
    const prepared = preparePassword(account.password);
    if (prepared === null)
      throw new FengniError('password-not-allowed', {
        subject: 'the new password',
        remedy: 'use 1 to 1,024 octets without control characters',
        exitStatus: 2,
      });
    const phc = await this.#queue.run('first', '', () => hashPassword(prepared, this.#random, this.#cost));
    if (phc === null)
      throw new FengniError('auth-busy', {
        subject: 'too many passwords wait to be checked',
        remedy: 'try again in a minute',
        retryable: true,
      });
    return this.#setVerifier({ user: account.user, account: account.account, phc });
  }

  disable(user: string): Change | null {
    return this.#setDisabled(user, true);
  }

  enable(user: string): Change | null {
    return this.#setDisabled(user, false);
  }

  removeAccount(user: string): Change | null {
    this.#foreign = null;
    const change = this.#secrets.remove({ user, atMs: this.#clock.nowMs() });
    this.#remembered.delete(user);
    return change;
  }

  unconfirmed(): Change[] {
    return this.#secrets.unconfirmed();
  }

  confirm(id: number): boolean {
    return this.#secrets.confirm(id);
  }

  status(): AuthStatus {
    return { ...this.#counts, hashesWaiting: this.#queue.waiting, slowedWaiting: this.#slowedWaiting };
  }

  #setDisabled(user: string, disabled: boolean): Change | null {
    const change = this.#secrets.setDisabled({ user, disabled, atMs: this.#clock.nowMs() });
    this.#remembered.delete(user);
    return change;
  }

  /** What is kept of a password that was right: worthless without the process key, and for any other version of the account. */
  #mark(user: string, version: number, prepared: string): Uint8Array {
    return createHmac('sha256', this.#processKey)
      .update(JSON.stringify([user, version, prepared]))
      .digest();
  }

  #now(): number {
    return this.#clock.monotonicMs();
  }
}

const knownKey = (user: string, address: string): string => `${address} ${user}`;

/** What counts as one address: IPv4 whole (also when mapped into IPv6), IPv6 its /64. */
export const addressKey = (address: string): string => {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const bare = address.split('%')[0] ?? '';
  if (!isIPv6(bare)) return bare;
  // the URL parser's spelling is canonical
  const text = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const [before = '', after] = text.split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after === undefined || after === '' ? [] : after.split(':');
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
};
