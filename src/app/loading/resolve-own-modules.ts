import fs from 'node:fs';
import { registerHooks } from 'node:module';

const root = new URL('../../../', import.meta.url).href;
const source = `${root}src/`;

/**
 * What a module of Fengni imports is found without asking the disk: Node looks for the file and for every package.json above it once for each
 * import, which is a third of the CPU that a process needs before it does anything. What is not ours is left to Node.
 *
 * Called by what a process begins with, before it imports anything else.
 */
export const resolveOwnModules = (): void => {
  const { imports } = JSON.parse(fs.readFileSync(new URL('package.json', root), 'utf8')) as {
    imports: Readonly<Record<string, string>>;
  };
  const doors = new Map<string, string | null>();
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier.startsWith('node:')) return { url: specifier, format: 'builtin', shortCircuit: true };
      if (context.parentURL?.startsWith(source) !== true) return next(specifier, context);
      let url: string | null = null;
      if (specifier.startsWith('#')) {
        url = doors.get(specifier) ?? ownDoor(specifier, imports);
        doors.set(specifier, url);
      } else if (specifier.startsWith('.') && specifier.endsWith('.ts')) {
        url = new URL(specifier, context.parentURL).href;
      }
      return url === null
        ? next(specifier, context)
        : { url, format: 'module-typescript', shortCircuit: true };
    },
  });
};

/** What `imports` of package.json makes of `#layer/module`; null where that says nothing. */
export const ownDoor = (specifier: string, imports: Readonly<Record<string, string>>): string | null => {
  const exact = imports[specifier];
  const slash = specifier.indexOf('/');
  const target = exact ?? imports[`${specifier.slice(0, slash)}/*`];
  if (target === undefined || !target.startsWith('./')) return null;
  return root + target.slice(2).replace('*', specifier.slice(slash + 1));
};
