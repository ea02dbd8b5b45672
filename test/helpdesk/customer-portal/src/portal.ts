// The page: shows the tickets of whoever signs in with a token.

import { describe, inOrder, messageFor, type Ticket } from './tickets.ts';

declare const process: { env: { VERSION: string } };

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`there is no ${kind.name} #${id} in the page`);
  return found;
}

const message = element('message', HTMLParagraphElement);
const list = element('tickets', HTMLUListElement);
const token = element('token', HTMLInputElement);

function show(tickets: readonly Ticket[]): void {
  const now = new Date();
  list.replaceChildren(
    ...inOrder(tickets).map((ticket) => {
      const item = document.createElement('li');
      item.className = ticket.status;
      item.textContent = describe(ticket, now);
      return item;
    }),
  );
  message.textContent = tickets.length === 0 ? 'There are no tickets.' : '';
}

async function load(): Promise<void> {
  message.textContent = 'Loading …';
  const answer = await fetch('/api/tickets/?limit=100', {
    headers: { authorization: `Bearer ${token.value}` },
  });
  if (answer.ok) return show(((await answer.json()) as { tickets: Ticket[] }).tickets);
  list.replaceChildren();
  message.textContent = messageFor(answer.status);
}

element('version', HTMLParagraphElement).textContent = process.env.VERSION;
element('sign-in', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  load().catch(() => (message.textContent = messageFor(503)));
});
