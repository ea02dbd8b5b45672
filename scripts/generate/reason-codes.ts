import { reasonCodes } from '@deploy-actions/core';

/** docs/reason-codes.md */
export function reasonCodesPage(): string {
  const rows = Object.entries(reasonCodes).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`);
  return `# Reason codes

Every action sets the output \`reason-code\` to one of these. A workflow can branch on them: a code is added now and then, but
never renamed or used for anything else. Generated from packages/core/reason-codes.ts by \`npm run gen\`.

| Code | Meaning |
| --- | --- |
${rows.join('\n')}
`;
}
