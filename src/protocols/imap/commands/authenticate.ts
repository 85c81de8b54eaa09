import {
  channelBindings,
  createSaslExchange,
  parseSaslBase64,
  type SaslExchange,
  type SaslStep,
} from '#protocols/sasl';
import type { CommandSession } from '../command-session.ts';
import { bad, no, type Reply, refusal } from '../reply.ts';
import type { Command } from './command.ts';

/** AUTHENTICATE with or without an initial response. @source RFC 9051 §6.2.2, RFC 4959 */
export const authenticate: Command = {
  name: 'AUTHENTICATE',
  states: ['before-login'],
  tells: 'nothing',
  run: (session, args, tag) => {
    args.space();
    const mechanism = args.astring();
    const initial = args.blanks() && !args.atEnd ? args.astring() : null;
    args.end();
    const { transport, server } = session;
    if (!transport.secure) return no('TLS comes first', 'PRIVACYREQUIRED');
    const { random } = server.options;
    const binding = transport.channelBinding ?? (() => null);
    const exchange = createSaslExchange(mechanism, {
      binding,
      offersPlus: session.capabilities.includes('-PLUS'),
      random: random ?? noRandom,
    });
    if (exchange === null || (random === undefined && mechanism.toUpperCase() !== 'PLAIN'))
      return no('The mechanism is not supported', 'CANNOT');
    if (initial === null) return take(session, tag, exchange, exchange.begin(null));
    // RFC 4959 §3: a single = is an initial response of no octets.
    const octets = initial === '=' ? new Uint8Array(0) : parseSaslBase64(initial);
    return octets === null ? bad('That is not base64') : take(session, tag, exchange, exchange.begin(octets));
  },
};

const noRandom = (): never => {
  throw new RangeError('SCRAM without randomness');
};

/** Whether the transport has something that a log-in can be bound to. */
export const isBound = ({ transport }: Pick<CommandSession, 'transport'>): boolean =>
  channelBindings.some((name) => (transport.channelBinding?.(name) ?? null) !== null);

type Outcome = Reply | null | Promise<Reply | null>;

const take = (session: CommandSession, tag: string, exchange: SaslExchange, step: SaslStep): Outcome => {
  const go = (next: SaslStep): Outcome => take(session, tag, exchange, next);
  switch (step.kind) {
    case 'challenge':
      session.send(`+ ${Buffer.from(step.octets).toString('base64')}\r\n`);
      return session.awaitLine({
        tag,
        tells: 'nothing',
        line: (_, text) => {
          const octets = parseSaslBase64(text);
          if (octets !== null) return go(exchange.respond(octets));
          session.enterProved(false);
          return bad(text === '*' ? 'Cancelled' : 'That is not base64');
        },
      });
    case 'malformed':
      session.enterProved(false);
      return bad(`That is no response of this mechanism: ${step.reason}`);
    case 'password':
      return session.authenticate(step.authorizationId, step.user, step.password);
    case 'parameters':
      return (async () => {
        const outcome = await session.server.options.login.scram?.parameters(step.user);
        if (outcome === undefined) return no('The mechanism is not supported', 'CANNOT');
        return outcome.kind === 'refused' ? refusal(outcome) : go(exchange.parameters(outcome));
      })();
    case 'proof':
      return (async () => {
        const outcome = await session.prove(step.proof);
        return outcome.kind === 'proved' ? go(exchange.proved(outcome.serverSignature)) : outcome.reply;
      })();
    case 'done':
      return session.enterProved(true);
  }
};
