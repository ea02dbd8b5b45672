import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kubeconfigFor } from '../../test/support/kubernetes.ts';
import { type KubeconfigSource, loadKubeconfig } from './kubeconfig.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => rm(folder, { recursive: true }));

const load = (source: Partial<KubeconfigSource>) => loadKubeconfig({ environment: {}, ...source });

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

async function refusal(source: Partial<KubeconfigSource>): Promise<DeployError> {
  const thrown = await load(source).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (thrown instanceof DeployError) return thrown;
  throw new Error('not refused');
}

const authorization = async (source: Partial<KubeconfigSource>) =>
  ((await (await load(source)).credentials()).headers as Record<string, string>)['Authorization'];

describe('a kubeconfig', () => {
  it('is taken from the input, before a file, before the environment', async () => {
    const KUBECONFIG = await fileWith('environment', kubeconfigFor('http://environment:1'));
    const file = await fileWith('file', kubeconfigFor('http://file:1'));
    const content = kubeconfigFor('http://content:1');
    const environment = { KUBECONFIG };
    expect((await load({ environment })).server).toBe('http://environment:1');
    expect((await load({ environment, file })).server).toBe('http://file:1');
    expect((await load({ environment, file, content })).server).toBe('http://content:1');
    expect(await load({ content })).toMatchObject({ namespace: 'apps', context: 'test', user: 'tester' });
  });

  it('of several files is one, in which the first to say something wins and the missing are passed over', async () => {
    const first = await fileWith('first', kubeconfigFor('http://first:1'));
    const other = JSON.parse(kubeconfigFor('http://second:1')) as Record<string, unknown[]>;
    const second = await fileWith(
      'second',
      JSON.stringify(other).replaceAll('"test"', '"other"').replaceAll('"double"', '"elsewhere"'),
    );
    const KUBECONFIG = [join(folder, 'missing'), first, second].join(delimiter);
    expect((await load({ environment: { KUBECONFIG } })).server).toBe('http://first:1');
    expect((await load({ environment: { KUBECONFIG }, context: 'other' })).server).toBe('http://second:1');
  });

  it('is where kubectl has it, without all of these', async () => {
    await expect(load({ environment: { HOME: folder } })).rejects.toMatchObject({
      reasonCode: 'invalid_input',
      remedy: expect.stringContaining('KUBECONFIG'),
    });
  });

  it('that is wrong says where and what', async () => {
    expect(await refusal({ file: join(folder, 'none') })).toMatchObject({ reasonCode: 'not_found' });
    expect((await refusal({ content: 'clusters: [' })).message).toMatch(/is not a kubeconfig/);
    expect((await refusal({ content: 'a: 1' })).message).toContain('no current context');
    const content = kubeconfigFor('http://x:1');
    expect((await refusal({ content, context: 'prod' })).message).toContain(
      'no context "prod"; contexts are: test.',
    );
    const withoutUser = content.replace('"user":"tester"', '"user":"nobody"');
    expect((await refusal({ content: withoutUser })).message).toContain('user "nobody"');
    expect((await refusal({ content: kubeconfigFor('localhost:6443') })).message).toContain('is no URL');
    const proxied = content.replace('"server"', '"proxy-url":"socks5://x:1","server"');
    expect(await refusal({ content: proxied })).toMatchObject({ reasonCode: 'unsupported' });
  });

  it('knows what must not be seen of it', async () => {
    const users = { token: 'a-secret-token', password: 'a-secret-password', username: 'x' };
    const { secrets } = await load({ content: kubeconfigFor('http://x:1', users) });
    expect(secrets.toSorted()).toEqual(['a-secret-password', 'a-secret-token']);
  });
});

describe('credentials', () => {
  it('are a token, or what a file holds now', async () => {
    expect(await authorization({ content: kubeconfigFor('http://x:1') })).toBe('Bearer a-token');
    await fileWith('token', 'of-a-file');
    const file = await fileWith('config', kubeconfigFor('http://x:1', { tokenFile: 'token' }));
    expect(await authorization({ file })).toBe('Bearer of-a-file');
  });

  it('come from an exec plugin, which is told of the cluster, and again after they were refused', async () => {
    const plugin = await fileWith(
      'plugin.mjs',
      `import { appendFileSync, readFileSync } from 'node:fs';
       const { spec } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
       appendFileSync(process.argv[2], spec.cluster.server + '\\n');
       const times = readFileSync(process.argv[2], 'utf8').trim().split('\\n').length;
       console.log(JSON.stringify({ kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1', status: { token: 'token-' + times } }));`,
    );
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: [plugin, join(folder, 'calls')],
    };
    const connection = await load({ content: kubeconfigFor('http://x:1', { exec }) });
    const token = async () =>
      ((await connection.credentials()).headers as Record<string, string>)['Authorization'];
    expect(await token()).toBe('Bearer token-1');
    expect(await token()).toBe('Bearer token-1');
    await connection.forget();
    expect(await token()).toBe('Bearer token-2');
  });

  it('that cannot be had say why', async () => {
    const plugin = await fileWith('plugin', '#!/bin/sh\necho log in first >&2\nexit 1\n');
    await chmod(plugin, 0o755);
    for (const [command, why] of [
      [plugin, /log in first/],
      [join(folder, 'none'), /ENOENT/],
    ] as const) {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1', command };
      const connection = await load({ content: kubeconfigFor('http://x:1', { exec }) });
      await expect(connection.credentials()).rejects.toMatchObject({
        reasonCode: 'permission_denied',
        message: expect.stringMatching(why),
        remedy: expect.stringContaining('exec plugin'),
      });
    }
  });
});
