import type { SaslStep } from './step.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a PLAIN message: authorization id, NUL, user, NUL, password, all UTF-8.
 *
 * @source RFC 4616 §2
 */
export const parsePlain = (octets: Uint8Array): SaslStep => {
  let text: string;
  try {
    text = utf8.decode(octets);
  } catch {
    return { kind: 'malformed', reason: 'not UTF-8' };
  }
  const [authorizationId, user, password, ...more] = text.split('\0');
  if (authorizationId === undefined || user === undefined || password === undefined || more.length > 0) {
    return { kind: 'malformed', reason: 'two NUL separate authorization id, user and password' };
  }
  if (user === '' || password === '') return { kind: 'malformed', reason: 'user and password are not empty' };
  return { kind: 'password', user, password, authorizationId };
};
