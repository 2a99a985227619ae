// Servers that ask their clients, reached through the hub by clients of both eras.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import * as typesV1 from '@modelcontextprotocol/sdk/types.js';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { until } from './lib/children.mjs';
import { textOf } from './lib/clients.mjs';
import { startAsking, startAsks } from './lib/servers.mjs';
import { startTulle } from './lib/tulle.mjs';

let tulle, org, hub, asks;
before(async () => {
    let asking;
    [tulle, asks, asking] = await Promise.all([startTulle(), startAsks(), startAsking()]);
    org = await tulle.makeOrg('acme');
    await tulle.connect(org, { name: 'session', url: asks.url });
    await tulle.connect(org, { name: 'stateless', url: asking.url });
    hub = `${tulle.url}/mcp/hub`;
});
after(() => tulle?.end());

const capabilities = { sampling: {}, roots: { listChanged: true }, elicitation: { form: {}, url: {} } };
const answers = {
    'elicitation/create': (params) => (params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: params.message } }),
    'sampling/createMessage': () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } }),
    'roots/list': () => ({ roots: [{ uri: 'file:///home' }] }),
};
const init = () => ({ requestInit: { headers: { authorization: `Bearer ${org.key}` } } });

async function connect(kind, caps = capabilities) {
    const isV1 = kind === 'v1';
    const client = isV1
        ? new ClientV1({ name: 'asked', version: '1' }, { capabilities: caps })
        : new ClientV2({ name: 'asked', version: '1' }, { capabilities: caps, versionNegotiation: { mode: kind === 'modern' ? { pin: '2026-07-28' } : 'legacy' } });
    const schemas = { 'elicitation/create': typesV1.ElicitRequestSchema, 'sampling/createMessage': typesV1.CreateMessageRequestSchema, 'roots/list': typesV1.ListRootsRequestSchema };
    for (const [method, answer] of Object.entries(answers))
        if (caps[method.split('/')[0].replace('elicitation', 'elicitation')]) client.setRequestHandler(isV1 ? schemas[method] : method, (request) => answer(request.params));
    await client.connect(isV1 ? new TransportV1(new URL(hub), init()) : new TransportV2(new URL(hub), init()));
    return client;
}

for (const kind of ['v1', 'legacy', 'modern']) {
    test(`a session server asks through the hub (${kind} client)`, async () => {
        const client = await connect(kind);
        const call = async (name) => JSON.parse(textOf(await client.callTool({ name: `session__${name}`, arguments: {} })));
        assert.deepEqual(await call('form'), { action: 'accept', content: { name: 'Your name?' } });
        assert.equal((await call('roots')).roots[0].uri, 'file:///home');
        await client.close();
    });

    test(`a stateless server asks through the hub (${kind} client)`, async () => {
        const client = await connect(kind);
        const answer = JSON.parse(textOf(await client.callTool({ name: 'stateless__ask_form', arguments: {} })));
        assert.equal(answer.content.name, 'Who are you?');
        assert.equal(textOf(await client.callTool({ name: 'stateless__echo', arguments: { text: 'hi' } })), 'hi');
        await client.close();
    });
}

test('several questions of one call are all answered', async () => {
    const client = await connect('v1');
    const all = JSON.parse(textOf(await client.callTool({ name: 'session__together', arguments: {} })));
    assert.equal(all[0].content.name, 'Your name?');
    assert.ok(all[2].roots);
    await client.close();
});

test('a client that declared nothing is not asked, and the server hears so', async () => {
    const client = await connect('v1', {});
    const answer = JSON.parse(textOf(await client.callTool({ name: 'session__form', arguments: {} })));
    assert.ok(answer.error < 0, JSON.stringify(answer));
    await client.close();
});

test('a call that the client gives up is cancelled at its server', async () => {
    const client = await connect('v1');
    const before = (await asks.seen()).aborted;
    const stop = new AbortController();
    const call = client.callTool({ name: 'session__slow', arguments: {} }, undefined, { signal: stop.signal });
    await until('the call has arrived', async () => (await asks.seen()).runs.slow > 0);
    stop.abort();
    await assert.rejects(call);
    await until('the server has been told', async () => (await asks.seen()).aborted > before);
    await client.close();
});
