import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Metafile, type Plugin } from 'esbuild';

/**
 * Packages whose modules only define things when they are imported, so that what is not used of them falls away; so do our own.
 * Most of them do not say so in their package.json: of `@actions/core` alone, undici would be 784 of 805 kB.
 */
const definesOnly =
  /\/node_modules\/(?:@actions|@octokit|undici|tunnel|js-yaml|httpxy|@kubernetes|openid-client|oauth4webapi|rfc4648)\//;

function withoutSideEffects(root: string): Plugin {
  const own = join(root, 'packages', '/');
  return {
    name: 'without-side-effects',
    setup({ onResolve, resolve: resolveModule }) {
      onResolve({ filter: /^[^/]/ }, async ({ path, pluginData, ...from }) => {
        if (pluginData === 'resolving' || from.kind === 'entry-point') return undefined;
        const resolved = await resolveModule(path, { ...from, pluginData: 'resolving' });
        const shakes = resolved.path.startsWith(own) || definesOnly.test(resolved.path);
        return resolved.errors.length === 0 && shakes ? { ...resolved, sideEffects: false } : undefined;
      });
    },
  };
}

/**
 * What the Kubernetes client sends its own requests with. Ours go over node:https with the credentials that it finds, so none of these
 * is ever reached, and four fifths of its bundle fall away.
 */
const ownTransport = /^(?:undici|hpagent|socks|socks-proxy-agent)$/;

function withoutTransport(): Plugin {
  const namespace = 'without-transport';
  return {
    name: namespace,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: ownTransport }, ({ path, importer }) =>
        /\/node_modules\/@kubernetes\/client-node\//.test(importer)
          ? { path, namespace, sideEffects: false }
          : undefined,
      );
      onLoad({ filter: ownTransport, namespace }, ({ path }) => ({
        contents: `const never = class { constructor() { throw new Error('${path} is not in the bundle'); } };
          export { ${['Agent', 'ProxyAgent', 'HttpProxyAgent', 'HttpsProxyAgent', 'SocksClient', 'SocksProxyAgent', 'fetch'].map((name) => `never as ${name}`).join(', ')} };`,
      }));
    },
  };
}

/** A package of CommonJS requires modules of Node, which the bundle, an ES module, can only import: it is given them another way. */
function requiredBuiltins(): Plugin {
  const namespace = 'required-builtins';
  return {
    name: namespace,
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
        kind === 'require-call' && isBuiltin(path) ? { path, namespace } : undefined,
      );
      onLoad({ filter: /./, namespace }, ({ path }) => ({
        contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      }));
    },
  };
}

const readText = /readFileSync\(\s*new URL\('([^']+)',\s*import\.meta\.url\),\s*'utf8'\s*,?\s*\)/g;

/** Files beside a module are no files in the bundle: a text that is read from one becomes a string of the module. */
function textsInline(root: string): Plugin {
  return {
    name: 'texts-inline',
    setup({ onLoad }) {
      onLoad({ filter: /\/(?:packages|actions)\/.*\.ts$/ }, async ({ path }) => {
        if (path.includes('/node_modules/')) return undefined;
        const source = await readFile(path, 'utf8');
        const contents = source.replaceAll(readText, (_match, name: string) =>
          JSON.stringify(readFileSync(resolve(dirname(path), name), 'utf8')),
        );
        if (contents.includes('import.meta.')) {
          throw new Error(
            `${relative(root, path)} asks where it is, which is another place in the bundle. Read a text with readFileSync(new URL('./name', import.meta.url), 'utf8'), and ask the context of the action for a program.`,
          );
        }
        return { contents, loader: 'ts' };
      });
    },
  };
}

/**
 * Bundles an entry without what is not used, lazily loaded code in chunks of its own: outdir/index.mjs and its chunks, for ncc
 * to go on with.
 */
export async function shake(root: string, entry: string, outdir: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: { index: entry },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    outExtension: { '.js': '.mjs' },
    minify: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    plugins: [withoutTransport(), requiredBuiltins(), textsInline(root), withoutSideEffects(root)],
  });
  return metafile;
}
