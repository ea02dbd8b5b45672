/**
 * How versions of Trivy write the id of one of its checks, today's first: `DS-0002`, `AVD-DS-0002`, `DS002`. Each of them may stand in
 * ignore files. None for another id.
 */
export function spellingsOf(id: string): string[] {
  const [, family, number = ''] = /^(?:AVD-)?([A-Z]+)-?(\d+)$/.exec(id) ?? [];
  if (family === undefined) return [];
  const long = `${family}-${number.padStart(4, '0')}`;
  return [long, `AVD-${long}`, `${family}${String(Number(number)).padStart(3, '0')}`];
}
