// What the page says about tickets: texts out of the API's answers.

export interface Ticket {
  id: number;
  title: string;
  status: 'open' | 'resolved';
  priority: 'low' | 'normal' | 'high';
  created_at: string;
}

/** High priority first, then the newest; what is resolved comes last. */
export function inOrder(tickets: readonly Ticket[]): Ticket[] {
  const rank = ({ status, priority }: Ticket): number =>
    status === 'resolved' ? 3 : { high: 0, normal: 1, low: 2 }[priority];
  return tickets.toSorted((one, other) => rank(one) - rank(other) || other.id - one.id);
}

/** `#7 Printer jams: open, high priority, since 3 days` */
export function describe(ticket: Ticket, now: Date): string {
  const days = Math.max(0, Math.floor((now.getTime() - Date.parse(ticket.created_at)) / 86_400_000));
  const since = days === 0 ? 'since today' : `since ${days} ${days === 1 ? 'day' : 'days'}`;
  const state = ticket.status === 'resolved' ? 'resolved' : `open, ${ticket.priority} priority, ${since}`;
  return `#${ticket.id} ${ticket.title}: ${state}`;
}

/** What a failed request means to whoever reads the page. */
export function messageFor(status: number): string {
  if (status === 401 || status === 403) return 'This token is not valid, or no longer.';
  if (status >= 500) return 'The helpdesk does not answer at the moment. Please try again in a minute.';
  return `The helpdesk refused the request (${status}).`;
}
