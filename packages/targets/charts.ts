/* Pictures of traffic, as Mermaid draws them in a summary: in both themes and on a phone. */

import { formatDuration } from '@deploy-actions/core';

/** What a picture needs of a slot that is there. `weight` is in percent. */
export interface SlotShare {
  slot: string;
  version: string;
  weight: number;
}

/** Text in quotes, of which Mermaid takes nothing for its own, and short enough for a phone: the page says it in full. */
function label(text: string): string {
  const shown = /^[0-9a-f]{20,}$/.test(text)
    ? text.slice(0, 12)
    : text.length > 24
      ? `${text.slice(0, 23)}…`
      : text;
  return shown.replace(/["\\<>#]/g, '_');
}

/** Who has the traffic. Weights stand in the slots, for the dark theme makes text on arrows too pale. */
export function trafficChart(shares: readonly SlotShare[]): string {
  const lines = ['flowchart LR', '  clients(["clients"])'];
  for (const { slot, version, weight } of shares) {
    lines.push(`  ${slot}["${label(version)}<br>${slot}, ${weight} %"]`);
    lines.push(`  clients ${weight > 0 ? '-->' : '-.->'} ${slot}`);
  }
  return lines.join('\n');
}

/** `1.4s`, `12s`, `10m`, `1h30m`: there is room for no more below a bar. */
function timeLabel(milliseconds: number): string {
  if (milliseconds < 9_950) return `${(milliseconds / 1_000).toFixed(1)}s`;
  const unit = milliseconds < 600_000 ? 1_000 : 60_000;
  return formatDuration(Math.round(milliseconds / unit) * unit);
}

/** The share of a version, in percent, at times in milliseconds. Undefined when it changed less than twice. */
export function weightChart(steps: readonly { at: number; weight: number }[]): string | undefined {
  // Bars of one name would be drawn as one: of changes that followed at once the last is shown.
  const bars = new Map<string, number>();
  for (const { at, weight } of steps) bars.set(timeLabel(at), weight);
  if (bars.size < 2) return undefined;
  return [
    // Scaled to the width of a phone the text of a wider one could not be read.
    '%%{init: {"xyChart": {"width": 500, "height": 300}, "themeVariables": {"xyChart": {"plotColorPalette": "#2da44e", "backgroundColor": "transparent"}}}}%%',
    'xychart-beta',
    '  title "Share of the new version"',
    `  x-axis [${[...bars.keys()].map((time) => `"${time}"`).join(', ')}]`,
    '  y-axis "percent" 0 --> 100',
    `  bar [${[...bars.values()].join(', ')}]`,
  ].join('\n');
}
