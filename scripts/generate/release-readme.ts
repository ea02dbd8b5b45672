import type { ActionDefinition } from '@deploy-actions/action-kit';

/** dist/README.md: what somebody sees who looks at a version tag. */
export function releaseReadme(definitions: ActionDefinition[]): string {
  const rows = definitions.map(({ name, description }) => `| \`${name}\` | ${description} |`);
  return `# deploy-actions

This is the tree of a version tag: each action with its \`action.yml\`, and one bundle that they share. It is made by \`npm run build\`
from the sources on the branch \`main\`, where its documentation is, too.

\`\`\`yaml
- uses: org/deploy-actions/health-check@v1
  with:
    url: https://helpdesk.example.com/health/
\`\`\`

| Action | What it does |
| --- | --- |
${rows.join('\n')}

The same as jobs are the reusable workflows in \`.github/workflows\`; they use the actions of this version:

\`\`\`yaml
jobs:
  release:
    uses: org/deploy-actions/.github/workflows/deploy.yml@v1
\`\`\`

What the steps have in common can be said once, in \`.github/deploy.yml\`; \`deploy.schema.json\` is its JSON Schema. The licences of
the packages in the bundle are in \`licenses.txt\`.
`;
}
