import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';

/** What a requirements file takes in: other files of requirements, and constraints, which say nothing about what is installed. */
interface Taken {
  requirements: string[];
  constraints: string[];
}

/** By their paths. */
type RequirementsFiles = ReadonlyMap<string, Taken & { text: string }>;

export async function readRequirementsFiles(
  root: string,
  paths: readonly string[],
): Promise<RequirementsFiles> {
  return new Map(
    await Promise.all(
      paths.map(async (path) => {
        const text = await readFile(join(root, path), 'utf8');
        return [path, { text, ...takenBy(path, text) }] as const;
      }),
    ),
  );
}

/** Lines without comments, put together where they go on. */
function logicalLines(text: string): string[] {
  return text
    .replace(/(^|\s)#.*$/gm, '$1')
    .replace(/\\\r?\n/g, ' ')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** Addresses are not listed. */
function takenBy(path: string, text: string): Taken {
  const taken: Taken = { requirements: [], constraints: [] };
  for (const line of logicalLines(text)) {
    const [, short, long, file = ''] =
      /^(?:-([rc])\s*|--(requirement|constraint)(?:\s*=\s*|\s+))["']?([^\s"']+)/.exec(line) ?? [];
    if (file === '' || file.includes('://')) continue;
    const list = short === 'r' || long === 'requirement' ? taken.requirements : taken.constraints;
    list.push(posix.join(posix.dirname(path), file));
  }
  return taken;
}

/** Why a file is not of requirements that lies in a folder named `requirements` and has another name. */
export function notInstalled(path: string, files: RequirementsFiles): string | undefined {
  if (/^requirements/i.test(posix.basename(path))) return undefined;
  const constrains = [...files.values()].some(({ constraints }) => constraints.includes(path));
  if (constrains || /^constraints/i.test(posix.basename(path)))
    return 'not audited, for constraints install nothing by themselves';
  return areRequirements(files.get(path)?.text ?? '')
    ? undefined
    : 'not audited, for most of its lines are no requirements';
}

/**
 * Whether most lines can be requirements (https://pip.pypa.io/en/stable/reference/requirements-file-format/): folders named `requirements`
 * are also those of texts about what is wanted.
 */
function areRequirements(text: string): boolean {
  const lines = logicalLines(text);
  const name = String.raw`^[\w.-]+\s*(?:\[[^\]]*\])?\s*(?:$|[=<>!~;@(]|--)`;
  const place = String.raw`^\S*://|^\.{0,2}/|^\S+\.(?:whl|zip|tar\.gz)$`;
  const fitting = lines.filter((line) => new RegExp(`^-|${name}|${place}`).test(line));
  return fitting.length * 2 > lines.length || lines.length === 0;
}

/** Which of the files it takes in, also by others. */
export function includesOf(path: string, files: RequirementsFiles): string[] {
  const includes = new Set<string>();
  const waiting = [path];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    for (const taken of files.get(at)?.requirements ?? []) {
      if (taken === path || includes.has(taken) || !files.has(taken)) continue;
      includes.add(taken);
      waiting.push(taken);
    }
  }
  return [...includes];
}
