import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compareVersions } from './advisory.ts';
import { findLockFiles } from './lock-files.ts';
import { readPythonLock, readRequirements } from './python-locks.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'locks-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(name: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), text);
}

describe('a requirements file', () => {
  it('has its packages with their lines', () => {
    const text =
      '# ours\nDjango==5.1.2 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\npsycopg[binary] == 3.2 ; python_version > "3.8" --hash=sha256:cc  # driver\n';
    expect(readRequirements(text)).toEqual({
      packages: [
        { name: 'django', version: '5.1.2', hashed: true, line: 2 },
        { name: 'psycopg', version: '3.2', hashed: true, line: 5 },
      ],
      complete: true,
    });
  });

  it.each([
    ['a range', 'django>=5 --hash=sha256:aa'],
    ['no hash', 'django==5.1'],
    ['an open end', 'django==5.* --hash=sha256:aa'],
    ['another file', 'django==5.1 --hash=sha256:aa\n-r base.txt'],
    ['an editable one', 'django==5.1 --hash=sha256:aa\n-e .'],
    ['an address', 'django==5.1 --hash=sha256:aa\nhttps://files.example/a.whl --hash=sha256:bb'],
    ['a name with an address', 'django @ https://files.example/a.whl --hash=sha256:bb'],
    ['nothing', '# nothing\n'],
  ])('with %s is not complete', (_what, text) => {
    expect(readRequirements(text).complete).toBe(false);
  });

  it('is complete with an index of its own', () => {
    expect(
      readRequirements('--index-url https://pypi.example/\ndjango==5.1 --hash=sha256:aa\n').complete,
    ).toBe(true);
  });
});

describe('uv.lock', () => {
  it('says what the project asks for, and what is its own', async () => {
    await put(
      'uv.lock',
      `version = 1
revision = 3

[[package]]
name = "helpdesk"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "Django" },
]

[package.dev-dependencies]
dev = [
    { name = "pytest" },
]

[[package]]
name = "django"
version = "5.1.2"
source = { registry = "https://pypi.example/simple" }
dependencies = [
    { name = "sqlparse" },
]

[[package]]
name = "pytest"
version = "8.3.3"
source = { registry = "https://pypi.example/simple" }

[[package]]
name = "sqlparse"
version = "0.5.1"
source = { registry = "https://pypi.example/simple" }
`,
    );
    expect(await readPythonLock(folder, { kind: 'uv', path: 'uv.lock' })).toEqual([
      { name: 'helpdesk', version: '0.1.0', line: 5, direct: false, from: 'own' },
      { name: 'django', version: '5.1.2', line: 18, direct: true, from: 'index' },
      { name: 'pytest', version: '8.3.3', line: 26, direct: true, from: 'index' },
      { name: 'sqlparse', version: '0.5.1', line: 31, direct: false, from: 'index' },
    ]);
  });
});

describe('poetry.lock', () => {
  const text = `[[package]]
name = "Jinja2"
version = "3.1.4"
description = "name = 1"

[package.dependencies]
name = "x"

[[package]]
name = "markupsafe"
version = "2.1.5"

[[package]]
name = "ours"
version = "1"

[package.source]
type = "git"
url = "https://git.example/ours"

[metadata]
lock-version = "2.0"
`;

  it('says what comes from where; what is asked for is in pyproject.toml', async () => {
    await put('poetry.lock', text);
    await put('pyproject.toml', '[tool.poetry.group.web.dependencies]\njinja2 = "^3"\n');
    expect(await readPythonLock(folder, { kind: 'poetry', path: 'poetry.lock' })).toMatchObject([
      { name: 'jinja2', line: 2, direct: true, from: 'index' },
      { name: 'markupsafe', line: 10, direct: false, from: 'index' },
      { name: 'ours', line: 14, from: 'other' },
    ]);
  });

  it('alone does not say what is asked for', async () => {
    await put('poetry.lock', text);
    expect(await readPythonLock(folder, { kind: 'poetry', path: 'poetry.lock' })).toMatchObject([
      { direct: null },
      { direct: null },
      { direct: null },
    ]);
  });
});

describe('lock files', () => {
  it('stand for the pyproject.toml beside them', async () => {
    await put('pyproject.toml', '[project]\ndependencies = ["django>=5"]\n');
    expect((await findLockFiles(folder)).files).toEqual([{ kind: 'pyproject', path: 'pyproject.toml' }]);
    await put('uv.lock', 'version = 1\n');
    expect((await findLockFiles(folder)).files).toEqual([{ kind: 'uv', path: 'uv.lock' }]);
  });

  it('of a workspace stand for its members alone, not for all that lies below', async () => {
    const asking = '[project]\ndependencies = ["django>=5"]\n';
    for (const name of ['.', 'packages/forms', 'libs/mail', 'tools/seed'])
      await put(`${name}/pyproject.toml`, asking);
    const lockOf = (...sources: string[]) =>
      ['version = 1', ...sources.map((source) => `[[package]]\nname = "a"\nsource = { ${source} }`)].join(
        '\n',
      );
    await put('uv.lock', lockOf('virtual = "."', 'editable = "packages/forms"', 'directory = "libs/mail/"'));
    expect((await findLockFiles(folder)).files).toEqual([
      { kind: 'pyproject', path: 'tools/seed/pyproject.toml' },
      { kind: 'uv', path: 'uv.lock' },
    ]);
    // An example below a locked project says nothing about the project.
    await put('tools/seed/pyproject.toml', '[tool.poetry.dependencies]\npython = "^3.11"\ndjango = "^5"\n');
    expect(await findLockFiles(folder)).toMatchObject({
      files: [{ kind: 'uv' }],
      passed: [{ path: 'tools/seed/pyproject.toml' }],
    });
  });

  it('leave what a pyproject.toml asks for besides unaudited, and say it', async () => {
    await put(
      'pyproject.toml',
      '[project]\ndependencies = ["django>=5"]\n[project.optional-dependencies]\ns3 = ["boto3"]\nnone = []\n[dependency-groups]\ndev = ["pytest"]\n',
    );
    const why = expect.stringContaining(
      'its optional-dependencies (s3) and dependency-groups (dev) are not audited',
    ) as unknown;
    expect(await findLockFiles(folder)).toEqual({
      files: [{ kind: 'pyproject', path: 'pyproject.toml' }],
      passed: [{ path: 'pyproject.toml', why }],
    });
    await put('pyproject.toml', '[dependency-groups]\ndev = ["pytest"]\n');
    await put('a/package-lock.json', '{}');
    expect((await findLockFiles(folder)).passed).toMatchObject([{ path: 'pyproject.toml' }]);
    await put('uv.lock', 'version = 1\n');
    expect((await findLockFiles(folder)).passed).toEqual([]);
  });

  it('are the files of requirements in a folder of that name, without constraints and texts', async () => {
    await put('backend/requirements/base.txt', '-c upper.txt\ndjango==5.1\n');
    await put('backend/requirements/dev.txt', '-r base.txt  # all of it\npytest\n');
    await put('backend/requirements/ci.txt', '--requirement=dev.txt\n');
    await put('backend/requirements/upper.txt', 'django<6\n');
    await put('backend/requirements/constraints.txt', 'django<6\n');
    await put('docs/requirements/login.txt', 'Login\n\nA user signs in with a name.\nAnd out.\n');
    const base = { kind: 'requirements', path: 'backend/requirements/base.txt' };
    const dev = { kind: 'requirements', path: 'backend/requirements/dev.txt', includes: [base.path] };
    const ci = {
      kind: 'requirements',
      path: 'backend/requirements/ci.txt',
      includes: [dev.path, base.path],
    };
    const { files, passed } = await findLockFiles(folder);
    expect(files).toEqual([base, ci, dev]);
    expect(passed.map(({ path, why }) => `${path} ${why}`)).toEqual([
      expect.stringMatching(/constraints.txt not audited, for constraints/),
      expect.stringMatching(/upper.txt not audited, for constraints/),
      expect.stringMatching(/login.txt not audited, for most of its lines/),
    ]);
    expect((await findLockFiles(folder, ['docs/requirements/login.txt'])).files).toHaveLength(1);
  });

  it('are none of a pyproject.toml that asks for nothing', async () => {
    await put('pyproject.toml', '[tool.ruff]\nline-length = 100\n');
    await expect(findLockFiles(folder)).rejects.toMatchObject({ reasonCode: 'not_found' });
  });
});

it.each([
  ['1.10', '1.9', 1],
  ['2.0', '2.0.1', -1],
  ['2.7.2', '2.7.2', 0],
])('version %s against %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});
