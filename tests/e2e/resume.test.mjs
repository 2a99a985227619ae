// Event streams that break: Last-Event-ID towards clients, and towards servers that poll (SEP-1699).
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { startAsking, startLegs } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';
import { textOf } from './lib/clients.mjs';
import { eventsOf, openSession } from './lib/sessions.mjs';
import { until } from './lib/children.mjs';

let tulle, org, other, legs, asking, urls;
before(async () => {
    [tulle, legs, asking] = await Promise.all([startTulle({ env: { WORKERS: '2' } }), startLegs(), startAsking()]);
    org = await tulle.makeOrg('acme');
    urls = {
        legs: (await tulle.connect(org, { name: 'legs', url: legs.url })).mcp,
        asking: (await tulle.connect(org, { name: 'asking', url: asking.url })).mcp,
    };
    other = await tulle.makeKey('acme', org.email);
});
after(() => tulle?.end());

const held = (text = '') => ({ jsonrpc: '2.0', id: 'call', method: 'tools/call', params: { name: 'held', arguments: { text } } });
const ids = (call) => eventsOf(call.text()).map((event) => event.id).filter(Boolean);

/** Calls `held`, waits until its stream has an event id, and breaks the connection. */
async function broken(session, text) {
    const call = await session.open(held(text));
    await until('the first events', () => call.text().includes('begun') && ids(call).length > 0);
    call.close();
    return ids(call).at(-1);
}

test('a call goes on when its client leaves, and its answer is fetched with Last-Event-ID', async () => {
    const session = await openSession(urls.legs, org.key);
    const last = await broken(session, 'one');
    await legs.release();
    const rest = await session.get({ 'last-event-id': last });
    assert.equal(rest.status, 200);
    assert.equal(await rest.done, true, 'the stream ends after the answer');
    const messages = rest.messages();
    assert.deepEqual(messages.map((message) => message.method ?? message.id), ['notifications/message', 'call']);
    assert.equal(textOf(messages[1].result), 'released one');
    const after = eventsOf(rest.text()).map((event) => event.id);
    const again = await session.get({ 'last-event-id': after[0] });
    await again.done;
    assert.deepEqual(again.messages().map((message) => message.id), ['call'], 'only what came later is repeated');
});

test('a client that comes back early hears the rest as it happens', async () => {
    const session = await openSession(urls.legs, org.key);
    const last = await broken(session, 'two');
    const rest = await session.get({ 'last-event-id': last });
    assert.equal(rest.status, 200);
    await legs.release();
    await rest.done;
    assert.equal(textOf(rest.messages().at(-1).result), 'released two');
});

test('the first event of a stream has an id and no data, for clients that know such events', async () => {
    for (const [version, isPrimed] of [['2025-11-25', true], ['2025-06-18', false]]) {
        const session = await openSession(urls.legs, org.key, { version });
        const call = await session.open(held());
        await until('an event', () => call.text().includes('begun'));
        assert.equal(eventsOf(call.text()).some((event) => event.id && event.data === ''), isPrimed, version);
        await until('the server holds', async () => (await legs.seen()).held > 0);
        await legs.release();
        await call.done;
        const all = ids(call);
        assert.equal(new Set(all).size, all.length);
        assert.ok(eventsOf(call.text()).at(-1).id, 'the answer can be resumed from');
    }
});

test('streams belong to their session and principal', async () => {
    const session = await openSession(urls.legs, org.key);
    const last = await broken(session, 'mine');
    await legs.release();
    const neighbour = await openSession(urls.legs, org.key);
    const stranger = await openSession(urls.legs, other);
    for (const one of [neighbour, stranger]) {
        const answer = await one.get({ 'last-event-id': last });
        assert.equal(answer.status, 400);
        await answer.done;
        assert.ok(!answer.text().includes('released'));
    }
    for (const id of ['c0000000000000000-1', `${last}99`, 'c', 'c-', `c${'f'.repeat(200)}-1`]) {
        const answer = await session.get({ 'last-event-id': id });
        assert.equal(answer.status, 400, id);
        answer.close();
    }
    await session.end();
    const gone = await session.get({ 'last-event-id': last });
    assert.equal(gone.status, 404);
});

test('a cancelled call ends though its client has left', async () => {
    const session = await openSession(urls.legs, org.key);
    const last = await broken(session, 'never');
    await session.post({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'call' } });
    const rest = await session.get({ 'last-event-id': last });
    await rest.done;
    await legs.release();
    assert.ok(!rest.text().includes('released'));
});

test('the GET stream goes on where it broke, at the server too', async () => {
    const session = await openSession(urls.legs, org.key);
    await legs.reset();
    const first = await session.get();
    await until('the stream is open', async () => (await legs.seen()).open > 0);
    await legs.say();
    await until('two messages', async () => (await legs.say(), first.messages().length >= 2));
    const seen = eventsOf(first.text());
    assert.ok(seen.every((event) => event.id));
    first.close();
    await until('the server sees it close', async () => (await legs.seen()).open === 0);
    const second = await session.get({ 'last-event-id': seen[0].id });
    await until('what was missed', () => second.messages().length >= seen.length - 1);
    assert.deepEqual(eventsOf(second.text()).slice(0, seen.length - 1).map((event) => event.data), seen.slice(1).map((event) => event.data));
    await until('it is open at the server', async () => (await legs.seen()).open > 0);
    assert.equal((await legs.seen()).resumed.length, 1, 'with the id that the server gave');
    const before = second.messages().length;
    await legs.say();
    await until('it goes on', () => second.messages().length > before);
    second.close();
    const fresh = await session.get({ 'last-event-id': 'g0000000000000000-1' });
    assert.equal(fresh.status, 200, 'an id that is not known any more is no obstacle');
    fresh.close();
});

test('a server that closes the stream and wants to be polled is polled', async () => {
    const session = await openSession(urls.legs, org.key);
    await legs.reset();
    const answer = await session.call('tools/call', { name: 'polled', arguments: {} });
    assert.equal(textOf(answer.body.result), 'polled');
    assert.equal((await legs.seen()).resumed.length, 1);
});

test('a session that Tulle keeps for a stateless server resumes too', async () => {
    const session = await openSession(urls.asking, org.key, { capabilities: { elicitation: {} } });
    const { body } = await session.call('tools/list');
    const name = body.result.tools.map((tool) => tool.name).find((one) => /elicit|ask|form|name/.test(one));
    assert.ok(name, JSON.stringify(body.result.tools.map((tool) => tool.name)));
    const call = await session.open({ jsonrpc: '2.0', id: 'ask', method: 'tools/call', params: { name, arguments: {} } });
    await until('the question', () => call.text().includes('elicitation/create'));
    const all = eventsOf(call.text());
    call.close();
    const rest = await session.get({ 'last-event-id': all[0].id });
    await until('it is asked again', () => rest.text().includes('elicitation/create'));
    const question = rest.messages().find((message) => message.method === 'elicitation/create');
    await session.post({ jsonrpc: '2.0', id: question.id, result: { action: 'accept', content: { name: 'Ada' } } });
    assert.equal(await rest.done, true);
    assert.equal(rest.messages().at(-1).id, 'ask');
    assert.ok(rest.messages().at(-1).result);
});

test('the SDK client resumes by itself, and with a token', async () => {
    const transport = new StreamableHTTPClientTransport(new URL(urls.legs), {
        requestInit: { headers: { authorization: `Bearer ${org.key}` } },
        reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.5, maxRetries: 20 },
        // Breaks the stream of the call as soon as it has begun.
        fetch: async (url, init) => {
            const answer = await fetch(url, init);
            if (init.method !== 'POST' || !String(init.body).includes('"held"')) return answer;
            const reader = answer.body.getReader();
            const body = new ReadableStream({
                async pull(controller) {
                    const { value, done } = await reader.read();
                    if (done) return controller.close();
                    controller.enqueue(value);
                    if (new TextDecoder().decode(value).includes('id: ')) {
                        await reader.cancel();
                        controller.error(new Error('the network is gone'));
                    }
                },
            });
            return new Response(body, { status: answer.status, headers: answer.headers });
        },
    });
    const client = new Client({ name: 'resumes', version: '1' }, { capabilities: {} });
    client.onerror = () => {};
    await client.connect(transport);
    await legs.reset();
    const tokens = [];
    const call = client.callTool({ name: 'held', arguments: { text: 'sdk' } }, undefined, { onresumptiontoken: (token) => tokens.push(token) });
    await until('the call runs', async () => (await legs.seen()).held > 0);
    await until('the client has an id', () => tokens.length > 0);
    await legs.release();
    assert.equal(textOf(await call), 'released sdk');
    await client.close();
});
