import { glob, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  codeOf,
  DeployError,
  type Log,
  lastLines,
  messageOf,
  pathBelow,
  runProcess,
} from '@deploy-actions/core';

/** A text with manifests. */
export interface Source {
  /** The file, relative to the workspace, or the command that wrote it. */
  name: string;
  text: string;
}

const extensions = /\.(?:ya?ml|json)$/i;
/** They are no manifests but what manifests are made from. */
const forOthers: Record<string, string> = {
  'kustomization.yml': 'kustomize build',
  'kustomization.yaml': 'kustomize build',
  kustomization: 'kustomize build',
  'chart.yaml': 'helm template',
};

const isPattern = (path: string): boolean => /[*?[\]{}]/.test(path);

/**
 * The manifests that files, folders (with all below them) and globs name, each file once, in the order of their names
 * within each item. Throws `not_found` for an item that names nothing, `invalid_input` for what has to be rendered first.
 */
export async function readSources(items: readonly string[], workspace: string): Promise<Source[]> {
  const files = new Set<string>();
  for (const item of items) for (const file of await filesOf(item, workspace)) files.add(file);
  return Promise.all(
    [...files].map(async (file) => ({ name: nameOf(file, workspace), text: await textOf(file, workspace) })),
  );
}

function nameOf(file: string, workspace: string): string {
  return pathBelow(workspace, file) ?? file;
}

async function filesOf(item: string, workspace: string): Promise<string[]> {
  const path = resolve(workspace, item);
  const kind = await stat(path).catch(() => undefined);
  if (kind?.isFile() === true) return [path];
  if (kind === undefined && !isPattern(item)) throw nothing(item, 'does not exist');
  const pattern = kind === undefined ? item : join(item, '**/*');
  const found: string[] = [];
  for await (const entry of glob(pattern, { cwd: workspace, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const maker = forOthers[entry.name.toLowerCase()];
    if (maker !== undefined) throw unrendered(nameOf(join(entry.parentPath, entry.name), workspace), maker);
    if (extensions.test(entry.name)) found.push(join(entry.parentPath, entry.name));
  }
  if (found.length === 0) throw nothing(item, 'has no file that ends in .yml, .yaml or .json');
  return found.toSorted();
}

function nothing(item: string, what: string): DeployError {
  return new DeployError('not_found', `manifests: ${item} ${what}.`, {
    remedy: 'Correct the path; it is relative to the workspace. Is the repository checked out?',
  });
}

function unrendered(file: string, maker: string): DeployError {
  const folder = file.slice(0, Math.max(0, file.lastIndexOf('/'))) || '.';
  return new DeployError('invalid_input', `manifests: ${file} is what manifests are made from.`, {
    remedy: `Apply what it makes: \`render: ${maker} ${folder}\`.`,
  });
}

async function textOf(file: string, workspace: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new DeployError(
      'permission_denied',
      `manifests: ${nameOf(file, workspace)} cannot be read (${codeOf(cause) ?? messageOf(cause)}).`,
      { remedy: 'Make it readable for the user that the runner works as.', cause },
    );
  }
}

/** Bytes of manifests that a command may write. */
const largestRender = 32 * 1024 * 1024;
const renderTimeout = 120_000;

export interface RenderOptions {
  workspace: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  log: Log;
}

/** What a command such as `kustomize build k8s` writes. Throws `command_failed`, `not_found`, `timeout`. */
export async function renderSource(command: string[], options: RenderOptions): Promise<Source> {
  const name = command.join(' ');
  options.log.debug(`Rendering the manifests: ${name}`);
  const { code, signal, stdout, stderr } = await runProcess({
    command,
    cwd: options.workspace,
    env: options.environment,
    signal: options.signal,
    timeout: renderTimeout,
    keep: largestRender,
  });
  if (code !== 0) {
    throw new DeployError(
      'command_failed',
      `render: \`${name}\` ended with ${signal === null ? `exit code ${code}` : signal}. Nothing was written.`,
      { details: lastLines(stderr, 20), remedy: 'Run it in the workspace and correct what it says.' },
    );
  }
  if (stdout.trim() === '') {
    throw new DeployError('invalid_input', `render: \`${name}\` wrote nothing to standard output.`, {
      remedy: 'Have it write the manifests there.',
    });
  }
  return { name, text: stdout };
}
