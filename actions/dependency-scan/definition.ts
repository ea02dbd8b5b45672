import { defineAction } from '@deploy-actions/action-kit';
import { checkLimits, verdictInputs, verdictOutputs } from '@deploy-actions/scanners';
import { githubInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'dependency-scan',
  title: 'Dependency scan',
  description:
    'Asks pip-audit, npm, pnpm and yarn about the vulnerabilities of what the lock files of a repository install, and judges all of it together. A tool that is missing, a service that does not answer, an answer that leaves packages out: an error, never a pass.',
  icon: 'package',
  color: 'blue',
  mutates: false,
  permissions: { checks: 'write', 'pull-requests': 'write', 'security-events': 'write' },
  inputs: {
    paths: {
      kind: 'list',
      description:
        'Lock files, or folders with lock files at any depth, relative to the workspace. Known are requirements*.txt, *.txt in a folder named requirements, poetry.lock, uv.lock, pyproject.toml without a lock, package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock.',
      default: '.',
      config: 'dependencies.paths',
    },
    ...verdictInputs(
      'dependencies',
      'critical: 0, high: 5',
      '`.dependencyignore.yaml`, else `.dependencyignore`',
    ),
    'unknown-counts-as': {
      kind: 'enum',
      values: ['critical', 'high', 'medium', 'low', 'unknown'],
      description:
        'As what a vulnerability counts against the limits that no advisory rates. It is shown as `unknown` all the same.',
      default: 'high',
      config: 'dependencies.unknown-counts-as',
    },
    severities: {
      kind: 'enum',
      values: ['osv', 'none'],
      description:
        'Where severities come from that the tool does not say, which pip-audit never does: `osv` asks for the advisory of GitHub about the same vulnerability, and it is an error when it does not answer.',
      default: 'osv',
      config: 'dependencies.severities',
    },
    'ignore-unfixed': {
      kind: 'boolean',
      description: 'Whether vulnerabilities without a fixed version are left out of the count.',
      default: 'false',
      config: 'dependencies.ignore-unfixed',
    },
    unaudited: {
      kind: 'list',
      description:
        'Python packages that no advisory service knows, such as your own or those from a repository. Any other package without an answer is an error.',
      example: 'acme-tickets, acme-forms',
      config: 'dependencies.unaudited',
    },
    'production-only': {
      kind: 'boolean',
      description: 'Whether packages of Node that are for development alone are left out.',
      default: 'false',
      config: 'dependencies.production-only',
    },
    advisories: {
      kind: 'enum',
      values: ['pypi', 'osv'],
      description: 'The service that pip-audit asks.',
      default: 'pypi',
      config: 'dependencies.advisories',
    },
    'osv-url': {
      kind: 'url',
      description: 'Where the OSV interface is, for runners that reach a copy of it alone.',
      default: 'https://api.osv.dev/v1',
      config: 'dependencies.osv-url',
    },
    'npm-registry': {
      kind: 'url',
      description:
        'The registry that npm, pnpm and yarn ask for advisories. Default: the one of the settings of the project. Not every private registry answers about advisories. yarn 1 asks the public one whatever is said here.',
      example: 'https://npm.example/',
      config: 'dependencies.npm-registry',
    },
    'install-pip-audit': {
      kind: 'boolean',
      description:
        'Whether pip-audit is installed where it is not on PATH: version 2.10.1, in a virtual environment in the temporary folder of the runner, every package by its SHA-256, kept in this repository.',
      default: 'true',
      config: 'dependencies.install-pip-audit',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'The time for the audit of one lock file.',
      default: '5m',
      config: 'dependencies.timeout',
    },
    ...githubInputs,
  },
  outputs: {
    ...verdictOutputs,
    fixes: {
      description:
        'JSON of what fixes would change: lock file, package, version now, least fixed version, findings that it ends.',
    },
  },
  check: (inputs) => checkLimits('limits', inputs.limits),
});
