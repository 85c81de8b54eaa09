import { type Route, textReply } from './router.ts';

/** For load balancers and supervisors. A stranger learns yes or no, nothing else. */
export const healthRoutes = (options: { ready: () => boolean | Promise<boolean> }): Route[] => [
  { method: 'GET', path: '/healthz', handle: () => textReply(200, 'ok') },
  {
    method: 'GET',
    path: '/readyz',
    handle: async () => ((await options.ready()) ? textReply(200, 'ready') : textReply(503, 'not ready')),
  },
];
