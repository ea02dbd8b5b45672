// Certificates of a test's own authority, by openssl(1), for Node cannot sign any.

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from './command.ts';

export interface Certificate {
  certFile: string;
  keyFile: string;
  /** PEM. */
  cert: string;
  key: string;
}

const request = [
  'req',
  '-x509',
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:P-256',
  '-noenc',
  '-days',
  '30',
];

async function make(folder: string, name: string, args: string[]): Promise<Certificate> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  await output('openssl', [...request, ...args, '-out', certFile, '-keyout', keyFile]);
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { certFile, keyFile, cert, key };
}

/** `NAME.crt` and `NAME.key` in the folder, valid for 30 days. */
export function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
  return make(folder, name, ['-subj', `/CN=${name}`, ...extensions.flatMap((one) => ['-addext', one])]);
}

/** Signed by the authority, for a server with these names (`IP:127.0.0.1`, `DNS:localhost`), or for a client where there are none. */
export function issue(
  authority: Certificate,
  folder: string,
  name: string,
  names: readonly string[],
): Promise<Certificate> {
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    `extendedKeyUsage=${names.length > 0 ? 'serverAuth' : 'clientAuth'}`,
    ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
  ];
  const signer = ['-CA', authority.certFile, '-CAkey', authority.keyFile];
  return make(folder, name, [
    '-subj',
    `/CN=${name}`,
    ...extensions.flatMap((one) => ['-addext', one]),
    ...signer,
  ]);
}
