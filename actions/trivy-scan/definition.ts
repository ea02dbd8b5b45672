import { defineAction, type Problem } from '@deploy-actions/action-kit';
import {
  checkLimits,
  limitsForm,
  isForBills,
  parseScanTarget,
  verdictInputs,
  verdictOutputs,
} from '@deploy-actions/scanners';
import { githubInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'trivy-scan',
  title: 'Trivy scan',
  description:
    'Scans images, archives, folders, configuration and bills of materials once, with one download of the database, and judges what was found by limits of your own. A scan that could not run is an error, never a pass.',
  icon: 'shield',
  color: 'blue',
  mutates: false,
  permissions: {
    packages: 'read',
    checks: 'write',
    'pull-requests': 'write',
    'security-events': 'write',
  },
  inputs: {
    targets: {
      kind: 'list',
      required: true,
      description:
        'What is scanned: `image:REFERENCE`, `archive:FILE`, `fs:FOLDER`, `repo:FOLDER-OR-ADDRESS`, `config:FOLDER`, `sbom:FILE`.',
      example: 'image:ghcr.io/acme/backend:1.4.2, fs:.',
      config: 'scan.targets',
    },
    ...verdictInputs('scan', 'critical: 0, high: 5', '`.trivyignore.yaml`, else `.trivyignore`'),
    limits: {
      kind: 'string',
      description: `How many vulnerabilities may be found. ${limitsForm}`,
      default: 'critical: 0, high: 5',
      config: 'scan.limits',
    },
    baseline: {
      kind: 'list',
      description:
        'What each target is compared with, in the same order: the image that is deployed, the folder with the base branch. Both are scanned with the same database, so that a finding is new only when the change brought it; then only new ones count against the limits.',
      example: 'image:ghcr.io/acme/backend:1.4.1, fs:base',
    },
    scanners: {
      kind: 'list',
      description: 'What is looked for: `vuln`, `secret`, `misconfig`, `license`.',
      default: 'vuln, secret, misconfig',
      config: 'scan.scanners',
    },
    'misconfiguration-limits': {
      kind: 'string',
      description: `How many misconfigurations may be found. ${limitsForm}`,
      default: 'critical: 0',
      config: 'scan.misconfiguration-limits',
    },
    'licence-limits': {
      kind: 'string',
      description: `How many licences of a severity may be found. ${limitsForm}`,
      default: 'none',
      config: 'scan.licence-limits',
    },
    secrets: {
      kind: 'enum',
      values: ['fail', 'warn'],
      description: 'Whether a secret that is found fails the scan.',
      default: 'fail',
      config: 'scan.secrets',
    },
    'ignore-unfixed': {
      kind: 'boolean',
      description: 'Whether vulnerabilities without a fixed version are left out of the count.',
      default: 'false',
      config: 'scan.ignore-unfixed',
    },
    vex: {
      kind: 'list',
      description:
        'VEX documents (OpenVEX, CycloneDX, CSAF) that say which vulnerabilities do not affect the product.',
      example: 'security/backend.openvex.json',
      config: 'scan.vex',
    },
    sbom: {
      kind: 'enum',
      values: ['none', 'cyclonedx', 'spdx-json'],
      description: 'The format in which a bill of materials of each target is written, from the same scan.',
      default: 'none',
      config: 'scan.sbom',
    },
    'output-directory': {
      kind: 'path',
      within: 'host',
      description:
        'The folder for the reports and bills of materials. Default: a folder in the temporary folder of the runner.',
      example: 'out/scan',
    },
    sarif: {
      kind: 'boolean',
      description:
        'Whether everything found goes to code scanning, a category for each image, archive and bill of materials, and one for all that lies in files of the repository.',
      default: 'true',
      config: 'scan.sarif',
    },
    'trivy-version': {
      kind: 'string',
      pattern: /^\d+\.\d+\.\d+$/,
      allowed: 'a version such as 0.69.3',
      description:
        'The version that is installed. Default: a Trivy on PATH, else 0.69.3, whose digests are kept in this repository.',
      example: '0.69.3',
      config: 'scan.trivy-version',
    },
    'trivy-sha256': {
      kind: 'string',
      pattern: /^[0-9a-f]{64}$/,
      allowed: '64 hexadecimal digits',
      description:
        'The SHA-256 of the release archive of `trivy-version`, for a version that is not known here.',
      config: 'scan.trivy-sha256',
    },
    'trivy-mirror': {
      kind: 'url',
      description: 'Where the releases of Trivy are, for runners that do not reach GitHub.',
      default: 'https://github.com/aquasecurity/trivy/releases/download',
      config: 'scan.trivy-mirror',
    },
    'cache-directory': {
      kind: 'path',
      within: 'host',
      description:
        'The folder that keeps the vulnerability database. Default: a folder in the temporary folder of the runner.',
      example: '~/.cache/trivy',
      config: 'scan.cache-directory',
    },
    'database-mirrors': {
      kind: 'list',
      description: 'Repositories of the vulnerability database, tried in this order.',
      example: 'mirror.gcr.io/aquasec/trivy-db:2, ghcr.io/aquasecurity/trivy-db:2',
      config: 'scan.database-mirrors',
    },
    'max-database-age': {
      kind: 'duration',
      description: 'How old a kept database may be when a new one cannot be downloaded; older is an error.',
      default: '7d',
      config: 'scan.max-database-age',
    },
    offline: {
      kind: 'boolean',
      description: 'Whether the kept database is used as it is, without a download.',
      default: 'false',
      config: 'scan.offline',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'The time for the scan of one target.',
      default: '10m',
      config: 'scan.timeout',
    },
    ...githubInputs,
  },
  outputs: {
    ...verdictOutputs,
    reports: { description: "JSON of target to the path of Trivy's report." },
    sboms: { description: 'JSON of target to the path of its bill of materials.' },
  },
  check(inputs) {
    const problems: Problem[] = [];
    const targets = inputs.targets ?? [];
    const baseline = inputs.baseline ?? [];
    for (const [input, list] of [
      ['targets', targets],
      ['baseline', baseline],
    ] as const) {
      for (const [index, text] of list.entries()) {
        const parsed = parseScanTarget(text);
        if (typeof parsed === 'string')
          problems.push({ input, value: text, message: `${parsed} (entry ${index + 1}).` });
      }
    }
    if (baseline.length > 0 && baseline.length !== targets.length) {
      problems.push({
        input: 'baseline',
        message: `has ${baseline.length} entries for ${targets.length} targets; each target needs one, in the same order.`,
      });
    }
    const unknown = (inputs.scanners ?? []).filter(
      (name) => !['vuln', 'secret', 'misconfig', 'license'].includes(name),
    );
    if (unknown.length > 0) {
      problems.push({
        input: 'scanners',
        value: unknown.join(', '),
        message: 'is not known; allowed are `vuln`, `secret`, `misconfig`, `license`.',
      });
    }
    const bill = [...targets, ...baseline].find((text) => text.trim().startsWith('sbom:'));
    if (bill !== undefined && inputs.scanners !== undefined && !inputs.scanners.some(isForBills)) {
      problems.push({
        input: 'scanners',
        value: inputs.scanners.join(', '),
        message: `finds nothing in ${bill.trim()}: in a bill of materials only \`vuln\` and \`license\` can be looked for.`,
      });
    }
    for (const input of ['limits', 'misconfiguration-limits', 'licence-limits'] as const)
      problems.push(...checkLimits(input, inputs[input]));
    if (inputs['trivy-sha256'] !== undefined && inputs['trivy-version'] === undefined) {
      problems.push({ input: 'trivy-sha256', message: 'goes with `trivy-version`.' });
    }
    return problems;
  },
});
