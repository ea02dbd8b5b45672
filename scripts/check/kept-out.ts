import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What no file of the repository may hold. Each is written so that it does not match itself. */
const keptOut: { what: string; pattern: RegExp; except?: RegExp }[] = [
  {
    what: 'a package registry: it depends on where the clone is',
    pattern: /registry\.npmjs|registry\.yarnpkg|files\.pythonhosted|pypi\.org\/simple|proxy\.golang/,
  },
  {
    what: 'a path of one machine',
    pattern: /(?:^|[\s"'`=(:])\/(?:work|root|Users\/\w+|home\/(?!runner\b)\w+)\//,
  },
  { what: 'a key of AWS', pattern: /\bAKIA[0-9A-Z]{16}\b/ },
  { what: 'a token of GitHub', pattern: /\bgh[opsur]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22}/ },
  { what: 'a token of Slack', pattern: /\bxox[abprs]-\d{6}/ },
  { what: 'a private key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-{5}/ },
  { what: 'work that is left', pattern: /\b(?:TO[D]O|FIX[M]E|XX[X])\b/, except: /^dist\// },
];

/** Every file of the repository, whether it is committed yet or not, that git does not ignore. */
export async function repositoryFiles(root: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate'],
    { cwd: root, maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout.split('\0').filter((path) => path !== '');
}

export async function findKeptOut(root: string): Promise<string[]> {
  const found: string[] = [];
  for (const path of await repositoryFiles(root)) {
    const text = await readFile(join(root, path), 'utf8').catch(() => '');
    for (const { what, pattern, except } of keptOut) {
      if (except?.test(path) === true || !pattern.test(text)) continue;
      const line = text.split('\n').findIndex((content) => pattern.test(content)) + 1;
      found.push(`${path}:${line}: ${what}`);
    }
  }
  return found;
}
