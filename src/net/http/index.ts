/**
 * The HTTPS frame: routes, limits, security headers; health, the public part of the seal, the plain first page.
 *
 * RFC 9110, RFC 9112, C2SP tlog-tiles. Always true: a path has one reading (no dots, no empty segment, no encoded slash); a body is
 * never longer than its route allows; a failure tells a stranger nothing of us; what is not public is never cached. JMAP, the admin
 * API and the rest add their routes to the list.
 */
export { healthRoutes } from './health-routes.ts';
export { type HomeOptions, homeRoute, type MailService } from './home-route.ts';
export {
  createHttpServer,
  type HttpLimits,
  type HttpServer,
  type HttpServerOptions,
  httpLimits,
} from './http-server.ts';
export {
  createRouter,
  type Found,
  HttpRefusal,
  type HttpReply,
  type HttpRequest,
  type Method,
  type Route,
  textReply,
} from './router.ts';
export { checkpointLifeMs, type SealOptions, sealRoutes } from './seal-routes.ts';
