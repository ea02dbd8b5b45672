// An nginx of a test's own: its configuration in a folder, its public server where the test wants it, and everything that
// the router `nginx` needs to know of it. Installed from the system's packages when this is root.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { createNginx, type NginxOptions } from '@deploy-actions/routers';
import { requireProgram, versionOf } from './debian.ts';
import { until } from './until.ts';

export interface Nginx {
  readonly options: NginxOptions;
  /** Inputs of the actions that say where it is. */
  readonly inputs: Record<string, string>;
  stop(): Promise<void>;
}

/** `1.22.1`, or undefined when there is none. */
export function nginxVersion(): string | undefined {
  return versionOf('nginx', '-v', /nginx\/([\d.]+)/);
}

/** Installs Debian's nginx-light as root. Throws with what is missing where that cannot be done. */
export function requireNginx(): string {
  return requireProgram('nginx', 'nginx-light', nginxVersion);
}

/**
 * Starts it in a new folder; its server at `address` (`127.0.0.1:PORT`) passes everything to the upstream `app`. `foreign`
 * is what the upstream's file has before the router ever writes to it.
 */
export async function startNginx(folder: string, address: string, foreign = ''): Promise<Nginx> {
  await mkdir(folder);
  // Its workers are another user's.
  await chmod(folder, 0o755);
  const configFile = join(folder, 'nginx.conf');
  const options: NginxOptions = {
    upstreamFile: join(folder, 'upstream.conf'),
    upstreamName: 'app',
    configFile,
    prefix: folder,
    pidFile: join(folder, 'nginx.pid'),
    verifySocket: join(folder, 'verify.sock'),
    verifyPath: '/',
    log: silentLog,
  };
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  await writeFile(
    configFile,
    `daemon off;
pid ${options.pidFile};
error_log ${folder}/error.log;
worker_processes 2;
events { worker_connections 512; }
http {
    access_log off;
    ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n    ')}
    include ${options.upstreamFile};
    server {
        listen ${address};
        location / {
            proxy_pass http://app;
            proxy_read_timeout 30s;
        }
    }
}
`,
  );
  if (foreign !== '') await writeFile(options.upstreamFile, foreign);
  await (await createNginx(options)).prepare({ token: 0, check: async () => {} });
  const child = spawn('nginx', ['-p', folder, '-c', configFile, '-e', `${folder}/error.log`], {
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  const hasPid = async () => (await readFile(options.pidFile, 'utf8').catch(() => '')).trim() !== '';
  await until('nginx to start', hasPid);
  return {
    options,
    inputs: {
      router: 'nginx',
      'nginx-upstream-file': options.upstreamFile,
      'nginx-upstream-name': options.upstreamName,
      'nginx-command': `nginx -p ${folder} -c ${configFile} -e ${folder}/error.log`,
      'nginx-pid-file': options.pidFile,
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
