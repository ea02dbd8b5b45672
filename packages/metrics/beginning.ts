/** The first words of an answer that is not what was asked for, made printable: `, beginning with "…"`. */
export function beginning(text: string): string {
  const words = text
    .slice(0, 200)
    .replace(/[^\p{L}\p{N}\p{P}\p{S}]+/gu, ' ')
    .trim();
  return words === '' ? '' : `, beginning with ${JSON.stringify(words)}`;
}
