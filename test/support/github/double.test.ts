import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routes } from './routes/routes.ts';
import { actionsBot, faults, type GitHubDouble, presets, startGitHub } from './index.ts';

let github: GitHubDouble;
beforeEach(async () => {
  github = await startGitHub();
});
afterEach(() => github.stop());

/** Those properties of answers that are looked at; each answer has some of them. */
interface Body {
  id: number | string;
  sha: string;
  message: string;
  output: { text: string };
  data: { updateRefs: unknown; viewer: unknown; repository: { ref: unknown } };
  errors: { message: string }[];
}

interface Sent {
  status: number;
  headers: Headers;
  body: Body;
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  { token = github.token(), headers = {} }: { token?: string; headers?: Record<string, string> } = {},
): Promise<Sent> {
  const answer = await fetch(
    path === 'graphql' ? github.graphqlUrl : `${github.apiUrl}/repos/acme/helpdesk${path}`,
    {
      method,
      headers: { authorization: `token ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
  );
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: JSON.parse(text || '{}') as Body };
}

describe('the description', () => {
  it.each([
    ['a misspelt property', 'POST', '/deployments', { ref: 'main', enviroment: 'x' }, /enviroment/],
    ['a wrong type', 'POST', '/deployments', { ref: 1 }, /must be string/],
    ['a missing property', 'POST', '/check-runs', { name: 'x' }, /head_sha/],
    [
      'a value that is not in the list',
      'POST',
      '/deployments/1/statuses',
      { state: 'done' },
      /allowed values/,
    ],
    ['a query that is not known', 'GET', '/deployments?enviroment=x', undefined, /enviroment/],
    ['a route that does not exist', 'POST', '/deploys', {}, /no such route/],
  ])('does not let pass %s', async (_what, method, path, body, problem) => {
    const { status } = await send(method, path, body);
    expect([404, 422]).toContain(status);
    expect(github.takeProblems().join()).toMatch(problem);
  });

  it('fails the test when nobody takes the problems', async () => {
    const other = await startGitHub();
    await fetch(`${other.apiUrl}/nowhere`, { headers: { authorization: `token ${other.token()}` } });
    await expect(other.stop()).rejects.toThrow('GET /nowhere: the double knows no such route');
  });

  it('has answers of its own that it allows, for every operation', async () => {
    const sha = github.head;
    const pull = github.openPull();
    github.repository.statuses.push({ id: 6, sha, context: 'ci', state: 'success', description: null });
    github.repository.runs.push({ id: 7, run_attempt: 1, status: 'completed', conclusion: 'success' });
    const deployment = (await send('POST', '/deployments', { ref: sha })).body.id;
    const check = (await send('POST', '/check-runs', { name: 'lint', head_sha: sha })).body.id;
    const comment = (await send('POST', `/issues/${pull.number}/comments`, { body: 'Hello' })).body.id;
    const sarif = gzipSync(JSON.stringify({ version: '2.1.0', runs: [] })).toString('base64');
    const analysis = await send('POST', '/code-scanning/sarifs', {
      commit_sha: sha,
      ref: 'refs/heads/main',
      sarif,
    });
    const blob = (await send('POST', '/git/blobs', { content: 'hi', encoding: 'utf-8' })).body.sha;
    const tree = (await send('POST', '/git/trees', { tree: [{ path: 'a', content: 'hi' }] })).body.sha;
    const commit = (await send('POST', '/git/commits', { message: 'm', tree, parents: [sha] })).body.sha;
    const requests: [string, string, object?][] = [
      ['GET', '/deployments'],
      ['GET', `/deployments/${deployment}`],
      ['POST', `/deployments/${deployment}/statuses`, { state: 'in_progress' }],
      ['GET', `/deployments/${deployment}/statuses`],
      ['GET', '/environments/production'],
      ['GET', `/check-runs/${check}`],
      ['PATCH', `/check-runs/${check}`, { conclusion: 'success' }],
      ['GET', `/check-runs/${check}/annotations`],
      ['GET', `/commits/${sha}/check-runs?filter=all`],
      ['GET', `/commits/${sha}/status`],
      ['GET', `/issues/${pull.number}/comments?per_page=100&page=1`],
      ['PATCH', `/issues/comments/${comment}`, { body: 'Hello again' }],
      ['DELETE', `/issues/comments/${comment}`],
      ['GET', `/pulls/${pull.number}`],
      ['GET', `/code-scanning/sarifs/${analysis.body.id}`],
      ['POST', '/git/refs', { ref: 'refs/x/y', sha }],
      ['PATCH', '/git/refs/x%2Fy', { sha: commit }],
      ['GET', '/git/ref/heads/main'],
      ['GET', `/git/blobs/${blob}`],
      ['GET', `/git/trees/${tree}`],
      ['GET', `/git/commits/${commit}`],
      ['GET', '/actions/runs/7'],
      ['DELETE', '/git/refs/x/y'],
    ];
    const statuses: string[] = [];
    for (const [method, path, body] of requests) {
      statuses.push(`${path} ${(await send(method, path, body)).status}`);
    }
    expect(new Set(github.calls.map(({ operation }) => operation))).toEqual(new Set(Object.keys(routes)));
    expect(statuses.filter((line) => !/ 20[0-4]$/.test(line))).toEqual([]);
    expect(github.takeProblems()).toEqual([]);
  });
});

describe('tokens', () => {
  it('may do what their permissions say, and read the reason', async () => {
    const refused = await send(
      'POST',
      '/check-runs',
      { name: 'x', head_sha: github.head },
      {
        token: github.token(presets.fork),
      },
    );
    expect([refused.status, refused.body.message]).toEqual([403, 'Resource not accessible by integration']);
    expect(refused.headers.get('x-accepted-github-permissions')).toBe('checks=write');
    expect(github.repository.checkRuns).toEqual([]);
    expect(
      (await send('GET', '/git/ref/heads/main', undefined, { token: github.token(presets.none) })).status,
    ).toBe(403);
    expect((await send('GET', '/deployments', undefined, { token: 'nobody' })).body.message).toBe(
      'Bad credentials',
    );
  });

  it('need one of two permissions for a comment', async () => {
    const pull = github.openPull();
    for (const permission of ['issues', 'pull-requests'] as const) {
      const token = github.token({ [permission]: 'write' });
      expect((await send('POST', `/issues/${pull.number}/comments`, { body: 'x' }, { token })).status).toBe(
        201,
      );
    }
  });
});

describe('rules that the description does not hold', () => {
  const at = (more: object) => ({
    name: 'x',
    head_sha: github.head,
    output: {
      title: 't',
      summary: 's',
      annotations: [
        { path: 'a', start_line: 1, end_line: 1, annotation_level: 'notice', message: 'm', ...more },
      ],
    },
  });

  it.each([
    ['completed without a conclusion', () => ({ name: 'x', head_sha: github.head, status: 'completed' })],
    [
      'a summary of too many bytes',
      () => ({ ...at({}), output: { title: 't', summary: 'é'.repeat(32_768) } }),
    ],
    [
      '51 annotations',
      () => {
        const { output, ...rest } = at({});
        return { ...rest, output: { ...output, annotations: Array(51).fill(output.annotations[0]) } };
      },
    ],
    ['a long annotation', () => at({ message: 'x'.repeat(65_537) })],
    ['a long title', () => at({ title: 'x'.repeat(256) })],
    ['line 0', () => at({ start_line: 0 })],
    ['lines backwards', () => at({ start_line: 2 })],
    ['columns over several lines', () => at({ end_line: 2, start_column: 1 })],
    ['an absolute path', () => at({ path: '/etc/passwd' })],
  ])('a check run: %s', async (_what, body) => {
    expect((await send('POST', '/check-runs', body())).status).toBe(422);
    expect(github.takeProblems()).toHaveLength(1);
    expect(github.repository.checkRuns).toEqual([]);
  });

  it('a check run: text is cut in silence, output replaced as a whole, annotations added', async () => {
    const made = await send('POST', '/check-runs', {
      ...at({}),
      output: { ...at({}).output, text: 'é'.repeat(40_000) },
    });
    expect(Buffer.byteLength(made.body.output.text)).toBe(65_534);
    const updated = await send('PATCH', `/check-runs/${made.body.id}`, { output: at({}).output });
    expect(updated.body.output).toMatchObject({ text: null, annotations_count: 2 });
  });

  it('a comment has at most 65,536 characters, and some', async () => {
    const { number } = github.openPull();
    for (const body of ['', 'x'.repeat(65_537)]) {
      expect((await send('POST', `/issues/${number}/comments`, { body })).status).toBe(422);
    }
    expect(github.takeProblems()).toHaveLength(2);
    expect((await send('POST', `/issues/${number}/comments`, { body: 'x'.repeat(65_536) })).status).toBe(201);
    expect((await send('POST', '/issues/4711/comments', { body: 'x' })).status).toBe(404);
  });

  it('a deployment waits for its checks unless told otherwise, and success makes its elders inactive', async () => {
    await send('POST', '/check-runs', { name: 'test', head_sha: github.head });
    expect((await send('POST', '/deployments', { ref: 'main' })).status).toBe(409);
    const deploy = async (environment: string) => {
      const made = await send('POST', '/deployments', { ref: 'main', environment, required_contexts: [] });
      await send('POST', `/deployments/${made.body.id}/statuses`, { state: 'success' });
      return github.repository.deployments.at(-1)!;
    };
    const states = (deployment: { statuses: { state: string }[] }) =>
      deployment.statuses.map(({ state }) => state);
    const [first, second] = [await deploy('staging'), await deploy('staging')];
    expect([states(first), states(second)]).toEqual([['success', 'inactive'], ['success']]);
    const [live] = [await deploy('production'), await deploy('production')];
    expect(states(live)).toEqual(['success']);
    const path = `/deployments/${live.id}/statuses`;
    expect((await send('POST', path, { state: 'success', description: 'x'.repeat(141) })).status).toBe(422);
    expect((await send('POST', path, { state: 'success', log_url: 'see log' })).status).toBe(422);
    expect(github.takeProblems()).toHaveLength(2);
  });

  it.each([
    ['no gzip', () => Buffer.from('{}').toString('base64')],
    ['no Base64', () => '***'],
    ['another version', () => gzipSync('{"version":"2.0.0","runs":[]}').toString('base64')],
    [
      'one category twice',
      () => {
        const run = { tool: { driver: { name: 't' } }, automationDetails: { id: 'c' }, results: [] };
        return gzipSync(JSON.stringify({ version: '2.1.0', runs: [run, run] })).toString('base64');
      },
    ],
  ])('SARIF: %s', async (_what, sarif) => {
    const body = { commit_sha: github.head, ref: 'refs/heads/main', sarif: sarif() };
    expect((await send('POST', '/code-scanning/sarifs', body)).status).toBe(422);
    expect(github.takeProblems()).toHaveLength(1);
  });

  it('SARIF: not as its schema says, in the end', async () => {
    const run = { tool: { driver: { name: 't' } }, results: [{ level: 'fatal', message: { text: 'm' } }] };
    const sarif = gzipSync(JSON.stringify({ version: '2.1.0', runs: [run] })).toString('base64');
    const body = { commit_sha: github.head, ref: 'refs/heads/main', sarif };
    expect((await send('POST', '/code-scanning/sarifs', body)).status).toBe(202);
    await expect(github.stop()).rejects.toThrow(/its SARIF is not as the schema says: .*level/);
    github = await startGitHub();
  });
});

describe('Git', () => {
  const query = `query($name: String!, $oid: GitObjectID!) {
    repository(owner: "acme", name: "helpdesk") { id ref(qualifiedName: $name) { name } object(oid: $oid) { oid } } }`;
  const update = 'mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }';
  const move = (name: string, beforeOid: string, afterOid: string, token = github.token()) =>
    send(
      'POST',
      'graphql',
      {
        query: update,
        variables: {
          input: { repositoryId: 'R_acme_helpdesk', refUpdates: [{ name, beforeOid, afterOid }] },
        },
      },
      { token },
    );

  it('names objects as Git does', async () => {
    expect((await send('POST', '/git/blobs', { content: 'hello\n' })).body.sha).toBe(
      'ce013625030ba8dba906f756967f9e9ca394464a',
    );
    expect(
      (
        await send('POST', '/git/trees', {
          tree: [{ path: 'f', content: 'hello\n', mode: '100644', type: 'blob' }],
        })
      ).body.sha,
    ).toBe('10731d0b170b98481a00bdca161e874e0ab93377');
  });

  it('moves a reference forward, or by force', async () => {
    const next = github.push('other');
    expect((await send('PATCH', '/git/refs/heads/main', { sha: next })).status).toBe(200);
    expect((await send('PATCH', '/git/refs/heads/main', { sha: github.head })).status).toBe(422);
    expect((await send('PATCH', '/git/refs/heads/main', { sha: github.head, force: true })).status).toBe(200);
    expect((await send('POST', '/git/refs', { ref: 'refs/heads/main', sha: next })).status).toBe(422);
    expect(github.takeProblems()).toEqual([]);
  });

  it('swaps references by GraphQL, but shows branches and tags alone', async () => {
    const zero = '0'.repeat(40);
    const next = github.push('other');
    expect((await move('refs/state/x', zero, github.head)).body.errors).toBeUndefined();
    const stale = await move('refs/state/x', zero, next);
    expect(stale.body.errors[0]).toMatchObject({ type: 'UNPROCESSABLE', path: ['updateRefs'] });
    expect((await move('refs/state/x', github.head, next)).body.data.updateRefs).not.toBeNull();
    expect((await move('refs/state/x', next, github.head)).body.errors[0]?.message).toContain('fast forward');
    const denied = await move('refs/state/x', next, zero, github.token(presets.fork));
    expect(denied.body.errors[0]).toMatchObject({ type: 'FORBIDDEN' });
    const seen = (name: string) => send('POST', 'graphql', { query, variables: { name, oid: next } });
    expect((await seen('refs/state/x')).body.data.repository).toMatchObject({
      ref: null,
      object: { oid: next },
    });
    expect((await seen('refs/heads/main')).body.data.repository.ref).toEqual({ name: 'main' });
    await move('refs/state/x', next, zero);
    expect(github.repository.refs.has('refs/state/x')).toBe(false);
  });

  it('holds GraphQL against its schema', async () => {
    await send('POST', 'graphql', { query: '{ viewer { nickname } }' });
    await send('POST', 'graphql', { query, variables: { name: 'x', oid: 'short' } });
    expect(github.takeProblems()).toEqual([
      expect.stringContaining('Cannot query field "nickname"'),
      expect.stringContaining('"short" is no object name'),
    ]);
    const { body } = await send('POST', 'graphql', { query: '{ viewer { login databaseId } }' });
    expect(body.data.viewer).toEqual({ login: actionsBot.login, databaseId: actionsBot.id });
  });
});

describe('faults', () => {
  const list = () =>
    send('GET', '/deployments').then(
      ({ status }) => status,
      () => 'cut',
    );
  const create = () =>
    send('POST', '/deployments', { ref: 'main' }).then(
      ({ status }) => status,
      () => 'cut',
    );
  const deployments = () => github.repository.deployments.length;

  it('hit the n-th call that fits', async () => {
    github.inject({ operation: /^POST .*deployments$/, nth: 2, fault: faults.unavailable });
    expect([await create(), await list(), await create(), await create()]).toEqual([201, 200, 503, 201]);
    expect(github.calls.map(({ fault }) => fault)).toEqual([undefined, undefined, 'answer', undefined]);
  });

  it('cut before or after the effect', async () => {
    github.inject({ nth: 1, fault: faults.cut });
    github.inject({ nth: 2, fault: faults.cutAfterEffect });
    expect([await create(), deployments(), await create(), deployments()]).toEqual(['cut', 0, 'cut', 1]);
    github.inject({ nth: 1, fault: faults.cutInAnswer });
    expect([await create(), deployments()]).toEqual(['cut', 2]);
    expect(github.calls.map(({ outcome }) => outcome)).toEqual(['cut', 'cut', 'cut']);
  });

  it('answer late, and take effect at once or late', async () => {
    github.inject({ nth: 1, fault: faults.late(500) });
    github.inject({ nth: 2, fault: faults.lateEffect(500) });
    let isAnswered = false;
    const first = create().finally(() => (isAnswered = true));
    await expect.poll(deployments, { interval: 5 }).toBe(1);
    expect(isAnswered).toBe(false);
    expect(await first).toBe(201);
    const second = create();
    await expect.poll(() => github.calls.length, { interval: 5 }).toBe(2);
    expect(deployments()).toBe(1);
    expect(await second).toBe(201);
    expect(deployments()).toBe(2);
  });

  it('carry the headers of rate limits', async () => {
    github.inject({ nth: 1, fault: faults.secondaryLimit(429, 7) });
    github.inject({ nth: 2, fault: faults.primaryLimit(1_234) });
    const [secondary, primary] = [await send('GET', '/deployments'), await send('GET', '/deployments')];
    expect([secondary.status, secondary.headers.get('retry-after')]).toEqual([429, '7']);
    expect([primary.status, primary.headers.get('x-ratelimit-remaining')]).toEqual([403, '0']);
    expect(primary.headers.get('x-ratelimit-reset')).toBe('1234');
    github.behave();
    expect(await list()).toBe(200);
  });
});

it('answers 304 to who has seen it', async () => {
  const first = await send('GET', '/git/ref/heads/main');
  const etag = first.headers.get('etag') ?? '';
  expect(
    (await send('GET', '/git/ref/heads/main', undefined, { headers: { 'if-none-match': etag } })).status,
  ).toBe(304);
  github.push('main');
  expect(
    (await send('GET', '/git/ref/heads/main', undefined, { headers: { 'if-none-match': etag } })).status,
  ).toBe(200);
});

it('is an Enterprise Server under its own addresses', async () => {
  const server = await startGitHub({ enterprise: true });
  const headers = { authorization: `bearer ${server.token()}` };
  expect(server.apiUrl).toMatch(/\/api\/v3$/);
  const answer = await fetch(`${server.apiUrl}/repos/acme/helpdesk/git/ref/heads/main`, { headers });
  expect(answer.status).toBe(200);
  expect(JSON.stringify(await answer.json())).toContain(`${server.apiUrl}/repos/acme/helpdesk/git`);
  const graph = await fetch(server.graphqlUrl, {
    method: 'POST',
    headers,
    body: '{"query":"{viewer{login}}"}',
  });
  expect(graph.status).toBe(200);
  await server.stop();
});
