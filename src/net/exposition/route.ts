import { HttpRefusal, type Route } from '#net/http';
import type { Gathered } from '#net/metrics';
import { expose } from './expose.ts';
import { askedForm, contentTypes } from './exposition.ts';
import { type FamilyName, meaningKey } from './families.ts';

/** @param gather null where nobody gathered in time */
export const metricsRoute = (gather: () => Promise<Gathered | null>): Route => ({
  method: 'GET',
  path: '/metrics',
  handle: async ({ headers }) => {
    const gathered = await gather();
    if (gathered === null) throw new HttpRefusal(503, 'The server does not answer itself in time.');
    const form = askedForm(headers['accept'] ?? '');
    // The words of two languages cost a start more than the rest of this role: the first scrape loads them.
    const { say } = await import('#base/text');
    const meaning = (name: FamilyName): string => say('en', meaningKey(name));
    return {
      status: 200,
      headers: { 'content-type': contentTypes[form] },
      body: expose(gathered).text(form, meaning),
    };
  },
});
