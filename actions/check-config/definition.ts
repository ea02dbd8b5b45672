import { defineAction } from '@deploy-actions/action-kit';

export const definition = defineAction({
  name: 'check-config',
  title: 'Check deploy.yml',
  description:
    'Checks deploy.yml for all its environments, without a secret and without touching anything: every key, every value by the inputs that read it, and inheritance. Each problem is shown on its line, and a table says how the environments differ.',
  icon: 'check-square',
  color: 'green',
  mutates: false,
  permissions: {},
  inputs: {
    file: {
      kind: 'path',
      within: 'workspace',
      description: 'The file to check.',
      default: '.github/deploy.yml',
    },
    environments: {
      kind: 'list',
      description:
        'The environments whose values are checked and compared. Default: all that the file names.',
      example: 'staging, production',
    },
  },
  outputs: {
    problems: { description: 'How many problems there are.' },
    parity: {
      description:
        'JSON of how the environments differ: `environments`, and `rows` with path, verdict (`missing` or `differs`), why a difference is expected, and value and place by environment. What is likely a mistake comes first.',
    },
  },
});
